//! Sets of public keys at run time: read from a file or fetched from an origin, kept, and renewed off the data path.
//!
//! A request takes the keys that are there. It only waits, within its hook's time, where there are none yet or where it names
//! a key that no set has; the fetch that it then starts is one for all and goes on without it. Last good keys stay until
//! `max_stale` after they should have been renewed.

mod published;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use edgeweir_config::{self as model, JwksSource};
use edgeweir_hookhost::{Jwks, JwksError, Renewed, Secrets};
use parking_lot::Mutex;

use crate::fault::chain;
use crate::fetch::Connections;
use crate::files::{self, Stamp};
use crate::origin::Origin;
use crate::runtime::clock::Clock;
use crate::telemetry::metrics::StoreMetrics;

use published::Published;

/// Largest set, in bytes. Real ones have a few KiB.
const MAX_SET: usize = 256 << 10;

/// A key set of one snapshot.
pub struct KeySet {
    /// Its name.
    pub name: Box<str>,
    source: Source,
}

enum Source {
    File(Box<FromFile>),
    Origin(Arc<Published>),
}

/// A set that is read from a file.
struct FromFile {
    path: PathBuf,
    keys: ArcSwapOption<Jwks>,
    /// The file as it was when it was read last, for good or bad.
    seen: Mutex<Option<Stamp>>,
    metrics: Arc<StoreMetrics>,
}

/// Why a set cannot be used. The texts hold nothing of the set but ids of keys.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// The system refuses.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Over 256 KiB.
    #[error("it has over 256 KiB")]
    TooLarge,
    /// The content.
    #[error(transparent)]
    Content(#[from] JwksError),
}

/// What sets are made with.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// By [`model::OriginId`].
    pub origins: &'a [Arc<Origin>],
    /// Of requests that hooks send; sets come over them too.
    pub connections: &'a Arc<Connections>,
    /// Tells when keys are too old.
    pub clock: &'a Arc<dyn Clock>,
}

impl KeySet {
    /// Makes a set. A file is read; an origin is asked later. `old` is the set of the same name before a reload: its keys
    /// stay if it comes from the same place.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn open(
        config: &model::Jwks,
        tools: Tools<'_>,
        metrics: Arc<StoreMetrics>,
        old: Option<&Self>,
    ) -> Result<Self, KeySetError> {
        let source = match &config.source {
            JwksSource::File(path) => {
                let seen = Stamp::at(path);
                let keys = read(path)?;
                tell_skipped(&config.name, &keys);
                let keys = ArcSwapOption::from_pointee(keys);
                Source::File(Box::new(FromFile { path: path.clone(), keys, seen: Mutex::new(seen), metrics }))
            }
            JwksSource::Origin(published) => {
                let old = match old.map(|old| &old.source) {
                    Some(Source::Origin(old)) => Some(&**old),
                    _ => None,
                };
                Source::Origin(Arc::new(Published::new(&config.name, published, tools, metrics, old)))
            }
        };
        Ok(Self { name: config.name.as_str().into(), source })
    }

    /// Whether it is read from a file.
    #[must_use]
    pub fn has_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// Looks at the file, and reads it if it has changed since it was read last. Blocks.
    pub fn look(&self) {
        let Source::File(file) = &self.source else { return };
        let mut seen = file.seen.lock();
        let now = Stamp::at(&file.path);
        if now == *seen {
            return;
        }
        *seen = now;
        let keys = read(&file.path);
        file.metrics.loaded(keys.is_ok());
        match keys {
            Ok(keys) => {
                tracing::info!(key_set = &*self.name, keys = keys.len(), "key set read again");
                tell_skipped(&self.name, &keys);
                file.keys.store(Some(Arc::new(keys)));
            }
            Err(error) => {
                let error = chain(&error);
                tracing::error!(key_set = &*self.name, %error, "key set not renewed: the old keys stay");
            }
        }
    }

    /// Starts asking the origin, if it is time to. Needs a runtime.
    pub fn tend(&self) {
        if let Source::Origin(published) = &self.source {
            published.tend();
        }
    }
}

impl edgeweir_hookhost::KeySet for KeySet {
    fn keys(&self) -> Result<Arc<Jwks>, String> {
        match &self.source {
            // It was read when the set was made.
            Source::File(file) => file.keys.load_full().ok_or_else(|| "there are no keys".to_owned()),
            Source::Origin(published) => published.keys(),
        }
    }

    fn renew(&self) -> Renewed<'_> {
        match &self.source {
            // It is looked at each second.
            Source::File(_) => Box::pin(std::future::ready(())),
            Source::Origin(published) => Box::pin(published.renew()),
        }
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySet").field("name", &self.name).finish_non_exhaustive()
    }
}

fn read(path: &std::path::Path) -> Result<Jwks, KeySetError> {
    let bytes =
        files::read(path, MAX_SET as u64).map_err(|source| KeySetError::Read { path: path.to_owned(), source })?;
    if bytes.len() > MAX_SET {
        return Err(KeySetError::TooLarge);
    }
    // Only the edge reads the file, so it may hold secrets.
    Ok(Jwks::parse(&bytes, Secrets::Used)?)
}

/// Keys that nobody can use are worth a line: tokens that they sign are refused.
fn tell_skipped(name: &str, keys: &Jwks) {
    for skipped in keys.skipped() {
        tracing::warn!(key_set = name, "{skipped}: it is not used");
    }
}
