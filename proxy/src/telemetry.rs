//! What the edge tells of itself: the access log, its own events, metrics. It never decides anything about a request.

pub mod access_log;
pub mod events;
pub mod lines;
pub mod metrics;
pub mod observer;

mod json;
pub(crate) mod redact;
pub(crate) mod timestamp;
