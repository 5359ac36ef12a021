//! Why the edge answers by itself: one closed enum, and the only table from errors to answers.
//!
//! Statuses and messages follow API Gateway and CloudFront where they have one ("Gateway responses", "HTTP 502 status
//! code"); the rest follows RFC 9110.

use std::fmt::Write as _;

use edgeweir_config::ResponseType;
use edgeweir_hookhost::HookFault;
use pingora::{Error, ErrorSource, ErrorType};

/// Why the edge answers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Framing that could be read in two ways (RFC 9112, 6.3).
    BadFraming,
    /// A transfer coding that is not understood (RFC 9112, 6.1).
    UnknownTransferCoding,
    /// `Host` or `:authority` is missing, doubled or malformed (RFC 9112, 3.2).
    BadHost,
    /// The request target is none that is served (RFC 9112, 3.2).
    BadTarget,
    /// A spelling of a path that two readers could take for two paths.
    AmbiguousPath,
    /// The target is longer than `gate.max_url`.
    UrlTooLong,
    /// The header fields are more or larger than the gate lets through.
    HeadersTooLarge,
    /// The body is larger than `gate.max_body`.
    BodyTooLarge,
    /// An expectation other than `100-continue` (RFC 9110, 10.1.1).
    ExpectationFailed,
    /// A method that the behavior does not let through.
    MethodNotAllowed,
    /// Another host than the connection is for (RFC 9110, 7.4).
    Misdirected,
    /// No distribution has this host.
    UnknownHost,
    /// No behavior of the distribution has this path.
    NoBehavior,
    /// The viewer is where a geo restriction lets nobody in.
    GeoBlocked,
    /// The viewer speaks HTTP where only HTTPS is served.
    HttpsRequired,
    /// No API key, an unknown or disabled one, or one without a plan for this distribution: all look the same.
    Forbidden,
    /// The behavior wants a signed URL or cookie, and there is none.
    SignatureMissing,
    /// A signature that no trusted key made, or that cannot be read.
    SignatureInvalid,
    /// A signed URL or cookie is over.
    SignatureExpired,
    /// The policy that was signed does not allow this.
    SignatureDenied,
    /// A bucket must not be asked this.
    BucketRefused,
    /// A limit has no room.
    Throttled,
    /// Nobody can be told from the request, or the authorizer says so.
    Unauthorized,
    /// The authorizer denies.
    AccessDenied,
    /// The authorizer trapped, took too long or returned an error.
    AuthorizerFailed,
    /// The authorizer's answer breaks a rule.
    AuthorizerInvalid,
    /// The quota of the key is used up.
    QuotaExceeded,
    /// Nothing is leased, and the store of quotas does not answer.
    QuotaStore,
    /// A hook trapped or returned an error.
    HookFailed,
    /// A hook ran out of time.
    HookTimeout,
    /// A hook's answer breaks a rule.
    HookInvalid,
    /// No instance is free.
    HookOverloaded,
    /// No room for a request body that a hook wants to see: `gate.body_memory`.
    BodyMemory,
    /// A hook is bound but not there. Never served without it.
    HookMissing,
    /// The request asked for a stored answer only, and there is none (RFC 9111, 5.2.1.7).
    NotStored,
    /// The origin works on as many requests as it may, and no place came free in time: `max_requests`.
    OriginBusy,
    /// The origin's name cannot be resolved.
    OriginDns,
    /// The origin takes no connection.
    OriginConnect,
    /// TLS to the origin failed.
    OriginTls,
    /// The origin did not answer in time.
    OriginTimeout,
    /// The origin broke off, or its answer cannot be read.
    OriginProtocol,
    /// The request has come through too many edges: an origin leads back to one (RFC 5842, 7.2).
    Loop,
    /// The viewer left, or stopped sending or reading. Nobody sees this answer.
    ViewerGone,
    /// The viewer's body stopped coming.
    ViewerTimeout,
    /// A request that cannot be read.
    BadRequest,
    /// Something in the edge is wrong.
    Internal,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 46] = [
        Self::BadFraming,
        Self::UnknownTransferCoding,
        Self::BadHost,
        Self::BadTarget,
        Self::AmbiguousPath,
        Self::UrlTooLong,
        Self::HeadersTooLarge,
        Self::BodyTooLarge,
        Self::ExpectationFailed,
        Self::MethodNotAllowed,
        Self::Misdirected,
        Self::UnknownHost,
        Self::NoBehavior,
        Self::GeoBlocked,
        Self::HttpsRequired,
        Self::Forbidden,
        Self::SignatureMissing,
        Self::SignatureInvalid,
        Self::SignatureExpired,
        Self::SignatureDenied,
        Self::BucketRefused,
        Self::Throttled,
        Self::Unauthorized,
        Self::AccessDenied,
        Self::AuthorizerFailed,
        Self::AuthorizerInvalid,
        Self::QuotaExceeded,
        Self::QuotaStore,
        Self::HookFailed,
        Self::HookTimeout,
        Self::HookInvalid,
        Self::HookOverloaded,
        Self::BodyMemory,
        Self::HookMissing,
        Self::NotStored,
        Self::OriginBusy,
        Self::OriginDns,
        Self::OriginConnect,
        Self::OriginTls,
        Self::OriginTimeout,
        Self::OriginProtocol,
        Self::Loop,
        Self::ViewerGone,
        Self::ViewerTimeout,
        Self::BadRequest,
        Self::Internal,
    ];

    /// Status, message and metric label.
    const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::BadFraming => (400, "Bad Request: ambiguous message length", "bad-framing"),
            Self::UnknownTransferCoding => (501, "Not Implemented", "unknown-transfer-coding"),
            Self::BadHost => (400, "Bad Request: missing or malformed host", "bad-host"),
            Self::BadTarget => (400, "Bad Request: malformed request target", "bad-target"),
            Self::AmbiguousPath => (400, "Bad Request: ambiguous path", "ambiguous-path"),
            Self::UrlTooLong => (414, "URI Too Long", "url-too-long"),
            Self::HeadersTooLarge => (431, "Request Header Fields Too Large", "headers-too-large"),
            Self::BodyTooLarge => (413, "Content Too Large", "body-too-large"),
            Self::ExpectationFailed => (417, "Expectation Failed", "expectation-failed"),
            Self::MethodNotAllowed => (405, "Method Not Allowed", "method-not-allowed"),
            Self::Misdirected => (
                421,
                "Misdirected Request: the certificate of this connection is not valid for the host",
                "misdirected",
            ),
            Self::UnknownHost => (404, "Not Found: no distribution has this host", "unknown-host"),
            Self::NoBehavior => (404, "Not Found: no behavior has this path", "no-behavior"),
            Self::GeoBlocked => (403, "Forbidden: not available where you are", "geo-blocked"),
            Self::HttpsRequired => (403, "Forbidden: HTTPS is required", "https-required"),
            Self::Forbidden => (403, "Forbidden", "forbidden"),
            Self::SignatureMissing => (403, "Missing Key-Pair-Id query parameter or cookie value", "signature-missing"),
            Self::SignatureInvalid => (403, "Access denied: the signature is not valid", "signature-invalid"),
            Self::SignatureExpired => (403, "Access denied: the signature is no longer valid", "signature-expired"),
            Self::SignatureDenied => (403, "Access denied by the policy that is signed", "signature-denied"),
            Self::BucketRefused => (403, "Access denied", "bucket-refused"),
            Self::Throttled => (429, "Too Many Requests", "throttled"),
            Self::Unauthorized => (401, "Unauthorized", "unauthorized"),
            Self::AccessDenied => {
                (403, "User is not authorized to access this resource with an explicit deny", "access-denied")
            }
            Self::AuthorizerFailed => (500, "Internal server error", "authorizer-failed"),
            Self::AuthorizerInvalid => (500, "Internal server error", "authorizer-invalid"),
            Self::QuotaExceeded => (429, "Limit Exceeded", "quota-exceeded"),
            Self::QuotaStore => (503, "Service Unavailable", "quota-store"),
            Self::HookFailed => (503, "Service Unavailable", "hook-failed"),
            Self::HookTimeout => (503, "Service Unavailable", "hook-timeout"),
            Self::HookInvalid => (502, "Bad Gateway", "hook-invalid"),
            Self::HookOverloaded => (503, "Service Unavailable", "hook-overloaded"),
            Self::BodyMemory => (503, "Service Unavailable", "body-memory"),
            Self::HookMissing => (503, "Service Unavailable", "hook-missing"),
            Self::NotStored => (504, "Gateway Timeout", "not-stored"),
            Self::OriginBusy => (503, "Service Unavailable", "origin-busy"),
            Self::OriginDns => (502, "Bad Gateway", "origin-dns"),
            Self::OriginConnect => (502, "Bad Gateway", "origin-connect"),
            Self::OriginTls => (502, "Bad Gateway", "origin-tls"),
            Self::OriginTimeout => (504, "Gateway Timeout", "origin-timeout"),
            Self::OriginProtocol => (502, "Bad Gateway", "origin-protocol"),
            Self::Loop => (508, "Loop Detected", "loop"),
            Self::ViewerGone => (499, "Client Closed Request", "viewer-gone"),
            Self::ViewerTimeout => (408, "Request Timeout", "viewer-timeout"),
            Self::BadRequest => (400, "Bad Request", "bad-request"),
            Self::Internal => (500, "Internal Server Error", "internal"),
        }
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// The message of the answer's body.
    #[must_use]
    pub const fn message(self) -> &'static str {
        self.row().1
    }

    /// As logs and metrics name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().2
    }

    /// `x-amzn-ErrorType`, where API Gateway has one ("Gateway responses").
    #[must_use]
    pub const fn error_type(self) -> Option<&'static str> {
        match self {
            Self::Forbidden => Some("ForbiddenException"),
            Self::SignatureMissing => Some("MissingAuthenticationTokenException"),
            Self::SignatureInvalid => Some("InvalidSignatureException"),
            Self::SignatureExpired => Some("ExpiredTokenException"),
            Self::SignatureDenied | Self::BucketRefused => Some("AccessDeniedException"),
            Self::Throttled => Some("TooManyRequestsException"),
            Self::Unauthorized => Some("UnauthorizedException"),
            Self::AccessDenied => Some("AccessDeniedException"),
            Self::AuthorizerFailed | Self::AuthorizerInvalid => Some("AuthorizerConfigurationException"),
            Self::BodyTooLarge => Some("RequestTooLargeException"),
            Self::QuotaExceeded => Some("LimitExceededException"),
            _ => None,
        }
    }

    /// `X-Cache`, in CloudFront's words ("Determine the type of error" of Lambda@Edge).
    #[must_use]
    pub const fn x_cache(self) -> &'static str {
        match self {
            Self::HookInvalid => "LambdaValidationError from cloudfront",
            Self::HookFailed | Self::HookTimeout => "LambdaExecutionError from cloudfront",
            Self::HookOverloaded => "LambdaLimitExceeded from cloudfront",
            _ => "Error from cloudfront",
        }
    }

    /// The member of the body that has the message: API Gateway writes it with a capital letter where an authorizer denies.
    #[must_use]
    pub const fn message_key(self) -> &'static str {
        match self {
            Self::AccessDenied => "Message",
            _ => "message",
        }
    }

    /// The gateway response type that changes the answer; none if only that of its class does.
    #[must_use]
    pub const fn response_type(self) -> Option<ResponseType> {
        Some(match self {
            Self::AccessDenied | Self::SignatureDenied | Self::BucketRefused => ResponseType::AccessDenied,
            Self::SignatureMissing => ResponseType::MissingAuthenticationToken,
            Self::SignatureInvalid => ResponseType::InvalidSignature,
            Self::SignatureExpired => ResponseType::ExpiredToken,
            Self::HookMissing | Self::HookInvalid => ResponseType::ApiConfigurationError,
            Self::AuthorizerInvalid => ResponseType::AuthorizerConfigurationError,
            Self::AuthorizerFailed => ResponseType::AuthorizerFailure,
            Self::OriginBusy | Self::OriginDns | Self::OriginConnect | Self::OriginTls | Self::OriginProtocol => {
                ResponseType::IntegrationFailure
            }
            Self::OriginTimeout => ResponseType::IntegrationTimeout,
            Self::Forbidden => ResponseType::InvalidApiKey,
            Self::BodyTooLarge => ResponseType::RequestTooLarge,
            Self::UnknownHost | Self::NoBehavior => ResponseType::ResourceNotFound,
            Self::Throttled => ResponseType::Throttled,
            Self::QuotaExceeded => ResponseType::QuotaExceeded,
            Self::Unauthorized => ResponseType::Unauthorized,
            Self::GeoBlocked => ResponseType::WafFiltered,
            Self::BadFraming
            | Self::UnknownTransferCoding
            | Self::BadHost
            | Self::BadTarget
            | Self::AmbiguousPath
            | Self::UrlTooLong
            | Self::HeadersTooLarge
            | Self::ExpectationFailed
            | Self::HttpsRequired
            | Self::Misdirected
            | Self::MethodNotAllowed
            | Self::HookFailed
            | Self::HookTimeout
            | Self::HookOverloaded
            | Self::BodyMemory
            | Self::QuotaStore
            | Self::NotStored
            | Self::Loop
            | Self::ViewerGone
            | Self::ViewerTimeout
            | Self::BadRequest
            | Self::Internal => return None,
        })
    }

    /// The labels of all faults.
    #[must_use]
    pub const fn labels() -> &'static [&'static str] {
        const LABELS: [&str; Fault::ALL.len()] = {
            let mut labels = [""; Fault::ALL.len()];
            let mut at = 0;
            while at < labels.len() {
                labels[at] = Fault::ALL[at].as_str();
                at += 1;
            }
            labels
        };
        &LABELS
    }

    /// Whether the connection is closed after the answer: what comes next on it cannot be trusted, or is not wanted.
    #[must_use]
    pub const fn closes(self) -> bool {
        matches!(
            self,
            Self::BadFraming
                | Self::UnknownTransferCoding
                | Self::BadHost
                | Self::BadTarget
                | Self::AmbiguousPath
                | Self::UrlTooLong
                | Self::HeadersTooLarge
                | Self::BodyTooLarge
                | Self::ExpectationFailed
                | Self::MethodNotAllowed
                | Self::ViewerGone
                | Self::ViewerTimeout
                | Self::BadRequest
        )
    }

    /// Whether the origin cannot be reached or does not answer as it should: what a stale object may cover.
    #[must_use]
    pub const fn is_origins(self) -> bool {
        matches!(
            self,
            Self::OriginBusy
                | Self::OriginDns
                | Self::OriginConnect
                | Self::OriginTls
                | Self::OriginTimeout
                | Self::OriginProtocol
        )
    }

    /// What an error of pingora means.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        let by_viewer = matches!(error.esource(), ErrorSource::Downstream);
        let by_origin = matches!(error.esource(), ErrorSource::Upstream);
        match error.etype() {
            ErrorType::HTTPStatus(413) => Self::BodyTooLarge,
            ErrorType::ReadTimedout if by_viewer => Self::ViewerTimeout,
            ErrorType::InvalidHTTPHeader if by_viewer => Self::BadRequest,
            ErrorType::ReadError
            | ErrorType::WriteError
            | ErrorType::WriteTimedout
            | ErrorType::ConnectionClosed
            | ErrorType::H2Error
                if by_viewer =>
            {
                Self::ViewerGone
            }
            ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout => Self::OriginTimeout,
            ErrorType::TLSHandshakeTimedout => Self::OriginTimeout,
            ErrorType::TLSHandshakeFailure
            | ErrorType::InvalidCert
            | ErrorType::HandshakeError
            | ErrorType::TLSWantX509Lookup => Self::OriginTls,
            ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::BindError
            | ErrorType::SocketError
            | ErrorType::ConnectProxyFailure => Self::OriginConnect,
            _ if by_viewer => Self::BadRequest,
            _ if by_origin => Self::OriginProtocol,
            _ => Self::Internal,
        }
    }
}

impl From<&HookFault> for Fault {
    fn from(fault: &HookFault) -> Self {
        match fault {
            HookFault::Timeout { .. } => Self::HookTimeout,
            HookFault::Validation(_) => Self::HookInvalid,
            HookFault::Overloaded => Self::HookOverloaded,
            _ => Self::HookFailed,
        }
    }
}

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a string does not fail.
        let _always = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_and_viewer_errors_are_told_apart() {
        let table = [
            (ErrorType::ConnectRefused, true, Fault::OriginConnect),
            (ErrorType::ConnectTimedout, true, Fault::OriginTimeout),
            (ErrorType::ReadTimedout, true, Fault::OriginTimeout),
            (ErrorType::InvalidHTTPHeader, true, Fault::OriginProtocol),
            (ErrorType::ConnectionClosed, true, Fault::OriginProtocol),
            (ErrorType::ReadTimedout, false, Fault::ViewerTimeout),
            (ErrorType::WriteError, false, Fault::ViewerGone),
            (ErrorType::InvalidHTTPHeader, false, Fault::BadRequest),
        ];
        for (kind, origin, wanted) in table {
            let mut error = Error::new(kind.clone());
            if origin {
                error.as_up();
            } else {
                error.as_down();
            }
            assert_eq!(Fault::of(&error), wanted, "{kind:?}");
        }
    }
}
