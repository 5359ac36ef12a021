//! Lets requests with a valid JSON Web Token (RFC 7519) pass, and hands its claims to the origin as headers. Everybody
//! else gets a 401. See README.md for the settings.
//!
//! Whether a token is good is decided in `decision`, from plain values; this file reads the request and turns the outcome
//! into a verdict.

use edgeweir_sdk::http::HeaderValue;
use edgeweir_sdk::validate::Problem;
use edgeweir_sdk::{Request, Result, authorizer, clock, crypto, jwks, settings, validate, viewer_request};

mod answer;
mod caller;
mod claims;
mod credentials;
mod decision;
mod json;
mod settings;
mod token;

use credentials::Credentials;
use decision::{Outcome, Signatures};
use settings::{Algorithm, Policy, Settings};
use token::Token;

/// Before the edge takes a config.
#[validate]
fn check(settings: &Settings) -> Result<(), Problem> {
    let policy = settings.policy()?;
    match policy.jwks {
        Some(name) if !jwks::set(name).is_granted() => {
            let message = format!("the binding does not grant the key set `{name}`: add `jwks = [\"{name}\"]` to it");
            Err(Problem::new(message).at("/jwks"))
        }
        _ => Ok(()),
    }
}

/// Signatures as the edge checks them.
struct Edge;

impl Signatures for Edge {
    fn with_key(&self, algorithm: Algorithm, key: &[u8], data: &[u8], signature: &[u8]) -> Result<bool> {
        crypto::verify_token(algorithm.name(), key, data, signature)
    }

    fn with_set(&self, set: &str, token: &Token<'_>) -> Result<jwks::Outcome> {
        jwks::set(set).verify(&token.algorithm, token.kid.as_deref(), token.signed, &token.signature)
    }
}

#[viewer_request]
fn handle(request: &Request) -> Result<viewer_request::Verdict> {
    let settings = settings::<Settings>()?;
    let policy = settings.policy()?;
    let credentials = credentials(&policy, request);
    let passed = match decision::decide(&policy, &credentials, clock::now(), &Edge)? {
        Outcome::Pass(passed, _claims) => passed,
        Outcome::Refuse(refusal) => {
            return Ok(viewer_request::Verdict::respond(answer::refuse(policy.realm, refusal)?));
        }
    };

    let mut edits = viewer_request::Edits::new();
    if policy.strip_authorization {
        edits = edits.remove_header("authorization")?;
    }
    for (name, value) in &passed {
        edits = match value {
            Some(value) => edits.set_header(*name, HeaderValue::from_str(value)?)?,
            // The viewer must not be able to say what the token does not.
            None => edits.remove_header(*name)?,
        };
    }
    if !passed.is_empty() && !policy.share_cache {
        edits = edits.cache_key(cache_key(&passed)?);
    }
    Ok(edits.into())
}

/// As a behavior's authorizer: claims go into the context, and the edge keeps the answer until the token expires at most.
#[authorizer]
fn authorize(request: &Request) -> Result<authorizer::Verdict> {
    let settings = settings::<Settings>()?;
    let policy = settings.policy()?;
    let credentials = credentials(&policy, request);
    let now = clock::now();
    Ok(match decision::decide(&policy, &credentials, now, &Edge)? {
        Outcome::Pass(_headers, claims) => caller::allowed(&policy, &claims, now),
        Outcome::Refuse(refusal) => answer::verdict(policy.realm, refusal),
    })
}

/// Where a token may be, and nothing else of the request.
fn credentials(policy: &Policy<'_>, request: &Request) -> Credentials {
    Credentials {
        authorization: request.header_values("authorization"),
        cookie: policy.cookie.and_then(|name| request.cookie(name)),
        query: policy.query.and_then(|name| request.query_param(name)),
    }
}

/// Viewers with different claims never share a cached response. A hash, because claims are personal and the cache key
/// may be logged.
fn cache_key(passed: &[claims::Passed<'_>]) -> Result<String> {
    let values: Vec<_> = passed.iter().map(|(name, value)| (*name, value.as_deref())).collect();
    let hash = crypto::hash(crypto::Digest::Sha256, &serde_json::to_vec(&values)?);
    Ok(format!("jwt-auth={}", token::encode(&hash)))
}
