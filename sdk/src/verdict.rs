//! What a request stage decided, and how what a hook function returns becomes the stage's reply.

use std::fmt;

use crate::bindings::imports::edgeweir::hook::types::{GeneratedResponse, Header};
use crate::edits::Edits;
use crate::stage::{RequestStage, Stage};

/// What a hook decided at a request stage: go on, or answer now.
///
/// Use it through the alias of the stage, for example [`viewer_request::Verdict`](crate::viewer_request::Verdict).
#[derive(Debug)]
pub struct Verdict<S: RequestStage>(Decision<S>);

enum Decision<S: RequestStage> {
    Next(Edits<S>),
    Respond(GeneratedResponse),
}

impl<S: RequestStage> Verdict<S> {
    /// Go on without a change. With changes: `Ok(edits.into())`.
    #[must_use]
    pub const fn next() -> Self {
        Self(Decision::Next(Edits::new()))
    }

    /// Answer now. At viewer-request the answer goes to the viewer and is never cached; at origin-request it stands for
    /// the origin's answer. `content-length` is computed.
    ///
    /// ```
    /// use edgeweir_sdk::{Result, http, viewer_request};
    ///
    /// fn redirect(to: &str) -> Result<viewer_request::Verdict> {
    ///     let response = http::Response::builder().status(308).header("location", to).body("")?;
    ///     Ok(viewer_request::Verdict::respond(response))
    /// }
    /// assert!(redirect("/new")?.is_response());
    /// # Ok::<(), edgeweir_sdk::Error>(())
    /// ```
    #[must_use]
    pub fn respond<B: Into<Vec<u8>>>(response: http::Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| Header { name: name.as_str().to_owned(), value: value.as_bytes().to_vec() })
            .collect();
        let status = parts.status.as_u16();
        Self(Decision::Respond(GeneratedResponse { status, headers, body: body.into() }))
    }

    /// Whether the hook answers by itself.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        matches!(self.0, Decision::Respond(_))
    }
}

impl<S: RequestStage> From<Edits<S>> for Verdict<S> {
    fn from(edits: Edits<S>) -> Self {
        Self(Decision::Next(edits))
    }
}

impl<S: RequestStage> fmt::Debug for Decision<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Next(edits) => write!(f, "Next({} edits)", edits.len()),
            Self::Respond(response) => write!(f, "Respond({})", response.status),
        }
    }
}

/// What a hook function of a request stage may return.
#[diagnostic::on_unimplemented(
    message = "a hook at this stage cannot return `{Self}`",
    label = "not a verdict of this stage",
    note = "return `Result<viewer_request::Verdict>` from `#[viewer_request]` and `Result<origin_request::Verdict>` from \
            `#[origin_request]`; a hook that never answers by itself may return `Result<…::Edits>`"
)]
pub trait IntoVerdict<S: RequestStage> {
    /// The verdict, or why the hook failed.
    fn into_verdict(self) -> Result<Verdict<S>, String>;
}

impl<S: RequestStage> IntoVerdict<S> for Verdict<S> {
    fn into_verdict(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl<S: RequestStage> IntoVerdict<S> for Edits<S> {
    fn into_verdict(self) -> Result<Verdict<S>, String> {
        Ok(self.into())
    }
}

impl<S: RequestStage, T: IntoVerdict<S>, E: fmt::Display> IntoVerdict<S> for Result<T, E> {
    fn into_verdict(self) -> Result<Verdict<S>, String> {
        self.map_err(|error| error.to_string())?.into_verdict()
    }
}

/// What a hook function of a response stage may return.
#[diagnostic::on_unimplemented(
    message = "a hook at this stage cannot return `{Self}`",
    label = "not the edits of this stage",
    note = "return `Result<origin_response::Edits>` from `#[origin_response]` and `Result<viewer_response::Edits>` from \
            `#[viewer_response]`"
)]
pub trait IntoEdits<S: Stage> {
    /// The edits, or why the hook failed.
    fn into_edits(self) -> Result<Edits<S>, String>;
}

impl<S: Stage> IntoEdits<S> for Edits<S> {
    fn into_edits(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl<S: Stage, T: IntoEdits<S>, E: fmt::Display> IntoEdits<S> for Result<T, E> {
    fn into_edits(self) -> Result<Edits<S>, String> {
        self.map_err(|error| error.to_string())?.into_edits()
    }
}

/// The entry points that the attribute macros call: one for each stage, from the typed world to the contract's.
pub mod entry {
    use super::{Decision, IntoEdits, IntoVerdict};
    use crate::bindings;
    use crate::request::Request;
    use crate::response::Response;
    use crate::stage;

    macro_rules! request_entry {
        ($module:ident, $stage:ident, $reply:ident) => {
            /// What the stage's export returns.
            pub type $reply = Result<bindings::$module::exports::edgeweir::hook::$module::Verdict, String>;

            /// Runs a hook function of this stage.
            ///
            /// # Errors
            /// The hook's own message.
            pub fn $module<R: IntoVerdict<stage::$stage>>(hook: impl FnOnce(&Request) -> R) -> $reply {
                use bindings::$module::exports::edgeweir::hook::$module::Verdict;

                crate::log::catch_panics();
                Ok(match hook(&Request::new()).into_verdict()?.0 {
                    Decision::Next(edits) => Verdict::Next(edits.into_list()),
                    Decision::Respond(response) => Verdict::Respond(response),
                })
            }
        };
    }

    macro_rules! response_entry {
        ($module:ident, $stage:ident, $reply:ident) => {
            /// What the stage's export returns.
            pub type $reply = Result<Vec<bindings::$module::exports::edgeweir::hook::$module::Edit>, String>;

            /// Runs a hook function of this stage.
            ///
            /// # Errors
            /// The hook's own message.
            pub fn $module<R: IntoEdits<stage::$stage>>(hook: impl FnOnce(&Request, &Response) -> R) -> $reply {
                crate::log::catch_panics();
                Ok(hook(&Request::new(), &Response::new()).into_edits()?.into_list())
            }
        };
    }

    pub use crate::authorizer::entry::{Reply as AuthorizerReply, run as authorizer};

    request_entry!(viewer_request, ViewerRequest, ViewerRequestReply);
    request_entry!(origin_request, OriginRequest, OriginRequestReply);
    response_entry!(origin_response, OriginResponse, OriginResponseReply);
    response_entry!(viewer_response, ViewerResponse, ViewerResponseReply);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{OriginResponse, ViewerRequest};

    #[test]
    fn a_generated_response_keeps_status_headers_and_body() {
        let response = http::Response::builder()
            .status(401)
            .header("WWW-Authenticate", "Bearer")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .body("who are you?")
            .expect("valid");
        let Decision::Respond(made) = Verdict::<ViewerRequest>::respond(response).0 else { panic!("not a response") };
        assert_eq!(made.status, 401);
        assert_eq!(made.headers.len(), 3);
        assert_eq!(made.headers[0].name, "www-authenticate");
        assert_eq!(made.body, b"who are you?");
    }

    #[test]
    fn replies_carry_the_message_of_the_error() {
        let failed: Result<Edits<ViewerRequest>, _> = Err(crate::Error::new("no settings"));
        assert_eq!(failed.into_verdict().map(|_| ()), Err("no settings".to_owned()));
        let failed: Result<Edits<OriginResponse>, &str> = Err("no settings");
        assert_eq!(failed.into_edits().map(|_| ()), Err("no settings".to_owned()));
    }

    #[test]
    fn edits_are_a_verdict() {
        let verdict = Edits::<ViewerRequest>::new().path("/x").into_verdict().expect("no error");
        assert!(!verdict.is_response());
        assert_eq!(format!("{verdict:?}"), "Verdict(Next(1 edits))");
    }
}
