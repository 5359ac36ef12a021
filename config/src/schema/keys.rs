//! Throttles, usage plans and API keys, in the words of API Gateway.

use super::{MethodThrottle, Secret};
use crate::decode::{Count, List, Rate, Sha256, Text, table};

table! {
    /// A token bucket.
    Throttle {
        /// Requests per second; fractions are allowed.
        rate: Req<Rate>,
        /// Requests that may come at once, at least 1.
        burst: Req<Count<1, 1_000_000_000>>,
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
        /// Names of the usage plans it belongs to. At most one of them may cover a distribution.
        plans: Req<List<Text>>,
        /// Whether it can be used. Default: true.
        enabled: Opt<bool>,
    }
}
