//! What the edge answers by itself: gateway responses, and to pages of other origins (CORS).

use std::time::Duration;

use crate::units::{OriginPattern, Template};

/// Kinds of answers that can be changed, as API Gateway names them ("Gateway response types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResponseType {
    /// The authorizer denies.
    AccessDenied,
    /// A hook is missing or broke a rule.
    ApiConfigurationError,
    /// The authorizer's answer breaks a rule.
    AuthorizerConfigurationError,
    /// The authorizer failed.
    AuthorizerFailure,
    /// No connection to the origin, or none that can be read.
    IntegrationFailure,
    /// The origin did not answer in time.
    IntegrationTimeout,
    /// No API key, or one that is not good here.
    InvalidApiKey,
    /// A signed URL or cookie is over.
    ExpiredToken,
    /// A signature of a URL or cookie is not good.
    InvalidSignature,
    /// A signed URL or cookie is needed, and there is none.
    MissingAuthenticationToken,
    /// A quota is used up.
    QuotaExceeded,
    /// The body is too large.
    RequestTooLarge,
    /// No distribution or behavior.
    ResourceNotFound,
    /// A limit of rate or requests at once.
    Throttled,
    /// The authorizer's identity is missing, or it says so.
    Unauthorized,
    /// A geo restriction refuses the viewer.
    WafFiltered,
    /// All other answers from 400 to 499.
    Default4xx,
    /// All other answers from 500 to 599.
    Default5xx,
}

impl ResponseType {
    /// How many there are.
    pub const COUNT: usize = 18;
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); Self::COUNT] = [
        ("ACCESS_DENIED", Self::AccessDenied),
        ("API_CONFIGURATION_ERROR", Self::ApiConfigurationError),
        ("AUTHORIZER_CONFIGURATION_ERROR", Self::AuthorizerConfigurationError),
        ("AUTHORIZER_FAILURE", Self::AuthorizerFailure),
        ("EXPIRED_TOKEN", Self::ExpiredToken),
        ("INTEGRATION_FAILURE", Self::IntegrationFailure),
        ("INTEGRATION_TIMEOUT", Self::IntegrationTimeout),
        ("INVALID_API_KEY", Self::InvalidApiKey),
        ("INVALID_SIGNATURE", Self::InvalidSignature),
        ("MISSING_AUTHENTICATION_TOKEN", Self::MissingAuthenticationToken),
        ("QUOTA_EXCEEDED", Self::QuotaExceeded),
        ("REQUEST_TOO_LARGE", Self::RequestTooLarge),
        ("RESOURCE_NOT_FOUND", Self::ResourceNotFound),
        ("THROTTLED", Self::Throttled),
        ("UNAUTHORIZED", Self::Unauthorized),
        ("WAF_FILTERED", Self::WafFiltered),
        ("DEFAULT_4XX", Self::Default4xx),
        ("DEFAULT_5XX", Self::Default5xx),
    ];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, each)| *each == self).map_or("", |(name, _)| name)
    }
}

/// What is different in an answer of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayResponse {
    /// Which answers.
    pub kind: ResponseType,
    /// Another status, 200 to 599.
    pub status: Option<u16>,
    /// Fields, lower case; they replace those of the edge.
    pub headers: Vec<(String, Template)>,
    /// Another body.
    pub body: Option<Template>,
    /// Its media type. Default `application/json`.
    pub content_type: String,
}

/// Which pages of other origins may use a behavior (Fetch, "CORS protocol").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Whose pages.
    pub origins: Vec<OriginPattern>,
    /// Methods, as sent; the behavior's if none.
    pub methods: Vec<String>,
    /// Request fields, as sent; `*` alone for all.
    pub headers: Vec<String>,
    /// Response fields that pages may read; `*` alone for all.
    pub expose: Vec<String>,
    /// Whether browsers send cookies and such.
    pub credentials: bool,
    /// How long a browser keeps the answer to a preflight.
    pub max_age: Option<Duration>,
    /// Take the place of what the origin says; otherwise only where it says nothing. Default true.
    pub overrides: bool,
}
