//! What a store of keys, quotas and usage is asked. Must not know any store.

use std::panic::AssertUnwindSafe;

use edgeweir_limits::{Lease, Period, Quota};
use serde::{Deserialize, Serialize};

use super::record::KeyRecord;

/// A place that survives the process. Calls block; each is done as a whole or not at all, and is on disk (or with the
/// server) when it returns.
pub(crate) trait Store: Send {
    /// Leases, in the order of the questions.
    ///
    /// # Errors
    /// The store does not answer; nothing is leased.
    fn lease(&mut self, asks: &[Ask]) -> Result<Vec<Lease>, StoreError>;

    /// Takes back what was leased and not used.
    ///
    /// # Errors
    /// The store does not answer; the rest of the leases is lost.
    fn give_back(&mut self, returns: &[Return]) -> Result<(), StoreError>;

    /// Adds a batch to the ledger, all or nothing; one that is there already is not added again.
    ///
    /// # Errors
    /// The store does not answer; whether the batch is there is known when it is booked again.
    fn book(&mut self, batch: &str, rows: &[Row]) -> Result<(), StoreError>;

    /// Rows of the ledger of these days, both included, by day, plan and key; `after` the row with these, at most `count`.
    ///
    /// # Errors
    /// The store does not answer.
    fn ledger(&mut self, days: (u32, u32), after: Option<&Row>, count: usize) -> Result<Vec<Row>, StoreError>;

    /// Drops the rows of days before this one.
    ///
    /// # Errors
    /// The store does not answer.
    fn forget(&mut self, before: u32) -> Result<(), StoreError>;

    /// Puts records of keys in, each in place of the one with the same id and the version before (none, for version 0), and
    /// takes records out. All or nothing.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if another key has the value of one; [`StoreError::Changed`] if what is stored is not the version
    /// before; the store does not answer.
    fn change_keys(&mut self, put: &[KeyRecord], gone: &[String]) -> Result<(), StoreError>;

    /// The record of a key.
    ///
    /// # Errors
    /// The store does not answer.
    fn key(&mut self, id: &str) -> Result<Option<KeyRecord>, StoreError>;

    /// The id of the key that has a value, by its SHA-256 in hexadecimal.
    ///
    /// # Errors
    /// The store does not answer.
    fn key_with(&mut self, sha256: &str) -> Result<Option<String>, StoreError>;

    /// Records of keys by id, after this one, at most `count`.
    ///
    /// # Errors
    /// The store does not answer.
    fn keys(&mut self, after: &str, count: usize) -> Result<Vec<KeyRecord>, StoreError>;

    /// What has changed of the keys since a revision.
    ///
    /// # Errors
    /// The store does not answer.
    fn changes(&mut self, since: u64) -> Result<Changes, StoreError>;

    /// Something to be told about the store, if it cannot be relied on: shown until it is none again.
    fn concern(&self) -> Option<String> {
        None
    }

    /// Whether it was found, when it was opened, to have lost what it knew.
    fn has_forgotten(&self) -> bool {
        false
    }

    /// Looks at everything that it has, after something in it went wrong. Takes its time.
    ///
    /// # Errors
    /// What cannot be read.
    fn check(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Edges that share it now, this one among them.
    ///
    /// # Errors
    /// The store does not answer.
    fn nodes(&mut self) -> Result<u64, StoreError> {
        Ok(1)
    }
}

/// What has changed of the keys.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changes {
    /// The revision up to which this tells.
    pub revision: u64,
    /// Too much has changed: read all keys.
    pub all: bool,
    /// Values that are no key's any more, as SHA-256 in hexadecimal.
    pub gone: Vec<String>,
    /// Keys as they are now.
    pub put: Vec<KeyRecord>,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file.
    #[error("the state file `{path}` cannot be used")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file has nothing in it: a full disk and a copy that was cut short leave that behind, and the edge never does.
    #[error(
        "the state file `{path}` is empty, what it knew is lost: put a copy of it in its place, or remove it to begin anew"
    )]
    Empty {
        /// The file.
        path: String,
    },
    /// It panicked, as the database does over a file that is damaged.
    #[error("the state store broke down, it may be damaged: {0}")]
    BrokeDown(String),
    /// The database in the file.
    #[error("the state database failed")]
    Database(#[source] Box<redb::Error>),
    /// The server.
    #[error("the Redis or Valkey server failed")]
    Server(#[from] redis::RedisError),
    /// The server is another one than a moment ago, or was emptied.
    #[error("the Redis or Valkey server has lost what it knew")]
    Forgot,
    /// A record that cannot be read.
    #[error("a record in the state store cannot be read")]
    Record(#[from] serde_json::Error),
    /// A value that another key has.
    #[error("another key has this value: `{id}`")]
    Taken {
        /// Id of the other key.
        id: String,
    },
    /// Another process has changed or removed the key between a look and a change.
    #[error("the key `{id}` was changed by somebody else at the same time: nothing was done, try again")]
    Changed {
        /// Id of the key.
        id: String,
    },
    /// It failed a moment ago and is tried again later.
    #[error("the state store is not there")]
    Away,
}

impl StoreError {
    /// Whether the store is to blame, and not the question.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        !matches!(self, Self::Taken { .. } | Self::Changed { .. })
    }
}

/// Has a store do something, and makes a panic of it an error.
///
/// # Errors
/// What the job says, or [`StoreError::BrokeDown`].
pub(super) fn guarded<T>(job: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    // Whoever gets this error drops the store: nothing that a panic left half done is used again.
    std::panic::catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(StoreError::BrokeDown(text.unwrap_or_else(|| "a panic without a message".to_owned())))
    })
}

/// One meter's question for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Name of the plan.
    pub plan: String,
    /// Id of the key.
    pub key: String,
    /// Number of the period.
    pub number: u32,
    /// The quota.
    pub quota: Quota,
    /// What the meter has left.
    pub left: u64,
    /// What it has admitted without a lease.
    pub owed: u64,
    /// What it gives back.
    pub returned: u64,
}

/// What is left of a lease and goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Return {
    /// Name of the plan.
    pub plan: String,
    /// Id of the key.
    pub key: String,
    /// Of the quota.
    pub period: Period,
    /// Number of the period.
    pub number: u32,
    /// Requests.
    pub count: u64,
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Row {
    /// Day since 1970, UTC.
    pub day: u32,
    /// Name of the plan.
    pub plan: String,
    /// Id of the key.
    pub key: String,
    /// Requests that counted.
    pub requests: u64,
    /// Requests that the quota refused.
    pub refused: u64,
}
