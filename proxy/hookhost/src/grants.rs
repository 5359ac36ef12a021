//! What a binding grants its hook: key-value stores and secrets. The embedder owns the data; a call borrows it.

use std::collections::HashMap;
use std::sync::Arc;

/// Imports that a hook may use only if its binding grants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grant {
    /// Reads key-value stores.
    KeyValue,
    /// Reads secrets.
    Secrets,
}

impl Grant {
    /// All grants.
    pub const ALL: [Self; 2] = [Self::KeyValue, Self::Secrets];

    /// The name of the interface in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyValue => "key-value",
            Self::Secrets => "secrets",
        }
    }
}

/// One state of a key-value store.
pub type Entries = HashMap<Box<str>, Arc<[u8]>>;

/// A key-value store as its embedder keeps it. Asked from inside a hook's call: must not block.
pub trait KeyValueStore: Send + Sync {
    /// The state now.
    fn entries(&self) -> Arc<Entries>;
}

/// What one binding grants. Made once for each binding and shared by its calls.
#[derive(Default)]
pub struct Grants {
    /// Stores by the names that the hook asks for.
    pub stores: Vec<(Box<str>, Arc<dyn KeyValueStore>)>,
    /// Secrets by name.
    pub secrets: Vec<(Box<str>, Arc<[u8]>)>,
}

impl std::fmt::Debug for Grants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stores: Vec<&str> = self.stores.iter().map(|(name, _)| &**name).collect();
        let secrets: Vec<&str> = self.secrets.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Grants").field("stores", &stores).field("secrets", &secrets).finish()
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
