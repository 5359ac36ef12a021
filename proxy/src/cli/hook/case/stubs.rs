//! Answers that a case gives to the requests of its hook, and its key sets, in place of origins: no socket is opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use edgeweir_hookhost::{Fetch, FetchFuture, GeneratedResponse, Jwks, KeySet, Outgoing, Renewed, Secrets};
use http::StatusCode;
use serde::Deserialize;

use super::{OneOrMore, field, values};

/// `[[fetch]]`: one answer of an origin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stub {
    /// The origin that is asked.
    origin: String,
    /// The method; any if not given.
    method: Option<String>,
    /// Path and query; any if not given.
    target: Option<String>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, OneOrMore>,
    #[serde(default)]
    body: String,
    /// In place of an answer: what the hook is told went wrong.
    error: Option<String>,
}

/// A stub that was read.
pub(super) struct Ready {
    origin: String,
    method: Option<String>,
    target: Option<String>,
    answer: Result<GeneratedResponse, String>,
}

impl Stub {
    /// Reads the answer.
    ///
    /// # Errors
    /// If its status or a header is none.
    pub(super) fn answer(&self) -> anyhow::Result<Ready> {
        let mut headers = Vec::new();
        for (name, values) in &self.headers {
            for value in values.iter() {
                headers.push(field(name, value)?);
            }
        }
        let status = StatusCode::from_u16(self.status.unwrap_or(200))?;
        let answer = GeneratedResponse { status, headers, body: self.body.clone().into() };
        Ok(Ready {
            origin: self.origin.clone(),
            method: self.method.clone(),
            target: self.target.clone(),
            answer: self.error.clone().map_or(Ok(answer), Err),
        })
    }
}

/// All stubs of a case; the first that fits answers.
pub(super) struct Stubs(pub(super) Vec<Ready>);

impl Fetch for Stubs {
    fn send(&self, request: Outgoing) -> FetchFuture<'_> {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        let found = self.0.iter().find(|stub| {
            stub.origin == request.origin
                && same(&stub.method, request.method.as_str())
                && same(&stub.target, &request.target)
        });
        let answer = match found {
            Some(stub) => stub.answer.clone(),
            None => Err(format!(
                "the case has no `[[fetch]]` for {} {} of origin {:?}",
                request.method, request.target, request.origin
            )),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// A key set of a case: it never changes.
pub(super) struct Keys(Arc<Jwks>);

/// Reads a key set.
///
/// # Errors
/// If it is none, or has no key that can be used.
pub(super) fn keys(set: &toml::Table) -> anyhow::Result<Keys> {
    let json = values::json(set)?.to_string();
    Ok(Keys(Arc::new(Jwks::parse(json.as_bytes(), Secrets::Used)?)))
}

impl KeySet for Keys {
    fn keys(&self) -> Result<Arc<Jwks>, String> {
        Ok(Arc::clone(&self.0))
    }

    fn renew(&self) -> Renewed<'_> {
        Box::pin(std::future::ready(()))
    }
}
