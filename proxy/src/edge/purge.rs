//! Purges of a running edge, from the admin API and from `PURGE` requests: done, logged, and a receipt for whoever asked.

use std::sync::Arc;

use edgeweir_cache::purge::{Item, Mode};
use edgeweir_cache::storage::Held;
use serde_json::{Value, json};

use super::core::Core;

/// What a purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// It is done: no answer that begins after this has purged content. `Cache-Status` of what was fetched after it says
    /// `gen=` with this number or a greater one.
    Purged {
        /// The number.
        generation: u64,
        /// Hard or soft.
        mode: Mode,
    },
    /// It was not done, and would have been about so much.
    Counted {
        /// The objects that are in the cache.
        held: Held,
        /// The latest generation.
        generation: u64,
    },
}

impl Receipt {
    /// As callers get it.
    #[must_use]
    pub fn json(&self) -> Value {
        match self {
            Self::Purged { generation, mode } => json!({ "generation": generation, "mode": mode.as_str() }),
            Self::Counted { held, generation } => json!({
                "dry_run": true,
                "objects": held.objects,
                "bytes": held.bytes,
                "generation": generation,
            }),
        }
    }
}

impl Core {
    /// Purges, at a cost that does not depend on what the cache holds; what was purged is freed behind. `by` says who wanted it, for the log.
    pub fn purge(&self, items: &[Item], mode: Mode, by: &str) -> Receipt {
        let generation = self.cache.storage.purges().purge(items, mode, std::time::SystemTime::now());
        if mode == Mode::Hard
            && let (Some(sweep), Ok(runtime)) =
                (self.cache.storage.begin_sweep(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(sweep.run());
        }
        tracing::info!(
            generation,
            mode = mode.as_str(),
            items = items.len(),
            first = describe(items),
            by,
            "cache purged"
        );
        Receipt::Purged { generation, mode }
    }

    /// Counts what a purge would be about. Looks at each object of the cache.
    pub async fn count_purge(self: &Arc<Self>, items: Vec<Item>) -> Receipt {
        let storage = self.cache.storage;
        let held = tokio::task::spawn_blocking(move || storage.would_purge(&items)).await.unwrap_or_default();
        Receipt::Counted { held, generation: storage.purges().generation() }
    }
}

/// The first item, for the log.
fn describe(items: &[Item]) -> String {
    items.first().map(|item| format!("{:?} of {:?}", item.target, item.scope)).unwrap_or_default()
}
