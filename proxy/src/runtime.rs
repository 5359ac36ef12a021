//! The impure rim: sockets, the accept loop, the clock. Nothing else in the crate opens a socket or reads a clock.

pub mod accept;
pub mod answer;
pub mod chunks;
pub mod clock;
pub mod conn;
pub mod connections;
pub mod ending;
pub mod frames;
pub mod handshake;
pub mod head;
pub mod hello;
pub mod pages;
pub mod patient;
pub mod proxy_protocol;
pub mod random;
pub mod resolver;
pub mod room;
pub mod stand_in;
pub mod turn;
