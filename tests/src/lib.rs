//! The harness of Edgeweir's end-to-end tests: start an edge in this process on port 0, put good and hostile origins
//! behind it, and talk to it with clients that show every byte.
//!
//! It must not know how the edge works inside: tests see configs, sockets, logs and metrics, as users do. Nothing here
//! waits without a deadline, and a missing deadline fails with the name of what was waited for.

pub mod certs;
pub mod clock;
pub mod edge;
pub mod gate;
pub mod h2_origin;
pub mod h2_raw;
pub mod heavy;
pub mod hostile;
pub mod http2;
pub mod jwt;
pub mod mmdb;
pub mod names;
pub mod origin;
pub mod pebble;
pub mod process;
pub mod raw;
pub mod redis;
pub mod reply;
pub mod wait;
pub mod wasm;
pub mod websocket;
pub mod wire;
