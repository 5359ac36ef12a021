//! Key-value stores: their entries from the config or from a JSON file, which is read again when it changes. The data path
//! only takes the `Arc` of the entries in force. Reading blocks: call it off the runtime's workers.

use std::collections::hash_map::Entry;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use edgeweir_config::{self as model, KeyValueSource, MAX_KEY_VALUE_KEY, MAX_KEY_VALUE_VALUE};
use edgeweir_hookhost::{Entries, KeyValueStore};
use parking_lot::Mutex;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use crate::files::Stamp;
use crate::telemetry::metrics::StoreMetrics;

/// Largest file of a store, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// A store of one snapshot.
pub struct Store {
    /// Its name.
    pub name: Box<str>,
    /// None if its entries stand in the config.
    file: Option<PathBuf>,
    entries: ArcSwap<Entries>,
    /// The file as it was when it was read last, for good or bad.
    seen: Mutex<Option<Stamp>>,
    metrics: Arc<StoreMetrics>,
}

/// What became of a look at a store's file.
#[derive(Debug)]
pub enum Refreshed {
    /// It has not changed.
    Unchanged,
    /// It was read; so many entries are in force now.
    Renewed(usize),
    /// It cannot be used; the old entries stay.
    Failed(StoreError),
}

/// Why the file of a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refuses.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A folder or a pipe, for example.
    #[error("`{}` is not a regular file", .path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Over the limit.
    #[error("`{}` has over 64 MiB; split it over several stores", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The content.
    #[error(
        "`{}` is no JSON object of strings, as in {{ \"key\": \"value\" }}, nor CloudFront's {{ \"data\": [{{ \"key\": …, \"value\": … }}] }}",
        .path.display()
    )]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
}

impl Store {
    /// Makes a store and reads its file.
    ///
    /// # Errors
    /// If the file cannot be used; the error names it.
    pub fn open(config: &model::KeyValueStore, metrics: Arc<StoreMetrics>) -> Result<Self, StoreError> {
        let (file, stamp, entries) = match &config.source {
            KeyValueSource::Inline(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.as_str().into(), value.as_bytes().into()));
                (None, None, entries.collect())
            }
            KeyValueSource::File(path) => {
                let (stamp, entries) = read(path);
                (Some(path.clone()), stamp, entries?)
            }
        };
        let name = config.name.as_str().into();
        Ok(Self { name, file, entries: ArcSwap::from_pointee(entries), seen: Mutex::new(stamp), metrics })
    }

    /// Whether its entries come from a file.
    #[must_use]
    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Looks at the file, and reads it if it has changed since it was read last.
    pub fn refresh(&self) -> Refreshed {
        let Some(path) = &self.file else { return Refreshed::Unchanged };
        let mut seen = self.seen.lock();
        let now = std::fs::metadata(path).ok().map(|meta| Stamp::of(&meta));
        if now == *seen {
            return Refreshed::Unchanged;
        }
        let (stamp, entries) = read(path);
        *seen = stamp;
        self.metrics.loaded(entries.is_ok());
        match entries {
            Ok(entries) => {
                let count = entries.len();
                self.entries.store(Arc::new(entries));
                Refreshed::Renewed(count)
            }
            Err(error) => Refreshed::Failed(error),
        }
    }
}

impl KeyValueStore for Store {
    fn entries(&self) -> Arc<Entries> {
        self.entries.load_full()
    }

    fn changed_ms(&self) -> u64 {
        self.seen.lock().as_ref().map_or(0, Stamp::written_ms)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the entries: they are the site's own.
        f.debug_struct("Store").field("name", &self.name).field("file", &self.file).finish_non_exhaustive()
    }
}

/// Reads a file; the stamp is of before the reading, so that a change meanwhile is seen at the next look.
fn read(path: &Path) -> (Option<Stamp>, Result<Entries, StoreError>) {
    let failed = |source| StoreError::Read { path: path.to_owned(), source };
    // Before it is opened: a pipe would make that wait.
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) => return (None, Err(failed(error))),
    };
    let stamp = Some(Stamp::of(&meta));
    if !meta.is_file() {
        return (stamp, Err(StoreError::NotAFile { path: path.to_owned() }));
    }
    let mut bytes = Vec::new();
    let content = std::fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    if let Err(error) = content {
        return (stamp, Err(failed(error)));
    }
    if bytes.len() as u64 > MAX_FILE {
        return (stamp, Err(StoreError::TooLarge { path: path.to_owned() }));
    }
    let mut json = serde_json::Deserializer::from_slice(&bytes);
    let entries = json.deserialize_map(Object).and_then(|entries| json.end().map(|()| entries));
    (stamp, entries.map_err(|source| StoreError::Content { path: path.to_owned(), source }))
}

/// One JSON object whose values are strings, or CloudFront's list. Its errors name keys and never show a value.
struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Entries;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object whose values are strings")
    }

    fn visit_str<E: de::Error>(self, _text: &str) -> Result<Entries, E> {
        Err(E::custom("a string, expected an object whose values are strings"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Entries::new();
        while let Some(key) = map.next_key::<Box<str>>()? {
            match map.next_value::<serde_json::Value>()? {
                serde_json::Value::Array(items) if &*key == LIST && entries.is_empty() => {
                    if map.next_key::<de::IgnoredAny>()?.is_some() {
                        return Err(de::Error::custom(format!("there is something beside the list {LIST:?}")));
                    }
                    return of_list(items);
                }
                value => add(&mut entries, key, value)?,
            }
        }
        Ok(entries)
    }
}

/// What CloudFront imports from S3: `{"data": [{"key": "…", "value": "…"}]}` ("Create a file of key-value pairs").
const LIST: &str = "data";

fn of_list<E: de::Error>(items: Vec<serde_json::Value>) -> Result<Entries, E> {
    let mut entries = Entries::new();
    for (at, item) in items.into_iter().enumerate() {
        let serde_json::Value::Object(mut item) = item else {
            return Err(E::custom(format!("entry {at} of {LIST:?} is not an object with \"key\" and \"value\"")));
        };
        match (item.remove("key"), item.remove("value")) {
            (Some(serde_json::Value::String(key)), Some(value)) if item.is_empty() => {
                add(&mut entries, key.into(), value)?;
            }
            _ => return Err(E::custom(format!("entry {at} of {LIST:?} has not just a \"key\" and a \"value\""))),
        }
    }
    Ok(entries)
}

fn add<E: de::Error>(entries: &mut Entries, key: Box<str>, value: serde_json::Value) -> Result<(), E> {
    if key.is_empty() || key.len() > MAX_KEY_VALUE_KEY {
        return Err(E::custom(format!("a key has 1 to {MAX_KEY_VALUE_KEY} bytes")));
    }
    let value = match value {
        serde_json::Value::String(value) if value.len() <= MAX_KEY_VALUE_VALUE => value,
        serde_json::Value::String(_) => return Err(E::custom(format!("the value of {key:?} has over 1 MiB"))),
        _ => return Err(E::custom(format!("the value of {key:?} is not a string; put it in quotes"))),
    };
    match entries.entry(key) {
        Entry::Vacant(entry) => drop(entry.insert(value.into_bytes().into())),
        Entry::Occupied(entry) => return Err(E::custom(format!("the key {:?} is there twice", entry.key()))),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
