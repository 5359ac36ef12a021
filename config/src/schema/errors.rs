//! Custom error responses.

use crate::decode::{Count, Text, Time, table};

const YEAR: u64 = 365 * 86_400_000;

table! {
    /// What viewers get in place of an error (CloudFront: "custom error responses").
    ErrorResponse {
        /// The status of the error, 400 to 599, of an origin or of the edge itself.
        status: Req<Count<400, 599>>,
        /// Path of the page that viewers get, as in "/errors/404.html". It is fetched, and cached, by the behavior of the
        /// distribution that has this path, without keys, signatures, limits and viewer hooks. If that fails, viewers get the
        /// error as it is. Default: only `ttl` counts.
        page: Opt<Text>,
        /// The status that viewers get with the page, 200 to 599. Default: `status`.
        response_status: Opt<Count<200, 599>>,
        /// Shortest time that such an answer of an origin stays fresh in the cache, as `errors` of a cache policy, up to 365d;
        /// "0s" never stores it. Default: as the cache policy says.
        ttl: Opt<Time<0, YEAR>>,
    }
}
