//! The gate: what a viewer may not send is refused before an origin sees any of it, and the connection is closed.
//!
//! Every test sends raw bytes and looks at the raw bytes that the origin got.

mod body;
mod fields;
mod floods;
mod framing;
mod hosts;
mod http2;
mod limits;
mod methods;
mod paths;
mod readers;
mod slow;
mod support;
mod targets;
