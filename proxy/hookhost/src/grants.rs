//! What a binding grants its hook: key-value stores, key sets and secrets. The embedder owns the data; a call borrows it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::{GeneratedResponse, Jwks};

/// Imports that a hook may use only if its binding grants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grant {
    /// Reads key-value stores.
    KeyValue,
    /// Reads secrets.
    Secrets,
    /// Sends requests to origins.
    Fetch,
    /// Reads the request's body.
    Body,
    /// Checks signatures with key sets. The only one that a binding need not speak of.
    Jwks,
}

impl Grant {
    /// All grants.
    pub const ALL: [Self; 5] = [Self::KeyValue, Self::Secrets, Self::Fetch, Self::Body, Self::Jwks];

    /// The name of the interface in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyValue => "key-value",
            Self::Secrets => "secrets",
            Self::Fetch => "fetch",
            Self::Body => "body",
            Self::Jwks => "jwks",
        }
    }
}

/// One state of a key-value store.
pub type Entries = HashMap<Box<str>, Arc<[u8]>>;

/// A key-value store as its embedder keeps it. Asked from inside a hook's call: must not block.
pub trait KeyValueStore: Send + Sync {
    /// The state now.
    fn entries(&self) -> Arc<Entries>;

    /// When it was changed last, in milliseconds since 1970; 0 where nobody knows.
    fn changed_ms(&self) -> u64 {
        0
    }
}

/// A set of public keys as its embedder keeps it. Asked from inside a hook's call.
pub trait KeySet: Send + Sync {
    /// The keys now. The error is for the hook: one sentence in lower case that says why there are none. Must not block.
    fn keys(&self) -> Result<Arc<Jwks>, String>;

    /// Has newer keys fetched, unless they were a moment ago, and waits until they are there or cannot be had. Its future
    /// is dropped when the hook's time is up; the fetch goes on for those who come later.
    fn renew(&self) -> Renewed<'_>;
}

/// What [`KeySet::renew`] gives.
pub type Renewed<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// What one binding grants. Made once for each binding and shared by its calls.
#[derive(Default)]
pub struct Grants {
    /// Stores by the names that the hook asks for.
    pub stores: Vec<(Box<str>, Arc<dyn KeyValueStore>)>,
    /// Secrets by name.
    pub secrets: Vec<(Box<str>, Arc<[u8]>)>,
    /// Key sets by the names that the hook asks for.
    pub jwks: Vec<(Box<str>, Arc<dyn KeySet>)>,
    /// Sends requests to the origins that the binding lists; none if it lists none.
    pub fetch: Option<Arc<dyn Fetch>>,
    /// Hosts that a hook may choose as origins, lower case: in full, or `*.` and a domain.
    pub dynamic_origins: Vec<Box<str>>,
}

/// Sends the requests of one binding. Its future is dropped when the hook's time is up: nothing may be left behind then.
pub trait Fetch: Send + Sync {
    /// Sends a request and reads the whole answer. The error is for the hook: one sentence in lower case.
    fn send(&self, request: Outgoing) -> FetchFuture<'_>;
}

/// What [`Fetch::send`] gives.
pub type FetchFuture<'a> = Pin<Box<dyn Future<Output = Result<GeneratedResponse, String>> + Send + 'a>>;

/// A request that a hook sends; checked, but for the origin.
#[derive(Debug)]
pub struct Outgoing {
    /// Name of the origin that the hook asks for.
    pub origin: String,
    /// Not `CONNECT`.
    pub method: Method,
    /// Path and query: starts with `/`, only what a target may hold, shorter than 8,192 characters.
    pub target: String,
    /// Without framing and hop-by-hop fields and `host`; at most 32 KiB.
    pub headers: HeaderMap,
    /// At most 1 MiB.
    pub body: Bytes,
}

impl std::fmt::Debug for Grants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stores: Vec<&str> = self.stores.iter().map(|(name, _)| &**name).collect();
        let secrets: Vec<&str> = self.secrets.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Grants").field("stores", &stores).field("secrets", &secrets).finish_non_exhaustive()
    }
}

/// The states of stores that a request has seen. It goes from call to call, so that a store that changes meanwhile stays
/// the same for the request. Costs nothing while it is empty.
#[derive(Default)]
pub struct Pins(Vec<(Arc<dyn KeyValueStore>, Arc<Entries>)>);

impl Pins {
    /// The state of a store that counts for this request.
    pub(crate) fn entries(&mut self, store: &Arc<dyn KeyValueStore>) -> Arc<Entries> {
        if let Some((_, entries)) = self.0.iter().find(|(known, _)| Arc::ptr_eq(known, store)) {
            return Arc::clone(entries);
        }
        let entries = store.entries();
        self.0.push((Arc::clone(store), Arc::clone(&entries)));
        entries
    }
}

impl std::fmt::Debug for Pins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pins({})", self.0.len())
    }
}
