//! A quota of a usage plan: how many requests in a period, and which count. Must not know what counts them (see meter).

use crate::period::Period;

/// So many requests for each key in each period (API Gateway, `QuotaSettings`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests in a period, at most [`Quota::MAX`].
    pub limit: u64,
    /// How many fewer in the first period of a key.
    pub offset: u64,
    /// How long a period is.
    pub period: Period,
    /// Most requests that are taken from the store ahead: what a crash can lose, for each key.
    pub lease: u64,
    /// What counts besides requests that an origin or a hook answered well.
    pub counts: Counts,
}

/// Which requests are counted. Those with a status of 1xx to 3xx that went to the origin always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Answers out of the cache.
    pub hits: bool,
    /// Statuses 400 to 499, but for refusals by a throttle.
    pub client_errors: bool,
    /// Statuses 500 to 599.
    pub server_errors: bool,
    /// Refusals by a throttle.
    pub throttled: bool,
}

impl Default for Counts {
    /// As far as anybody has seen API Gateway do it: everything but what was answered with 429.
    fn default() -> Self {
        Self { hits: true, client_errors: true, server_errors: true, throttled: false }
    }
}

impl Counts {
    /// Whether an answer counts. A request that ended without a status (0) does.
    #[must_use]
    pub const fn includes(self, status: u16, hit: bool) -> bool {
        let by_status = match status {
            400..=499 => self.client_errors,
            500..=599 => self.server_errors,
            _ => true,
        };
        by_status && (self.hits || !hit)
    }
}

impl Quota {
    /// The largest limit: 2^40 - 1.
    pub const MAX: u64 = (1 << 40) - 1;

    /// What a key may use in a period: the limit, or less in its first one.
    #[must_use]
    pub const fn limit_in(&self, period: u32, first: u32) -> u64 {
        if period == first { self.limit.saturating_sub(self.offset) } else { self.limit }
    }

    /// How much is leased when `left` of the limit is not yet given out to anybody, by a store that `nodes` edges share:
    /// the whole lease far from the limit, less and less near it, so that what lies unused elsewhere stays small. At least
    /// 1 as long as there is something.
    #[must_use]
    pub fn lease_of(&self, left: u64, nodes: u64) -> u64 {
        let share = left.div_ceil(2 * nodes.max(1));
        self.lease.min(share).max(1).min(left)
    }

    /// The lease if none is configured: 1 % of the limit, at least 1 and at most 1,000.
    #[must_use]
    pub const fn default_lease(limit: u64) -> u64 {
        let lease = limit / 100;
        if lease < 1 {
            1
        } else if lease > 1_000 {
            1_000
        } else {
            lease
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(limit: u64, offset: u64, lease: u64) -> Quota {
        Quota { limit, offset, period: Period::Day, lease, counts: Counts::default() }
    }

    #[test]
    fn the_offset_is_for_the_first_period() {
        assert_eq!(quota(10, 3, 1).limit_in(7, 7), 7);
        assert_eq!(quota(10, 3, 1).limit_in(8, 7), 10);
        assert_eq!(quota(10, 30, 1).limit_in(7, 7), 0);
    }

    #[test]
    fn leases_shrink_near_the_limit() {
        let quota = quota(10_000, 0, 100);
        for (left, nodes, lease) in
            [(10_000, 1, 100), (200, 1, 100), (100, 1, 50), (3, 1, 2), (1, 1, 1), (0, 1, 0), (100, 3, 17), (100, 0, 50)]
        {
            assert_eq!(quota.lease_of(left, nodes), lease, "{left} {nodes}");
        }
        for (limit, lease) in [(1, 1), (150, 1), (10_000, 100), (1 << 40, 1_000)] {
            assert_eq!(Quota::default_lease(limit), lease);
        }
    }

    #[test]
    fn what_counts() {
        let all = Counts::default();
        assert!(
            all.includes(200, true) && all.includes(404, false) && all.includes(503, false) && all.includes(0, false)
        );
        let few = Counts { hits: false, client_errors: false, server_errors: false, throttled: false };
        assert!(few.includes(200, false) && few.includes(304, false));
        assert!(!few.includes(200, true) && !few.includes(404, false) && !few.includes(503, false));
    }
}
