//! Writes this cache's member of a `Cache-Status` field (RFC 9211), a structured field (RFC 9651).

use std::fmt;

use super::CacheOutcome;

/// The name this cache has in `Cache-Status`.
const NAME: &str = "edgeweir";

/// The longest detail that is written, in bytes.
const MAX_DETAIL: usize = 64;

/// Why a request went to the origin (RFC 9211 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forward {
    /// The cache was configured not to handle the request.
    Bypass,
    /// The method is not one that is looked up.
    Method,
    /// Nothing is stored under the key.
    UriMiss,
    /// Something is stored, but no variant for this request.
    VaryMiss,
    /// What is stored is stale.
    Stale,
    /// What is stored is fresh, but the request asks for more.
    Request,
}

impl Forward {
    fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Stale => "stale",
            Self::Request => "request",
        }
    }
}

/// This cache's member of `Cache-Status`; [`fmt::Display`] writes it.
///
/// ```
/// use edgeweir_cache::{CacheOutcome, CacheStatus};
/// let hit = CacheStatus { ttl: Some(30), ..CacheStatus::new(CacheOutcome::Hit) };
/// assert_eq!(hit.to_string(), "edgeweir; hit; ttl=30");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct CacheStatus<'a> {
    /// What the cache did.
    pub outcome: CacheOutcome,
    /// Why the request went forward; written for outcomes that did. None for one that was not forwarded, be it answered from
    /// the store or not.
    pub forward: Option<Forward>,
    /// The status of the origin's answer, if it was asked.
    pub forward_status: Option<u16>,
    /// Seconds of freshness left; negative when stale.
    pub ttl: Option<i64>,
    /// The origin's answer was stored.
    pub stored: bool,
    /// The generation of purges before the response's fetch began; written unless it is 0. Who has the receipt of a purge
    /// knows by a number that is not less that this is what came after it.
    pub generation: u64,
    /// More for people, such as a [`Reason`](crate::freshness::Reason). At most 64 bytes of it are written.
    pub detail: Option<&'a str>,
}

impl CacheStatus<'_> {
    /// A status with what the outcome alone tells.
    pub fn new(outcome: CacheOutcome) -> Self {
        Self {
            outcome,
            forward: outcome.forward(),
            forward_status: None,
            ttl: None,
            stored: false,
            generation: 0,
            detail: None,
        }
    }
}

impl fmt::Display for CacheStatus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        // `hit` and `fwd` exclude each other (RFC 9211 §2.2).
        match self.forward {
            None if self.outcome.is_served_from_cache() => f.write_str("; hit")?,
            // Neither: the answer was made here (RFC 9211 §2).
            None => {}
            Some(forward) => {
                write!(f, "; fwd={}", forward.as_str())?;
                if let Some(status) = self.forward_status {
                    write!(f, "; fwd-status={status}")?;
                }
            }
        }
        if let Some(ttl) = self.ttl {
            write!(f, "; ttl={ttl}")?;
        }
        if self.forward.is_some() {
            if self.stored {
                f.write_str("; stored")?;
            }
            if self.outcome == CacheOutcome::Collapsed {
                f.write_str("; collapsed")?;
            }
        }
        if self.generation > 0 {
            write!(f, "; gen={}", self.generation)?;
        }
        self.detail.map_or(Ok(()), |detail| write_detail(f, detail))
    }
}

/// As a token where it is one, else as a string (RFC 9651 §3.3.3, §3.3.4). What a string cannot hold is left out.
fn write_detail(f: &mut fmt::Formatter<'_>, detail: &str) -> fmt::Result {
    let printable = || detail.chars().filter(|c| matches!(c, ' '..='~')).take(MAX_DETAIL);
    let token = detail.len() <= MAX_DETAIL
        && detail.starts_with(|c: char| c.is_ascii_alphabetic() || c == '*')
        && detail.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c));
    if token {
        return write!(f, "; detail={detail}");
    }
    f.write_str("; detail=\"")?;
    for c in printable() {
        if matches!(c, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{c}")?;
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(outcome: CacheOutcome) -> CacheStatus<'static> {
        CacheStatus::new(outcome)
    }

    #[test]
    fn rfc9211_2_hits_and_forwards() {
        let hit = CacheStatus { ttl: Some(376), ..new(CacheOutcome::Hit) };
        assert_eq!(hit.to_string(), "edgeweir; hit; ttl=376");
        let stale = CacheStatus { ttl: Some(-4), ..new(CacheOutcome::Stale) };
        assert_eq!(stale.to_string(), "edgeweir; hit; ttl=-4");
        let miss = CacheStatus { forward_status: Some(200), stored: true, ttl: Some(9), ..new(CacheOutcome::Miss) };
        assert_eq!(miss.to_string(), "edgeweir; fwd=uri-miss; fwd-status=200; ttl=9; stored");
        let revalidated = CacheStatus { forward_status: Some(304), ..new(CacheOutcome::Revalidated) };
        assert_eq!(revalidated.to_string(), "edgeweir; fwd=stale; fwd-status=304");
        assert_eq!(new(CacheOutcome::Collapsed).to_string(), "edgeweir; fwd=uri-miss; collapsed");
        let purged = CacheStatus { ttl: Some(5), generation: 12, ..new(CacheOutcome::Hit) };
        assert_eq!(purged.to_string(), "edgeweir; hit; ttl=5; gen=12");
        let method = CacheStatus { forward: Some(Forward::Method), ..new(CacheOutcome::Bypass) };
        assert_eq!(method.to_string(), "edgeweir; fwd=method");
    }

    #[test]
    fn rfc9211_2_what_was_made_here_is_neither_hit_nor_forwarded() {
        let made = CacheStatus { forward: None, detail: Some("not-stored"), ..new(CacheOutcome::Miss) };
        assert_eq!(made.to_string(), "edgeweir; detail=not-stored");
    }

    #[test]
    fn rfc9651_4_1_detail_is_a_token_or_an_escaped_string() {
        let with = |detail| CacheStatus { detail: Some(detail), ..new(CacheOutcome::Bypass) }.to_string();
        assert_eq!(with("no-store"), "edgeweir; fwd=bypass; detail=no-store");
        assert_eq!(with("a \"b\"\\ü\r\n"), r#"edgeweir; fwd=bypass; detail="a \"b\"\\""#);
        assert_eq!(with("4xx"), r#"edgeweir; fwd=bypass; detail="4xx""#);
        assert_eq!(with(""), r#"edgeweir; fwd=bypass; detail="""#);
        assert!(with(&"x".repeat(500)).len() < 100);
    }

    #[test]
    fn a_hit_never_says_stored() {
        let hit = CacheStatus { stored: true, ..new(CacheOutcome::Hit) };
        assert_eq!(hit.to_string(), "edgeweir; hit");
    }
}
