//! Custom error responses of a distribution, ready. Knows no request.

use std::time::Duration;

use edgeweir_config as model;
use http::StatusCode;

/// Custom error responses, by status.
#[derive(Debug, Default)]
pub struct ErrorResponses(Vec<ErrorResponse>);

/// What viewers get in place of an error.
#[derive(Debug)]
pub struct ErrorResponse {
    status: u16,
    /// The page, and the status with it.
    pub page: Option<(PageTarget, StatusCode)>,
    /// Shortest time that such an answer of an origin stays fresh.
    pub ttl: Option<Duration>,
}

/// Where a page is.
#[derive(Debug)]
pub struct PageTarget {
    /// Path and query.
    pub target: Box<str>,
    /// Index of the behavior that has it.
    pub behavior: usize,
}

impl ErrorResponses {
    /// Of a configuration.
    #[must_use]
    pub fn new(distribution: &model::Distribution) -> Self {
        let response = |written: &model::ErrorResponse| {
            let page = written.page.as_ref().and_then(|target| {
                let path = target.split('?').next().unwrap_or_default();
                // Those without conditions first: which of the others would hold, only a viewer's request can tell.
                let first = |all: bool| {
                    let mut behaviors = distribution.behaviors.iter();
                    behaviors
                        .position(|behavior| (all || behavior.conditions.is_empty()) && behavior.path.matches(path))
                };
                let behavior = first(false).or_else(|| first(true))?;
                let status = StatusCode::from_u16(written.response_status).ok()?;
                Some((PageTarget { target: target.as_str().into(), behavior }, status))
            });
            ErrorResponse { status: written.status, page, ttl: written.ttl }
        };
        Self(distribution.error_responses.iter().map(response).collect())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one for a status.
    #[must_use]
    pub fn find(&self, status: u16) -> Option<&ErrorResponse> {
        self.0.iter().find(|each| each.status == status)
    }
}
