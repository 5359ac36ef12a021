//! What HTTP/2 viewers may do.

/// Limits of HTTP/2 connections of viewers. What the first three say holds for connections made after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2 {
    /// Requests at once on a connection. Default 100.
    pub max_concurrent_streams: u32,
    /// Bytes of a request body on their way. Default 128 KiB.
    pub stream_window: u32,
    /// Bytes of all request bodies of a connection on their way. Default 256 KiB.
    pub connection_window: u32,
    /// Requests that the viewer resets, a second; ten times as many at once. Default 50.
    pub max_resets: u32,
    /// Frames that carry nothing, a second; ten times as many at once. Default 100.
    pub max_control_frames: u32,
}
