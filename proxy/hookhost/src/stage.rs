//! The four stages at which hooks run, and the authorizer before them. Knows their names, nothing of what happens there.

use std::fmt;

/// Where in a request a hook may run.
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
    /// Before the first stage: who may use the behavior.
    Authorizer,
}

impl Stage {
    /// The four stages, in the order of a request.
    pub const ALL: [Self; 4] = [Self::ViewerRequest, Self::OriginRequest, Self::OriginResponse, Self::ViewerResponse];

    /// All that a hook may export: the stages and the authorizer.
    pub const EXPORTS: [Self; 5] =
        [Self::ViewerRequest, Self::OriginRequest, Self::OriginResponse, Self::ViewerResponse, Self::Authorizer];

    /// The name as in the config, the contract and logs, for example `viewer-request`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ViewerRequest => "viewer-request",
            Self::OriginRequest => "origin-request",
            Self::OriginResponse => "origin-response",
            Self::ViewerResponse => "viewer-response",
            Self::Authorizer => "authorizer",
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
