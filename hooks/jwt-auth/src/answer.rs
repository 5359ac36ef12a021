//! Why a request does not pass, and the answer it gets (RFC 6750, 3). Descriptions are fixed texts: nothing of the token
//! comes back.

use edgeweir_sdk::authorizer::Verdict;
use edgeweir_sdk::http::{self, Response};

/// Why a request does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No token: the answer says how to send one, and has no error code (RFC 6750, 3.1).
    NoCredentials,
    /// Credentials that cannot be read as one token: 400 `invalid_request`.
    InvalidRequest(&'static str),
    /// A token that does not pass: 401 `invalid_token`.
    InvalidToken(&'static str),
    /// A good token that does not reach so far: 403 `insufficient_scope`.
    InsufficientScope,
}

impl Refusal {
    /// A token that does not pass.
    pub(crate) const fn invalid(description: &'static str) -> Self {
        Self::InvalidToken(description)
    }
}

/// The challenge of a refusal (RFC 6750, 3).
fn challenge(realm: &str, error: Option<(&str, &str)>) -> String {
    match error {
        None => format!("Bearer realm=\"{realm}\""),
        Some((code, description)) => {
            format!("Bearer realm=\"{realm}\", error=\"{code}\", error_description=\"{description}\"")
        }
    }
}

/// What an authorizer says in place of an answer.
pub(crate) fn verdict(realm: &str, refusal: Refusal) -> Verdict {
    let error = match refusal {
        Refusal::NoCredentials => None,
        Refusal::InvalidRequest(description) => Some(("invalid_request", description)),
        Refusal::InvalidToken(description) => Some(("invalid_token", description)),
        Refusal::InsufficientScope => return Verdict::deny(),
    };
    Verdict::unauthorized_with(challenge(realm, error))
}

/// The answer. It is never stored.
///
/// # Errors
/// If the realm is not allowed in a header; settings are checked for that.
pub(crate) fn refuse(realm: &str, refusal: Refusal) -> Result<Response<String>, http::Error> {
    let (status, error) = match refusal {
        Refusal::NoCredentials => (401, None),
        Refusal::InvalidRequest(description) => (400, Some(("invalid_request", description))),
        Refusal::InvalidToken(description) => (401, Some(("invalid_token", description))),
        Refusal::InsufficientScope => (403, Some(("insufficient_scope", "the token lacks a scope"))),
    };
    let body = match error {
        None => r#"{"error":"unauthorized"}"#.to_owned(),
        Some((code, description)) => format!(r#"{{"error":"{code}","error_description":"{description}"}}"#),
    };
    let challenge = challenge(realm, error);
    Response::builder()
        .status(status)
        .header(http::header::WWW_AUTHENTICATE, challenge)
        .header(http::header::CACHE_CONTROL, "no-store")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_as_rfc_6750_has_them() {
        let cases = [
            (Refusal::NoCredentials, 401, r#"Bearer realm="edge""#),
            (
                Refusal::InvalidRequest("two tokens"),
                400,
                r#"Bearer realm="edge", error="invalid_request", error_description="two tokens""#,
            ),
            (
                Refusal::InsufficientScope,
                403,
                r#"Bearer realm="edge", error="insufficient_scope", error_description="the token lacks a scope""#,
            ),
            (
                Refusal::InvalidToken("too old"),
                401,
                r#"Bearer realm="edge", error="invalid_token", error_description="too old""#,
            ),
        ];
        for (refusal, status, challenge) in cases {
            let answer = refuse("edge", refusal).expect("an answer");
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["www-authenticate"], challenge);
            assert_eq!(answer.headers()["cache-control"], "no-store");
            assert!(serde_json::from_str::<serde_json::Value>(answer.body()).is_ok());
        }
    }
}
