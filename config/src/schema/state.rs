//! Where keys, quotas and usage are kept.

use super::Secret;
use crate::decode::{Text, Time, keywords, table};
use crate::model::StorePolicy;

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    /// A file in the state folder.
    Embedded,
    /// A server that several edges share.
    Redis,
}

keywords! { Backend { "embedded" => Embedded, "redis" => Redis } }
keywords! { StorePolicy { "closed" => Closed, "open" => Open } }

table! {
    /// Where API keys, quotas and usage are kept.
    State {
        /// "embedded": a file in `state_dir`; "redis": a Redis or Valkey server that several edges share. Default:
        /// "embedded". A change needs a restart.
        backend: Opt<Backend>,
        /// URL of the Redis or Valkey server, as "redis://host:6379/0"; or { file = "…" } or { env = "…" }. A change needs a
        /// restart.
        url: Opt<Secret>,
        /// What the names in the Redis or Valkey server begin with: edges with the same prefix share everything. Default:
        /// "edgeweir". A change needs a restart.
        prefix: Opt<Text>,
        /// What happens to a request with a quota when the store does not answer and nothing is leased: "closed" answers
        /// with 503, "open" lets it through and counts it later. Default: "closed".
        on_store_failure: Opt<StorePolicy>,
        /// Longest time that a request waits for the store, 10ms to 1m. Default: "1s".
        wait: Opt<Time<10, 60_000>>,
    }
}
