//! Proxying: methods, bodies, protocols, streaming, errors of origins, and the fields that the edge adds.

mod acme;
mod browser;
mod buckets;
mod certificates;
mod closing;
mod early;
mod error_pages;
mod faults;
mod forwarding;
mod idle;
mod memory;
mod mutual;
mod origins;
mod passing;
mod pool;
mod refusals;
mod response_headers;
mod resumption;
mod routing;
mod silence;
mod statics;
mod streaming;
mod tls;
mod versions;
mod websocket;
