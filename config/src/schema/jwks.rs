//! Sets of public keys: from a file, or from an origin that is asked again and again. Nothing is read or asked here.

use crate::decode::{FilePath, Text, Time, table};

const DAY: u64 = 86_400_000;

table! {
    /// A JSON Web Key Set (RFC 7517) that hooks can be allowed to check signatures with. Either `file`, or `origin` with
    /// `path`.
    Jwks {
        /// JSON file with the set, at most 256KiB. Read again within seconds when it changes.
        file: Opt<FilePath>,
        /// Name of the origin that publishes the set.
        origin: Opt<Text>,
        /// Path and query there, as in "/.well-known/jwks.json". The origin's path prefix is put before it.
        path: Opt<Text>,
        /// The origin is not asked more often than this, whatever it says of the set's age and whatever keys tokens
        /// name, 1s to 1h. Default: "10s".
        min_refresh: Opt<Time<1000, 3_600_000>>,
        /// It is asked at least this often; what `Cache-Control` says counts in between, 1s to 1d. Default: "1h".
        max_refresh: Opt<Time<1000, DAY>>,
        /// How long the keys that came last are used while the origin gives no new ones, 0s to 30d. Default: "1d".
        max_stale: Opt<Time<0, {30 * DAY}>>,
    }
}
