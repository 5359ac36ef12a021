//! Proxying: methods, bodies, protocols, streaming, errors of origins, and the fields that the edge adds.

mod buckets;
mod error_pages;
mod faults;
mod forwarding;
mod memory;
mod origins;
mod passing;
mod pool;
mod response_headers;
mod routing;
mod silence;
mod statics;
mod streaming;
mod tls;
mod versions;
mod websocket;
