//! The four stages at which hooks run. Knows their names, nothing of what happens there.

use std::fmt;

/// A stage of a request at which a hook may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// On every request, before the cache.
    ViewerRequest,
    /// Before the origin is asked.
    OriginRequest,
    /// After the origin answered, before the response is stored.
    OriginResponse,
    /// Before the response goes to the viewer.
    ViewerResponse,
}

impl Stage {
    /// All stages, in the order of a request.
    pub const ALL: [Self; 4] = [Self::ViewerRequest, Self::OriginRequest, Self::OriginResponse, Self::ViewerResponse];

    /// The name as in the config, the contract and logs, for example `viewer-request`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ViewerRequest => "viewer-request",
            Self::OriginRequest => "origin-request",
            Self::OriginResponse => "origin-response",
            Self::ViewerResponse => "viewer-response",
        }
    }

    /// Whether a response exists at this stage.
    #[must_use]
    pub fn has_response(self) -> bool {
        matches!(self, Self::OriginResponse | Self::ViewerResponse)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
