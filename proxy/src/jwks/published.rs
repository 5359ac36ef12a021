//! A key set that an origin publishes: when it is asked, by whom, and how long its keys count.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use edgeweir_cache::own_lifetime;
use edgeweir_config::PublishedJwks;
use edgeweir_hookhost::{Fetch as _, Jwks, Outgoing, Secrets};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{MAX_SET, Tools, tell_skipped};
use crate::fault::chain;
use crate::fetch::Fetcher;
use crate::origin::Origin;
use crate::runtime::clock::Clock;
use crate::telemetry::metrics::StoreMetrics;

/// Longest time of one fetch, whatever the origin's own timeouts allow.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module's text.
pub(super) struct Published {
    name: Box<str>,
    config: PublishedJwks,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    metrics: Arc<StoreMetrics>,
    /// Kept over reloads.
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    loaded: ArcSwapOption<Loaded>,
    turn: Mutex<Turn>,
}

/// Keys that came.
struct Loaded {
    keys: Arc<Jwks>,
    /// What they were made of: the same again is no news.
    text: Bytes,
    /// When they should be renewed, in nanoseconds of the clock.
    due: u64,
    /// From when on they do not count any more.
    until: u64,
}

/// Who asks, and what came of it.
#[derive(Default)]
struct Turn {
    /// When the origin was asked last.
    asked: Option<u64>,
    /// The fetch that is on its way: over when the other end is gone.
    running: Option<watch::Receiver<()>>,
    /// Why the last one failed.
    failure: Option<String>,
}

impl Published {
    pub(super) fn new(
        name: &str,
        config: &PublishedJwks,
        tools: Tools<'_>,
        metrics: Arc<StoreMetrics>,
        old: Option<&Self>,
    ) -> Self {
        // As many as there are, or the whole snapshot is wrong.
        let origins: Vec<Arc<Origin>> = tools.origins.get(config.origin.0).map(Arc::clone).into_iter().collect();
        let same = |old: &&Self| {
            let place = |set: &[Arc<Origin>]| set.first().map(|origin| origin.config.clone());
            old.config.path == config.path && place(&old.fetcher.origins) == place(&origins)
        };
        let shared = old.filter(same).map_or_else(Arc::default, |old| Arc::clone(&old.shared));
        Self {
            name: name.into(),
            config: config.clone(),
            fetcher: Fetcher { origins, max: MAX_SET, connections: Arc::clone(tools.connections) },
            clock: Arc::clone(tools.clock),
            metrics,
            shared,
        }
    }

    pub(super) fn keys(&self) -> Result<Arc<Jwks>, String> {
        match &*self.shared.loaded.load() {
            Some(loaded) if self.clock.monotonic() < loaded.until => Ok(Arc::clone(&loaded.keys)),
            loaded => {
                let what = if loaded.is_some() { "the keys are too old" } else { "there are no keys yet" };
                let why = self.shared.turn.lock().failure.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                Err(format!("key set `{}`: {what}{why}", self.name))
            }
        }
    }

    /// Asks if it is time to.
    pub(super) fn tend(self: &Arc<Self>) {
        let due = self.shared.loaded.load().as_ref().is_none_or(|loaded| self.clock.monotonic() >= loaded.due);
        if due {
            drop(self.ask());
        }
    }

    /// Asks unless the origin was asked a moment ago, and waits for the answer.
    pub(super) async fn renew(self: &Arc<Self>) {
        if let Some(mut running) = self.ask() {
            // Nothing is ever sent: the end is the news.
            let _ended = running.changed().await;
        }
    }

    /// The fetch that is on its way, or a new one; none if the origin was asked less than `min_refresh` ago.
    fn ask(self: &Arc<Self>) -> Option<watch::Receiver<()>> {
        let now = self.clock.monotonic();
        let mut turn = self.shared.turn.lock();
        if let Some(running) = turn.running.as_ref().filter(|running| running.has_changed().is_ok()) {
            return Some(running.clone());
        }
        if turn.asked.is_some_and(|asked| now < asked.saturating_add(nanos(self.config.min_refresh))) {
            return None;
        }
        turn.asked = Some(now);
        let (end, running) = watch::channel(());
        turn.running = Some(running.clone());
        let this = Arc::clone(self);
        tokio::spawn(async move {
            this.refresh().await;
            drop(end);
        });
        Some(running)
    }

    /// One fetch and what comes of it.
    async fn refresh(&self) {
        let fetched = match tokio::time::timeout(PATIENCE, self.fetch()).await {
            Ok(fetched) => fetched,
            Err(_late) => Err(format!("no whole answer within {} s", PATIENCE.as_secs())),
        };
        self.metrics.loaded(fetched.is_ok());
        match fetched {
            Ok(loaded) => {
                let changed =
                    self.shared.loaded.load().as_ref().is_none_or(|old| !Arc::ptr_eq(&old.keys, &loaded.keys));
                if changed {
                    tracing::info!(key_set = &*self.name, keys = loaded.keys.len(), "key set renewed");
                    tell_skipped(&self.name, &loaded.keys);
                }
                self.shared.loaded.store(Some(Arc::new(loaded)));
                self.shared.turn.lock().failure = None;
            }
            Err(error) => {
                let mut turn = self.shared.turn.lock();
                // The same words each time say nothing new, and may come every few seconds.
                if turn.failure.as_deref() != Some(&error) {
                    tracing::error!(key_set = &*self.name, %error, "key set not renewed: the last keys stay while they may");
                }
                turn.failure = Some(error);
            }
        }
    }

    async fn fetch(&self) -> Result<Loaded, String> {
        let accept = HeaderValue::from_static("application/jwk-set+json, application/json");
        let request = Outgoing {
            origin: self.fetcher.origins.first().map(|origin| origin.config.name.clone()).unwrap_or_default(),
            method: Method::GET,
            target: self.config.path.clone(),
            headers: HeaderMap::from_iter([(ACCEPT, accept)]),
            body: Bytes::new(),
        };
        let answer = self.fetcher.send(request).await?;
        if answer.status != StatusCode::OK {
            return Err(format!("the origin answered {}", answer.status.as_u16()));
        }
        let old = self.shared.loaded.load_full();
        let keys = match old.filter(|old| old.text == answer.body) {
            Some(old) => Arc::clone(&old.keys),
            None => Arc::new(Jwks::parse(&answer.body, Secrets::Skipped).map_err(|error| chain(&error))?),
        };
        let headers: HeaderMap = answer.headers.into_iter().collect();
        let PublishedJwks { min_refresh, max_refresh, max_stale, .. } = self.config;
        let fresh = own_lifetime(&headers, self.clock.wall()).unwrap_or(max_refresh).clamp(min_refresh, max_refresh);
        let now = self.clock.monotonic();
        let due = now.saturating_add(nanos(fresh));
        Ok(Loaded { keys, text: answer.body, due, until: due.saturating_add(nanos(max_stale)) })
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
