//! Authorizers: hooks that say who may use a behavior.
//!
//! A behavior names its authorizer in the config. The edge asks it before all other hooks, once for each set of identity
//! sources (such as the `Authorization` header) and for as long as the binding's `ttl` says. Who has no identity at all gets
//! a 401 without a call.
//!
//! ```
//! use edgeweir_sdk::{Request, Result, authorizer};
//!
//! #[authorizer]
//! fn handle(request: &Request) -> Result<authorizer::Verdict> {
//!     let token = request.header("authorization");
//!     Ok(match token.as_ref().map(|token| token.as_bytes()) {
//!         Some(b"Bearer of-alice") => authorizer::Verdict::allow("alice").context("tenant", "acme"),
//!         Some(b"Bearer of-mallory") => authorizer::Verdict::deny().context("why", "you are blocked"),
//!         _ => authorizer::Verdict::unauthorized(),
//!     })
//! }
//! # fn main() {}
//! ```
//!
//! Read nothing of the request but its identity sources: what an authorizer says after it has read more is not kept, and it
//! is asked again for each request.

use std::fmt;
use std::time::Duration;

use crate::bindings::authorizer::exports::edgeweir::hook::authorizer as raw;

/// What an authorizer decided.
#[derive(Debug)]
pub struct Verdict(Decision);

#[derive(Debug)]
enum Decision {
    Allow(raw::Caller),
    Deny(Vec<(String, String)>),
    Unauthorized(Option<String>),
}

impl Verdict {
    /// The caller may pass; `principal` says who it is.
    #[must_use]
    pub fn allow(principal: impl Into<String>) -> Self {
        Self(Decision::Allow(raw::Caller {
            principal: Some(principal.into()),
            context: Vec::new(),
            api_key: None,
            max_age: None,
        }))
    }

    /// Somebody may pass who has no name.
    #[must_use]
    pub const fn allow_unnamed() -> Self {
        Self(Decision::Allow(raw::Caller { principal: None, context: Vec::new(), api_key: None, max_age: None }))
    }

    /// The caller may not pass: 403.
    #[must_use]
    pub const fn deny() -> Self {
        Self(Decision::Deny(Vec::new()))
    }

    /// Nobody can be told from the request: 401, with the binding's `WWW-Authenticate`.
    #[must_use]
    pub const fn unauthorized() -> Self {
        Self(Decision::Unauthorized(None))
    }

    /// A 401 with this `WWW-Authenticate`.
    #[must_use]
    pub fn unauthorized_with(challenge: impl Into<String>) -> Self {
        Self(Decision::Unauthorized(Some(challenge.into())))
    }

    /// Adds a value: for headers to the origin, limits and later hooks ([`Context::authorizer`](crate::Context::authorizer)),
    /// or for the text of a 403. Without effect on a 401.
    #[must_use]
    pub fn context(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let pair = (name.into(), value.into());
        match &mut self.0 {
            Decision::Allow(caller) => caller.context.push(pair),
            Decision::Deny(values) => values.push(pair),
            Decision::Unauthorized(_) => {}
        }
        self
    }

    /// The API key of a caller that may pass: its usage plan counts.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        if let Decision::Allow(caller) = &mut self.0 {
            caller.api_key = Some(key.into());
        }
        self
    }

    /// Keep it no longer than this, in whole seconds, whatever the binding's `ttl` says.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        if let Decision::Allow(caller) = &mut self.0 {
            caller.max_age = Some(u32::try_from(age.as_secs()).unwrap_or(u32::MAX));
        }
        self
    }

    /// Whether the caller may pass.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self.0, Decision::Allow(_))
    }
}

/// What an authorizer function may return.
#[diagnostic::on_unimplemented(
    message = "an authorizer cannot return `{Self}`",
    label = "not a verdict of an authorizer",
    note = "return `Result<authorizer::Verdict>` from `#[authorizer]`"
)]
pub trait Authorizes {
    /// The verdict, or why the hook failed.
    fn into_authorization(self) -> Result<Verdict, String>;
}

impl Authorizes for Verdict {
    fn into_authorization(self) -> Result<Verdict, String> {
        Ok(self)
    }
}

impl<E: fmt::Display> Authorizes for Result<Verdict, E> {
    fn into_authorization(self) -> Result<Verdict, String> {
        self.map_err(|error| error.to_string())
    }
}

/// What the attribute macro calls.
pub(crate) mod entry {
    use super::{Authorizes, Decision, raw};
    use crate::request::Request;

    /// What the export returns.
    pub type Reply = Result<raw::Verdict, String>;

    /// Runs an authorizer function.
    ///
    /// # Errors
    /// The hook's own message.
    pub fn run<R: Authorizes>(hook: impl FnOnce(&Request) -> R) -> Reply {
        crate::log::catch_panics();
        Ok(match hook(&Request::new()).into_authorization()?.0 {
            Decision::Allow(caller) => raw::Verdict::Allow(caller),
            Decision::Deny(values) => raw::Verdict::Deny(values),
            Decision::Unauthorized(challenge) => raw::Verdict::Unauthorized(challenge),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_carry_what_they_can() {
        let verdict = Verdict::allow("alice").context("tenant", "acme").api_key("k").max_age(Duration::from_secs(9));
        assert!(verdict.is_allowed());
        let Decision::Allow(caller) = verdict.0 else { panic!("allowed") };
        assert_eq!(caller.principal.as_deref(), Some("alice"));
        assert_eq!(caller.context, [("tenant".to_owned(), "acme".to_owned())]);
        assert_eq!((caller.api_key.as_deref(), caller.max_age), (Some("k"), Some(9)));
        let Decision::Deny(values) = Verdict::deny().context("why", "late").api_key("k").0 else { panic!("denied") };
        assert_eq!(values, [("why".to_owned(), "late".to_owned())]);
        assert!(!Verdict::unauthorized_with("Bearer").context("a", "b").is_allowed());
    }
}
