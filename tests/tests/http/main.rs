//! Proxying: methods, bodies, protocols, streaming, errors of origins, and the fields that the edge adds.

mod acme;
mod browser;
mod certificates;
mod faults;
mod forwarding;
mod idle;
mod memory;
mod passing;
mod pool;
mod resumption;
mod silence;
mod streaming;
mod tls;
mod versions;
mod websocket;
