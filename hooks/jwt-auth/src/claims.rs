//! What the claims of a token must say (RFC 7519, 4.1), and how they become headers. Whether the token is genuine was
//! decided before.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::answer::Refusal;
use crate::settings::Policy;

/// A header that the origin gets, or must not get: its name and value.
pub(crate) type Passed<'a> = (&'a str, Option<String>);

/// Checks times, issuer, audience and scopes.
pub(crate) fn check(policy: &Policy<'_>, claims: &Map<String, Value>, now: Duration) -> Result<(), Refusal> {
    let now = now.as_secs_f64();
    let leeway = f64::from(policy.leeway);
    match date(claims, "exp")? {
        // Section 4.1.4: on or after that time.
        Some(expires) if now >= expires + leeway => return Err(Refusal::invalid("the token has expired")),
        Some(_) => {}
        None if policy.require_exp => return Err(Refusal::invalid("the token has no expiry")),
        None => {}
    }
    if date(claims, "nbf")?.is_some_and(|not_before| now + leeway < not_before) {
        return Err(Refusal::invalid("the token is not valid yet"));
    }
    if date(claims, "iat")?.is_some_and(|issued| now + leeway < issued) {
        return Err(Refusal::invalid("the token is from the future"));
    }
    if policy.issuer.is_some_and(|issuer| claims.get("iss").and_then(Value::as_str) != Some(issuer)) {
        return Err(Refusal::invalid("the token has another issuer"));
    }
    if !policy.audience.is_empty() && !is_for(policy.audience, claims.get("aud")) {
        return Err(Refusal::invalid("the token is for another audience"));
    }
    if !policy.scopes.is_empty() && !has_scope(policy.scopes, claims) {
        return Err(Refusal::InsufficientScope);
    }
    Ok(())
}

/// The headers that the settings want from the claims, each without the viewer's own lines: a claim that is not there
/// removes them.
pub(crate) fn headers<'a>(policy: &Policy<'a>, claims: &Map<String, Value>) -> Result<Vec<Passed<'a>>, Refusal> {
    let mut headers = Vec::with_capacity(policy.claims.len());
    for &(claim, header) in &policy.claims {
        let value = match claims.get(claim) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        if value.as_deref().is_some_and(|value| !is_faithful(value)) {
            return Err(Refusal::invalid("a claim cannot be passed on as a header"));
        }
        headers.push((header, value));
    }
    Ok(headers)
}

/// Whether the origin will read from the header what the token says: no control character, nothing that is trimmed.
pub(crate) fn is_faithful(value: &str) -> bool {
    !value.chars().any(char::is_control) && value.trim_matches(' ').len() == value.len()
}

/// A `NumericDate` (section 2): seconds, fractions allowed.
fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(seconds)) => Ok(seconds.as_f64()),
        Some(_) => Err(Refusal::invalid("a time in the token is not a number")),
    }
}

/// Section 4.1.3: one string or a list of them.
fn is_for(audiences: &[String], claim: Option<&Value>) -> bool {
    let is_listed = |value: &Value| value.as_str().is_some_and(|value| audiences.iter().any(|one| one == value));
    match claim {
        Some(Value::Array(list)) => list.iter().any(is_listed),
        Some(one) => is_listed(one),
        None => false,
    }
}

/// Any one of them is enough, as with JWT authorizers of API Gateway. RFC 8693, 4.2: `scope` is one string of words; some servers write a list, and some call it `scp`.
fn has_scope(wanted: &[String], claims: &Map<String, Value>) -> bool {
    let words: Vec<&str> = match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(Value::String(words)) => words.split(' ').collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    wanted.iter().any(|scope| words.contains(&scope.as_str()))
}

#[cfg(test)]
mod tests;
