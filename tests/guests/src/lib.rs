//! Small guests, one file each under `examples/`, named after the behaviour they prove.
