//! Small guests, one file each under `examples/`, named after the behaviour they prove. `no-op` and `header-edit`, whose
//! speed is measured, are written with the SDK. The others are written against the contract itself, so that they can also
//! return what the SDK would not let through.
