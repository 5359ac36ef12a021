//! Why a response was not stored: the words of the access log and of `Cache-Status`' `detail`.

use std::fmt;

use pingora::cache::NoCacheReason;

/// Why a response was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Only answers to GET and HEAD are stored.
    Method,
    /// The viewer said `no-store` (RFC 9111 §5.2.1.5).
    RequestNoStore,
    /// The status is not final, not understood, or never worth storing (RFC 9111 §3).
    StatusNotCacheable,
    /// 206: only whole responses are stored (RFC 9111 §3.3 leaves that to the cache).
    Partial,
    /// `Content-Range` on a status other than 206: who knows what the body is.
    ContentRange,
    /// `no-store` (RFC 9111 §5.2.2.5), without `must-understand`.
    NoStore,
    /// `private` (RFC 9111 §5.2.2.7).
    Private,
    /// `no-cache` (RFC 9111 §5.2.2.4) without a validator: it would have to be checked on each use and cannot be.
    NoCache,
    /// The response sets a cookie: meant for one viewer (RFC 9111 §7.3).
    SetCookie,
    /// The request had `Authorization` and the response lacks `public`, `must-revalidate` and `s-maxage`
    /// (RFC 9111 §3.5).
    Authorization,
    /// `Vary: *` (RFC 9111 §4.1).
    VaryStar,
    /// `must-understand` on a status that is not understood (RFC 9111 §5.2.2.3).
    NotUnderstood,
    /// A 304 names another `Vary` than the stored response has: it cannot be told who would get it.
    VaryChanged,
    /// A 304 names another validator than the stored response has: it is about another response (RFC 9111 §4.3.4).
    OtherValidator,
    /// A hook read something that is neither in the key nor in `Vary`, and the policy refuses to store such a response.
    KeyLeak,
    /// The response announces trailers.
    Trailers,
    /// The origin saw cookies outside the key and gave no explicit freshness.
    UnkeyedCookies,
    /// The status needs explicit freshness and has none.
    NotExplicit,
    /// The lifetime is zero: by the origin, or by a policy that stores nothing.
    TtlZero,
    /// Its age is past its lifetime already (RFC 9111 §4.2.3).
    AlreadyStale,
    /// The body is larger than the store takes.
    TooLarge,
    /// The policy forbids to store errors with this status.
    ErrorTtlZero,
    /// A purge or an unsafe method came after the origin was asked.
    Purged,
}

impl Reason {
    /// All reasons, for metrics that want every label from the start.
    pub const ALL: [Self; 23] = [
        Self::Method,
        Self::RequestNoStore,
        Self::StatusNotCacheable,
        Self::Partial,
        Self::ContentRange,
        Self::NoStore,
        Self::Private,
        Self::NoCache,
        Self::SetCookie,
        Self::Authorization,
        Self::VaryStar,
        Self::NotUnderstood,
        Self::VaryChanged,
        Self::OtherValidator,
        Self::KeyLeak,
        Self::Trailers,
        Self::UnkeyedCookies,
        Self::NotExplicit,
        Self::TtlZero,
        Self::AlreadyStale,
        Self::TooLarge,
        Self::ErrorTtlZero,
        Self::Purged,
    ];

    /// The label: lower case and dashes, a token of RFC 9110 §5.6.2.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::RequestNoStore => "request-no-store",
            Self::StatusNotCacheable => "status-not-cacheable",
            Self::Partial => "partial",
            Self::ContentRange => "content-range",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::NoCache => "no-cache",
            Self::SetCookie => "set-cookie",
            Self::Authorization => "authorization",
            Self::VaryStar => "vary-star",
            Self::NotUnderstood => "not-understood",
            Self::VaryChanged => "vary-changed",
            Self::OtherValidator => "other-validator",
            Self::KeyLeak => "key-leak",
            Self::Trailers => "trailers",
            Self::UnkeyedCookies => "unkeyed-cookies",
            Self::NotExplicit => "not-explicit",
            Self::TtlZero => "ttl-zero",
            Self::AlreadyStale => "already-stale",
            Self::TooLarge => "too-large",
            Self::ErrorTtlZero => "error-ttl-zero",
            Self::Purged => "purged",
        }
    }

    /// Whether what is stored already must go, when a 304 about it is refused for this: the origin does not want it to be
    /// used any more, or nobody can tell for whom it is.
    pub fn unsettles_stored(self) -> bool {
        matches!(
            self,
            Self::NoStore
                | Self::Private
                | Self::VaryStar
                | Self::NotUnderstood
                | Self::VaryChanged
                | Self::OtherValidator
                | Self::KeyLeak
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Reason> for NoCacheReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::TooLarge => Self::ResponseTooLarge,
            other => Self::Custom(other.as_str()),
        }
    }
}
