//! Custom error responses.

use std::time::Duration;

/// What viewers get in place of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorResponse {
    /// The status of the error.
    pub status: u16,
    /// Target of the page in the same distribution; without, only `ttl` counts.
    pub page: Option<String>,
    /// The status with the page.
    pub response_status: u16,
    /// Shortest time that it stays fresh; zero for never stored.
    pub ttl: Option<Duration>,
}
