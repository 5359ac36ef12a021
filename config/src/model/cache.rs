//! Cache policies.

use std::time::Duration;

/// Whether and how long responses are stored, and under which key.
#[derive(Debug, Clone, PartialEq)]
pub struct CachePolicy {
    /// Its name.
    pub name: String,
    /// Shortest time an object stays fresh, whatever the origin says.
    pub min_ttl: Duration,
    /// If the origin says nothing.
    pub default_ttl: Duration,
    /// Longest time an object stays fresh.
    pub max_ttl: Duration,
    /// Request headers in the key, lower case, sorted.
    pub headers: Vec<String>,
    /// Cookies in the key.
    pub cookies: Selection,
    /// Query parameters in the key.
    pub query: Selection,
    /// Response headers with tags, lower case.
    pub tag_headers: Vec<String>,
    /// Whether viewers get them.
    pub send_tags: bool,
    /// Codings to compress with, the preferred first; empty for none.
    pub compress: Vec<Coding>,
    /// Codings that the origin may be asked for, in one spelling; empty for what viewers send.
    pub accept_encoding: Vec<Coding>,
    /// What the origin gets beside what is in the key.
    pub forward: Forward,
    /// What else is decided about storing and answering.
    pub behaviour: CacheBehaviour,
}

/// What the origin gets of a request beside what is in the cache key, where the answer may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Header fields, in lower case.
    pub headers: Selection,
    /// Cookies.
    pub cookies: Selection,
    /// Query parameters.
    pub query: Selection,
}

impl Default for Forward {
    fn default() -> Self {
        Self { headers: Selection::All, cookies: Selection::None, query: Selection::None }
    }
}

/// What a cache policy decides beside times to live and keys.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheBehaviour {
    /// Guess a lifetime from `Last-Modified` (RFC 9111, 4.2.2).
    pub heuristic: bool,
    /// How long an object may be served stale while it is fetched again, if the origin does not say.
    pub stale_while_revalidate: Duration,
    /// How long an object may be served stale when the origin fails, if the origin does not say.
    pub stale_if_error: Duration,
    /// The shortest life of a status from 400 on, sorted by status.
    pub errors: Vec<(u16, Duration)>,
    /// Responses that set cookies.
    pub set_cookie: SetCookie,
    /// What viewers may ask of the cache.
    pub viewer_directives: ViewerDirectives,
    /// `CDN-Cache-Control` and `Surrogate-Control` on their way to viewers.
    pub targeted_fields: TargetedFields,
    /// How long a request waits for another's fetch.
    pub collapse: Duration,
    /// From which request on an object is stored.
    pub admit_after: u8,
    /// The time within which these requests come.
    pub admit_within: Duration,
    /// Whether viewers get `X-Cache`.
    pub x_cache: bool,
    /// What happens to responses that may depend on what is not in the key.
    pub key_leaks: KeyLeaks,
}

impl Default for CacheBehaviour {
    fn default() -> Self {
        Self {
            heuristic: false,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::from_secs(86_400),
            errors: Vec::new(),
            set_cookie: SetCookie::Refuse,
            viewer_directives: ViewerDirectives::Ignore,
            targeted_fields: TargetedFields::Keep,
            collapse: Duration::from_secs(5),
            admit_after: 1,
            admit_within: Duration::from_secs(3_600),
            x_cache: false,
            key_leaks: KeyLeaks::Warn,
        }
    }
}

/// Which objects make room when the cache is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Eviction {
    /// Those asked for least often; what is asked for less often than they are is not let in.
    #[default]
    TinyLfu,
    /// Those not asked for longest.
    Lru,
}

/// What is done with responses that set cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetCookie {
    /// They are not stored.
    Refuse,
    /// They are stored without the cookies.
    Strip,
}

/// Whose `Cache-Control` on requests counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewerDirectives {
    /// Nobody's.
    Ignore,
    /// Everybody's.
    Honour,
    /// Those of connections from trusted proxies.
    Trusted,
}

/// What viewers see of fields that are meant for caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetedFields {
    /// They get them: there may be another such cache on the way.
    Keep,
    /// They do not.
    Remove,
}

/// What happens to a response that may depend on something that is neither in the key nor in `Vary`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyLeaks {
    /// Nobody looks.
    Ignore,
    /// It is told and stored.
    Warn,
    /// It is told and not stored.
    Refuse,
}

/// A content coding that the edge can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// `br` (RFC 7932).
    Brotli,
    /// `gzip` (RFC 1952).
    Gzip,
    /// `zstd` (RFC 8878).
    Zstd,
}

impl CachePolicy {
    /// All TTLs are zero: nothing is looked up or stored (CloudFront's `CachingDisabled`).
    #[must_use]
    pub fn disabled(&self) -> bool {
        self.min_ttl.is_zero() && self.default_ttl.is_zero() && self.max_ttl.is_zero()
    }
}

impl Selection {
    /// What this one or the other selects.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let without = |names: &[String], taken: &[String]| -> Vec<String> {
            names.iter().filter(|name| !taken.contains(name)).cloned().collect()
        };
        match (self, other) {
            (Self::None, both) | (both, Self::None) => both.clone(),
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Only(one), Self::Only(two)) => {
                let mut names = [one.as_slice(), two.as_slice()].concat();
                names.sort_unstable();
                names.dedup();
                Self::Only(names)
            }
            (Self::Only(taken), Self::Except(left)) | (Self::Except(left), Self::Only(taken)) => {
                Self::Except(without(left, taken))
            }
            (Self::Except(one), Self::Except(two)) => {
                Self::Except(one.iter().filter(|name| two.contains(name)).cloned().collect())
            }
        }
    }
}

/// Which of a set of named things count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// None of them.
    None,
    /// All.
    All,
    /// These; sorted.
    Only(Vec<String>),
    /// All but these; sorted.
    Except(Vec<String>),
}
