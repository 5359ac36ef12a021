//! Authorizers, ready: the bound hook, what tells who asks, and the answers that are kept. Knows no request.

use std::sync::Arc;
use std::time::Duration;

use edgeweir_config::IdentitySource;
use edgeweir_hookhost::Caller;
use edgeweir_limits::Nanos;
use http::{HeaderName, HeaderValue};
use moka::sync::Cache;
use regex::bytes::Regex;

use super::BoundHook;
use super::limits::CallerName;

/// Most memory of answers that are kept, in bytes, for the whole edge.
const CAPACITY: u64 = 32 << 20;

/// The authorizer of a behavior.
#[derive(Debug)]
pub struct Authorizer {
    /// The hook.
    pub bound: BoundHook,
    /// What has to be there.
    pub identity: Vec<IdentitySource>,
    /// What the token has to match: the first value that it is known by.
    pub validation: Option<Regex>,
    /// How long an answer is kept; zero for not at all.
    pub ttl: Duration,
    /// What the origin and later hooks get as headers.
    pub headers: Vec<(HeaderName, CallerName)>,
    /// Callers with different headers share cached responses.
    pub share_cache: bool,
    /// `WWW-Authenticate`.
    pub challenge: HeaderValue,
    /// What answers depend on besides the identity: behavior, hook, settings. Kept answers of another one do not count.
    pub digest: [u8; 32],
}

/// Under what an answer is kept: a hash of the authorizer's digest and the identity, so that no token is.
pub type AnswerKey = [u8; 32];

/// An answer that is kept.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The caller may pass.
    Allow(Arc<Caller>),
    /// It may not.
    Deny(Arc<Caller>),
}

/// The answers of all authorizers; once for each process. Bounded; what was used least goes first.
#[derive(Debug)]
pub struct Answers(Cache<AnswerKey, (Answer, Nanos)>);

impl Default for Answers {
    fn default() -> Self {
        let weigh = |_key: &AnswerKey, (answer, _): &(Answer, Nanos)| {
            let (Answer::Allow(caller) | Answer::Deny(caller)) = answer;
            u32::try_from(caller.weight()).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(CAPACITY).weigher(weigh).build())
    }
}

impl Answers {
    /// The answer, if it is still good.
    #[must_use]
    pub fn get(&self, key: &AnswerKey, now: Nanos) -> Option<Answer> {
        let (answer, until) = self.0.get(key)?;
        (now < until).then_some(answer)
    }

    /// Keeps an answer until then.
    pub fn keep(&self, key: AnswerKey, answer: Answer, until: Nanos) {
        self.0.insert(key, (answer, until));
    }
}
