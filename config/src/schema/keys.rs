//! Throttles, usage plans and API keys, in the words of API Gateway.

use super::{MethodThrottle, Secret};
use crate::decode::{Count, List, Rate, Sha256, Text, keywords, table};
use crate::model::{Counted, QuotaPeriod};

table! {
    /// A token bucket.
    Throttle {
        /// Requests per second; fractions are allowed. 0 with a `burst` of 0 refuses all.
        rate: Req<Rate>,
        /// Requests that may come at once, at least 1, or 0 with a `rate` of 0.
        burst: Req<Count<0, 1_000_000_000>>,
    }
}

keywords! { QuotaPeriod { "DAY" => Day, "WEEK" => Week, "MONTH" => Month } }
keywords! {
    Counted { "hits" => Hits, "4xx" => ClientErrors, "5xx" => ServerErrors, "throttled" => Throttled }
}

table! {
    /// How often a key may ask in a period.
    Quota {
        /// Requests in a period, 1 to 10^12.
        limit: Req<Count<1, 1_000_000_000_000>>,
        /// "DAY", "WEEK" or "MONTH": of the UTC calendar, a week begins on Monday.
        period: Req<QuotaPeriod>,
        /// How many fewer in the first period of a key. Default: 0.
        offset: Opt<Count<0, 1_000_000_000_000>>,
        /// Requests that are taken out of the store ahead for each key: what a crash may lose. Default: 1 % of the limit,
        /// from 1 to 1,000.
        lease: Opt<Count<1, 1_000_000>>,
        /// What counts besides requests that the origin answered with success: "hits" (of the cache), "4xx", "5xx",
        /// "throttled" (refused by a throttle). Default: ["hits", "4xx", "5xx"].
        counts: Opt<List<Counted>>,
    }
}

table! {
    /// Limits for the API keys that belong to it.
    UsagePlan {
        /// What each of its keys may use. Default: no limit.
        throttle: Opt<Throttle>,
        /// Requests of each key at work at once, 1 to 10,000,000; more are answered with 429. Default: no limit.
        concurrency: Opt<Count<1, 10_000_000>>,
        /// What each of its keys may use of some methods or behaviors, besides `throttle`. The first that fits counts.
        /// Default: none.
        method_throttles: Opt<List<MethodThrottle>>,
        /// How often each of its keys may ask. Default: no limit.
        quota: Opt<Quota>,
        /// Names of the distributions that its keys open. Default: all.
        distributions: Opt<List<Text>>,
    }
}

table! {
    /// An API key.
    ApiKey {
        /// Its name, as logs show it.
        name: Req<Text>,
        /// The key itself: 20 to 128 letters, digits, `_`, `.`, `~` and `-`; or { file = "…" } or { env = "…" }.
        key: Opt<Secret>,
        /// SHA-256 of the key in hexadecimal, in place of `key`.
        sha256: Opt<Sha256>,
        /// Names of the usage plans it belongs to. At most one of them may cover a behavior.
        plans: Req<List<Text>>,
        /// Whether it can be used. Default: true.
        enabled: Opt<bool>,
    }
}
