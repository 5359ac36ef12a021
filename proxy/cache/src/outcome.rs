//! What the cache did with a request: one enum for log, metrics and `Cache-Status`, and how pingora's phases map to it.
//! It must not know why a response was not stored: that is [`Reason`](crate::freshness::Reason).

mod cache_status;

use pingora::cache::{CachePhase, NoCacheReason};

pub use cache_status::{CacheStatus, Forward};

/// What the cache did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheOutcome {
    /// Answered from a fresh stored object.
    Hit,
    /// Answered from a stale stored object: it is fetched again meanwhile, or the origin failed.
    Stale,
    /// Nothing usable was stored: the origin answered.
    Miss,
    /// The stored object had expired and the origin sent a new one.
    Expired,
    /// The stored object had expired and the origin said that it is still good.
    Revalidated,
    /// The cache was not asked.
    Bypass,
    /// Waited for another request's fetch and was answered from it.
    Collapsed,
}

impl CacheOutcome {
    /// All outcomes, for metrics that want every label from the start.
    pub const ALL: [Self; 7] =
        [Self::Hit, Self::Stale, Self::Miss, Self::Expired, Self::Revalidated, Self::Bypass, Self::Collapsed];

    /// The outcome for the phase a request ended in. `waited` says that it waited on a cache lock.
    pub fn of(phase: CachePhase, waited: bool) -> Self {
        match phase {
            CachePhase::Hit if waited => Self::Collapsed,
            CachePhase::Hit => Self::Hit,
            CachePhase::Stale | CachePhase::StaleUpdating => Self::Stale,
            CachePhase::Miss => Self::Miss,
            CachePhase::Expired => Self::Expired,
            CachePhase::Revalidated | CachePhase::RevalidatedNoCache(_) => Self::Revalidated,
            CachePhase::Disabled(reason) => Self::without_cache(reason),
            CachePhase::Uninit | CachePhase::Bypass | CachePhase::CacheKey => Self::Bypass,
        }
    }

    /// Pingora forgets the phase when it gives the cache up. Most reasons come after a lookup that found nothing.
    fn without_cache(reason: NoCacheReason) -> Self {
        match reason {
            NoCacheReason::NeverEnabled
            | NoCacheReason::DeclinedToUpstream
            | NoCacheReason::InternalError
            | NoCacheReason::PredictedResponseTooLarge => Self::Bypass,
            NoCacheReason::OriginNotCache
            | NoCacheReason::ResponseTooLarge
            | NoCacheReason::StorageError
            | NoCacheReason::Deferred
            | NoCacheReason::UpstreamError
            | NoCacheReason::CacheLockGiveUp
            | NoCacheReason::CacheLockTimeout
            | NoCacheReason::CacheLockRetryLimit
            | NoCacheReason::Custom(_) => Self::Miss,
        }
    }

    /// The label in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Miss => "miss",
            Self::Expired => "expired",
            Self::Revalidated => "revalidated",
            Self::Bypass => "bypass",
            Self::Collapsed => "collapsed",
        }
    }

    /// Whether the viewer's answer came out of the store without asking the origin for it.
    pub fn is_served_from_cache(self) -> bool {
        matches!(self, Self::Hit | Self::Stale | Self::Collapsed)
    }

    /// Why the request went forward (RFC 9211 §2.2); `None` for a hit.
    ///
    /// A collapsed request counts as forwarded, by the request it was collapsed with (RFC 9211 §2.6).
    pub fn forward(self) -> Option<Forward> {
        match self {
            Self::Hit | Self::Stale => None,
            Self::Miss | Self::Collapsed => Some(Forward::UriMiss),
            Self::Expired | Self::Revalidated => Some(Forward::Stale),
            Self::Bypass => Some(Forward::Bypass),
        }
    }
}

/// Why the cache did not store the response, as a word for the log: pingora's own reasons, or those of
/// [`Reason`](crate::freshness::Reason). `None` when the cache is not off, or was never on.
pub fn refusal(phase: CachePhase) -> Option<&'static str> {
    let (CachePhase::Disabled(reason) | CachePhase::RevalidatedNoCache(reason)) = phase else { return None };
    let word = match reason {
        NoCacheReason::NeverEnabled => return None,
        NoCacheReason::OriginNotCache => "origin-not-cacheable",
        NoCacheReason::ResponseTooLarge => crate::freshness::Reason::TooLarge.as_str(),
        NoCacheReason::PredictedResponseTooLarge => "predicted-too-large",
        NoCacheReason::StorageError => "storage-error",
        NoCacheReason::InternalError => "internal-error",
        NoCacheReason::Deferred => "deferred",
        NoCacheReason::DeclinedToUpstream => "not-forwarded",
        NoCacheReason::UpstreamError => "origin-error",
        NoCacheReason::CacheLockGiveUp => "not-collapsible",
        NoCacheReason::CacheLockTimeout => "lock-timeout",
        NoCacheReason::CacheLockRetryLimit => "lock-retries",
        NoCacheReason::Custom(word) => word,
    };
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::freshness::Reason;

    #[test]
    fn phases_map_to_outcomes() {
        for (phase, waited, outcome) in [
            (CachePhase::Hit, false, CacheOutcome::Hit),
            (CachePhase::Hit, true, CacheOutcome::Collapsed),
            (CachePhase::StaleUpdating, false, CacheOutcome::Stale),
            (CachePhase::Miss, true, CacheOutcome::Miss),
            (CachePhase::Expired, false, CacheOutcome::Expired),
            (CachePhase::Revalidated, true, CacheOutcome::Revalidated),
            (CachePhase::Bypass, false, CacheOutcome::Bypass),
            (CachePhase::Disabled(NoCacheReason::NeverEnabled), false, CacheOutcome::Bypass),
            (CachePhase::Disabled(Reason::Private.into()), false, CacheOutcome::Miss),
        ] {
            assert_eq!(CacheOutcome::of(phase, waited), outcome, "{phase:?}");
        }
    }

    #[test]
    fn reasons_reach_the_log_by_pingora() {
        for reason in Reason::ALL {
            assert_eq!(refusal(CachePhase::Disabled(reason.into())), Some(reason.as_str()));
        }
        assert_eq!(refusal(CachePhase::Disabled(NoCacheReason::NeverEnabled)), None);
        assert_eq!(refusal(CachePhase::Hit), None);
    }
}
