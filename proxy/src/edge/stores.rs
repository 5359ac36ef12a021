//! Looks at the files of key-value stores, key sets and geo databases and has the changed ones read, and has key sets fetched when it is
//! time to, off the data path.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use crate::fault::chain;
use crate::geo::Refreshed as Refresh;
use crate::snapshot::stores::Refreshed;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Runs until it is aborted.
pub(super) async fn watch(core: Arc<Core>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let snapshot = core.snapshot.load_full();
        snapshot.jwks.iter().for_each(|set| set.tend());
        let has_file = snapshot.stores.iter().any(|store| store.has_file())
            || snapshot.jwks.iter().any(|set| set.has_file())
            || snapshot.geo.is_some();
        if !has_file {
            continue;
        }
        // Only a panic ends this early, and then the next turn tries again.
        let _done = tokio::task::spawn_blocking(move || {
            snapshot.jwks.iter().for_each(|set| set.look());
            for refreshed in snapshot.geo.iter().flat_map(|geo| geo.refresh()) {
                match refreshed {
                    Refresh::Renewed { path, kind } => {
                        tracing::info!(path = %path.display(), kind, "geo database read again");
                    }
                    Refresh::Failed(error) => {
                        tracing::error!(error = %chain(&error), "geo database not renewed: the old one stays");
                    }
                }
            }
            for store in &snapshot.stores {
                match store.refresh() {
                    Refreshed::Unchanged => {}
                    Refreshed::Renewed(entries) => {
                        tracing::info!(store = &*store.name, entries, "key-value store read again");
                    }
                    Refreshed::Failed(error) => {
                        let error = chain(&error);
                        tracing::error!(store = &*store.name, %error, "key-value store not renewed: the old entries stay");
                    }
                }
            }
        })
        .await;
    }
}
