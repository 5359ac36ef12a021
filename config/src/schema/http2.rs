//! What HTTP/2 viewers may do.

use crate::decode::{Count, Size, table};

/// Bytes.
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

table! {
    /// Limits of HTTP/2 connections of viewers.
    Http2 {
        /// Requests at once on a connection, 1 to 10,000; more are refused. Default: 100. A change needs a restart.
        max_concurrent_streams: Opt<Count<1, 10_000>>,
        /// Bytes of a request body that a viewer may send ahead, 1KiB to 16MiB. Default: "128KiB". A change needs a
        /// restart.
        stream_window: Opt<Size<KIB, {16 * MIB}>>,
        /// The same for all requests of a connection together, 64KiB to 64MiB. Default: "256KiB". A change needs a restart.
        connection_window: Opt<Size<{64 * KIB}, {64 * MIB}>>,
        /// Requests that a viewer may reset in a second, 1 to 1,000,000, and ten times as many at once; with more its
        /// connection is ended. Default: 50.
        max_resets: Opt<Count<1, 1_000_000>>,
        /// Frames that carry nothing (PING, SETTINGS, PRIORITY, unknown ones, grants of window that nothing was sent for)
        /// in a second, 1 to 1,000,000, and ten times as many at once; with more the connection is ended. Default: 100.
        max_control_frames: Opt<Count<1, 1_000_000>>,
    }
}
