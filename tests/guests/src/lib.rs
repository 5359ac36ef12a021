//! Small guests, one file each under `examples/`, named after the behaviour they prove. They are written against the
//! contract itself and not with the SDK, so that they can also return what the SDK would not let through.
