//! Quotas of usage plans, and where what must survive is kept.

use std::time::Duration;

use super::SecretSource;

/// How often each key of a plan may ask (API Gateway, `QuotaSettings`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Requests in a period.
    pub limit: u64,
    /// How many fewer in the first period of a key.
    pub offset: u64,
    /// How long a period is.
    pub period: QuotaPeriod,
    /// Requests that are taken ahead for a key: what a crash may lose. None: 1 % of the limit, from 1 to 1,000.
    pub lease: Option<u64>,
    /// Which requests count besides those that went to the origin and were answered well, each once.
    pub counts: Vec<Counted>,
}

/// Calendar periods in UTC; a week begins on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaPeriod {
    /// A day.
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
}

/// Kinds of requests that a quota may count or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// Answered by the cache.
    Hits,
    /// Status 400 to 499.
    ClientErrors,
    /// Status 500 to 599.
    ServerErrors,
    /// Refused by a throttle.
    Throttled,
}

impl Counted {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hits => "hits",
            Self::ClientErrors => "4xx",
            Self::ServerErrors => "5xx",
            Self::Throttled => "throttled",
        }
    }
}

/// Where keys, quotas and usage are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// In the state folder, or shared with other edges.
    pub backend: Backend,
    /// What happens to requests that need a lease while there is none to be had.
    pub on_store_failure: StorePolicy,
    /// How long such a request waits, at most. Default 1 s.
    pub wait: Duration,
}

/// A store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// A file in the state folder.
    Embedded,
    /// A Redis or Valkey server.
    Redis {
        /// `redis://…`.
        url: SecretSource,
        /// Before each name in the store. Default `edgeweir`.
        prefix: String,
    },
}

/// What is done without a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorePolicy {
    /// 503.
    Closed,
    /// Let through, and booked when the store is back.
    Open,
}

/// Where viewers put their API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A header field, in lower case.
    Header(String),
    /// A parameter of the query.
    Query(String),
}
