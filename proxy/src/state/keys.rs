//! Keys that people make, change, rotate and remove while the edge runs. Must not know how the order came.

use std::collections::{BTreeMap, HashMap};

use edgeweir_limits::{KeyHash, KeyTable};
use serde::Deserialize;

use super::csv::Line;
use super::record::{KeyRecord, Secret};
use super::store::StoreError;
use super::usage::OF_CONFIG;
use super::{State, Store};
use crate::runtime::random;
use crate::snapshot::Snapshot;

/// Keys that the store may hold.
const MAX_KEYS: usize = 2_000_000;
/// Characters of a key's value (API Gateway: 20 to 128).
const VALUE: std::ops::RangeInclusive<usize> = 20..=128;
/// Characters of a value that is made here.
const MADE: usize = 40;
/// Characters of an id.
const ID: usize = 10;
/// Most characters of a name or description (API Gateway: 1,024).
const TEXT: usize = 1_024;
/// Most entries of metadata, as API Gateway's tags, and most characters of each.
const METADATA: (usize, usize) = (50, 256);
/// Most values of a key: more rotations within one overlap drop the oldest.
const VALUES: usize = 4;
/// Longest overlap of a rotation in seconds: a year.
const OVERLAP: u64 = 366 * 86_400;

/// A key that somebody wants.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyWish {
    /// For people.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Whose it is.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Names of usage plans.
    #[serde(default)]
    pub plans: Vec<String>,
    /// Default: yes.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// When it ends, in seconds since 1970.
    #[serde(default)]
    pub expires: Option<u64>,
    /// Its value; made if there is none.
    #[serde(default)]
    pub value: Option<String>,
}

/// What is to be different of a key; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    /// Its name.
    pub name: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// All of its metadata.
    pub metadata: Option<BTreeMap<String, String>>,
    /// All of its plans.
    pub plans: Option<Vec<String>>,
    /// Whether it can be used.
    pub enabled: Option<bool>,
    /// When it ends, in seconds since 1970; 0 for never.
    pub expires: Option<u64>,
}

/// A key, and its value in clear where it was made just now: it is not told again.
#[derive(Debug)]
pub struct Made {
    /// The key.
    pub record: KeyRecord,
    /// Its value.
    pub value: Option<String>,
}

/// What came of an import.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Ids in the order of the lines.
    pub ids: Vec<String>,
    /// Lines that were left out, and why.
    pub warnings: Vec<String>,
}

/// Why a key is not made or changed. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// What is wanted cannot be.
    #[error("{0}")]
    Bad(String),
    /// There is no such key.
    #[error("there is no key with the id `{0}` in the store")]
    Unknown(String),
    /// The key is none of the store's.
    #[error("the key `{0}` is in the configuration: change or remove it there, and reload")]
    OfConfig(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why no key of the store has this id.
fn unknown(id: String) -> KeyError {
    if id.starts_with(OF_CONFIG) { KeyError::OfConfig(id) } else { KeyError::Unknown(id) }
}

fn bad<T>(text: impl Into<String>) -> Result<T, KeyError> {
    Err(KeyError::Bad(text.into()))
}

impl State {
    /// Makes a key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn create_key(&self, wish: KeyWish, snapshot: &Snapshot) -> Result<Made, KeyError> {
        let given = wish.value.is_some();
        let value = wish.value.clone().unwrap_or_else(|| random::letters(MADE));
        let record = self.record(wish, &value)?;
        check_plans(&record.plans, snapshot)?;
        check_free(&value, snapshot)?;
        self.put(vec![record.clone()]).await?;
        Ok(Made { record, value: (!given).then_some(value) })
    }

    fn record(&self, wish: KeyWish, value: &str) -> Result<KeyRecord, KeyError> {
        check_value(value)?;
        check_texts(&wish.name, &wish.description, &wish.metadata)?;
        let now = self.unix();
        if wish.expires.is_some_and(|expires| expires <= now) {
            return bad("the key would have ended before it is made: `expires` is in the past");
        }
        Ok(KeyRecord {
            id: random::id(ID),
            name: wish.name,
            description: wish.description,
            metadata: wish.metadata,
            plans: wish.plans,
            enabled: wish.enabled.unwrap_or(true),
            created: now,
            updated: now,
            expires: wish.expires,
            secrets: vec![Secret::of(value.as_bytes())],
            version: 0,
        })
    }

    /// Names keys of the configuration whose value a key of the store has too.
    pub(crate) fn tell_shared_values(&self, keys: &KeyTable) {
        for key in keys.iter() {
            if let Some(other) = self.live.find(&key.hash) {
                tracing::error!(
                    key = &*key.name,
                    stored = &*other.id,
                    "a key of the configuration has the value of a stored key, and goes before it: remove the stored one"
                );
            }
        }
    }

    async fn put(&self, records: Vec<KeyRecord>) -> Result<(), KeyError> {
        if self.live.len() + records.len() > MAX_KEYS {
            return bad(format!("there can be {MAX_KEYS} keys"));
        }
        Ok(self.call(move |store| store.change_keys(&records, &[])).await?)
    }

    /// The record of a key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn key(&self, id: &str) -> Result<KeyRecord, KeyError> {
        let wanted = id.to_owned();
        self.call(move |store| store.key(&wanted)).await?.ok_or_else(|| unknown(id.to_owned()))
    }

    /// Records of keys by id, after this one, at most `count`.
    ///
    /// # Errors
    /// The store's.
    pub async fn keys(&self, after: String, count: usize) -> Result<Vec<KeyRecord>, KeyError> {
        Ok(self.call(move |store| store.keys(&after, count)).await?)
    }

    /// Changes a key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn change_key(&self, id: &str, change: KeyChange, snapshot: &Snapshot) -> Result<KeyRecord, KeyError> {
        if let Some(plans) = &change.plans {
            check_plans(plans, snapshot)?;
        }
        let now = self.unix();
        self.edit(id, move |record| {
            let KeyChange { name, description, metadata, plans, enabled, expires } = change;
            record.name = name.unwrap_or(std::mem::take(&mut record.name));
            record.description = description.unwrap_or(std::mem::take(&mut record.description));
            record.metadata = metadata.unwrap_or(std::mem::take(&mut record.metadata));
            record.plans = plans.unwrap_or(std::mem::take(&mut record.plans));
            record.enabled = enabled.unwrap_or(record.enabled);
            record.expires = expires.map_or(record.expires, |expires| (expires > 0).then_some(expires));
            record.updated = now;
            check_texts(&record.name, &record.description, &record.metadata)
        })
        .await
    }

    /// Gives a key another value; those it had end after so many seconds, at once with 0.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn rotate_key(
        &self,
        id: &str,
        value: Option<String>,
        overlap: u64,
        snapshot: &Snapshot,
    ) -> Result<Made, KeyError> {
        if overlap > OVERLAP {
            return bad("the overlap is at most a year");
        }
        let given = value.is_some();
        let value = value.unwrap_or_else(|| random::letters(MADE));
        check_value(&value)?;
        check_free(&value, snapshot)?;
        let (now, new) = (self.unix(), Secret::of(value.as_bytes()));
        let record = self
            .edit(id, move |record| {
                if record.secrets.iter().any(|old| old.sha256 == new.sha256) {
                    return bad("the key has this value already");
                }
                for old in &mut record.secrets {
                    old.until = Some(old.until.map_or(now + overlap, |until| until.min(now + overlap)));
                }
                record.secrets.retain(|old| old.until.is_none_or(|until| until > now));
                record.secrets.push(new);
                let many = record.secrets.len().saturating_sub(VALUES);
                record.secrets.drain(..many);
                record.updated = now;
                Ok(())
            })
            .await?;
        Ok(Made { record, value: (!given).then_some(value) })
    }

    /// Reads, changes and writes a record. If another process that shares the store comes between, nothing is done.
    async fn edit(
        &self,
        id: &str,
        edit: impl FnOnce(&mut KeyRecord) -> Result<(), KeyError> + Send + 'static,
    ) -> Result<KeyRecord, KeyError> {
        let id = id.to_owned();
        self.call(move |store| {
            let Some(mut record) = store.key(&id)? else { return Ok(Err(unknown(id))) };
            if let Err(error) = edit(&mut record) {
                return Ok(Err(error));
            }
            record.version += 1;
            store.change_keys(std::slice::from_ref(&record), &[])?;
            Ok(Ok(record))
        })
        .await?
    }

    /// Removes a key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn delete_key(&self, id: &str) -> Result<(), KeyError> {
        let id = id.to_owned();
        self.call(move |store| {
            if store.key(&id)?.is_none() {
                return Ok(Err(unknown(id)));
            }
            store.change_keys(&[], &[id])?;
            Ok(Ok(()))
        })
        .await?
    }

    /// Imports keys: lines whose value a key has already replace that key (API Gateway, "API key file format"). With
    /// `strict` nothing is imported if there is a warning; with `dry` nothing is imported at all.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn import_keys(
        &self,
        lines: Vec<Line>,
        mut wanted: Wanted,
        (strict, dry): (bool, bool),
        snapshot: &Snapshot,
    ) -> Result<Wanted, KeyError> {
        let mut records: Vec<KeyRecord> = Vec::with_capacity(lines.len());
        let mut at = HashMap::new();
        for Line { number, wish } in lines {
            let value = wish.value.clone().unwrap_or_default();
            let free = check_plans(&wish.plans, snapshot).and_then(|()| check_free(&value, snapshot));
            let made = free.and_then(|()| self.record(wish, &value));
            match made {
                Ok(record) => {
                    let sha256 = record.secrets.first().map(|secret| secret.sha256.clone()).unwrap_or_default();
                    // The last line with a value is the one that counts.
                    match at.get(&sha256).and_then(|&at: &usize| records.get_mut(at)) {
                        Some(earlier) => *earlier = record,
                        None => {
                            at.insert(sha256, records.len());
                            records.push(record);
                        }
                    }
                }
                Err(error) => wanted.warnings.push(format!("line {number}: {error}")),
            }
        }
        if dry || (strict && !wanted.warnings.is_empty()) {
            return Ok(wanted);
        }
        if self.live.len() + records.len() > MAX_KEYS {
            return bad(format!("there can be {MAX_KEYS} keys"));
        }
        wanted.ids = self.call(move |store| replace(store, records)).await?;
        Ok(wanted)
    }
}

/// Puts imported records in; those whose value is known become the key that has it. Of several lines with values of one key
/// (it was rotated) the last one counts, as of several with one value.
fn replace(store: &mut dyn Store, records: Vec<KeyRecord>) -> Result<Vec<String>, StoreError> {
    let mut wanted: Vec<KeyRecord> = Vec::with_capacity(records.len());
    let mut known = HashMap::new();
    for mut record in records {
        let earlier = match record.secrets.first() {
            Some(secret) => store.key_with(&secret.sha256)?.map(|id| store.key(&id)).transpose()?.flatten(),
            None => None,
        };
        let Some(earlier) = earlier else {
            wanted.push(record);
            continue;
        };
        record.id = earlier.id;
        record.created = earlier.created;
        record.metadata = earlier.metadata;
        record.expires = earlier.expires;
        record.secrets = earlier.secrets;
        record.version = earlier.version + 1;
        match known.get(&record.id).and_then(|&at: &usize| wanted.get_mut(at)) {
            Some(line) => *line = record,
            None => {
                known.insert(record.id.clone(), wanted.len());
                wanted.push(record);
            }
        }
    }
    store.change_keys(&wanted, &[])?;
    Ok(wanted.into_iter().map(|record| record.id).collect())
}

/// No key of the configuration has this value: it would be unclear whose request it is.
fn check_free(value: &str, snapshot: &Snapshot) -> Result<(), KeyError> {
    match snapshot.keys.get(&KeyHash::of(value.as_bytes())) {
        Some(key) => Err(StoreError::Taken { id: key.id.to_string() }.into()),
        None => Ok(()),
    }
}

fn check_value(value: &str) -> Result<(), KeyError> {
    if !VALUE.contains(&value.len()) {
        return bad(format!("a key has 20 to 128 characters, this one has {}", value.chars().count()));
    }
    if !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.~-".contains(&b)) {
        return bad("a key has letters, digits, `_`, `.`, `~` and `-` only");
    }
    debug_assert!(KeyHash::from_hex(&Secret::of(value.as_bytes()).sha256).is_ok());
    Ok(())
}

fn check_texts(name: &str, description: &str, metadata: &BTreeMap<String, String>) -> Result<(), KeyError> {
    if name.is_empty() {
        return bad("a key needs a name");
    }
    let long = |text: &str, most: usize| text.chars().count() > most;
    let odd = |text: &str| text.chars().any(char::is_control);
    for (what, text) in [("name", name), ("description", description)] {
        if long(text, TEXT) || odd(text) {
            return bad(format!("the {what} of a key has at most {TEXT} characters and no control characters"));
        }
    }
    let (entries, length) = METADATA;
    let wrong = |text: &String| long(text, length) || odd(text);
    if metadata.len() > entries || metadata.iter().any(|(name, value)| wrong(name) || wrong(value)) {
        return bad(format!("metadata has at most {entries} entries of at most {length} characters"));
    }
    Ok(())
}

/// What to tell who names a plan that the configuration does not have, and which it has; none if it has it.
pub(crate) fn unknown_plan(plan: &str, snapshot: &Snapshot) -> Option<String> {
    let plans = &snapshot.config.usage_plans;
    if plans.iter().any(|known| known.name == plan) {
        return None;
    }
    let known: Vec<String> = plans.iter().map(|known| format!("`{}`", known.name)).collect();
    let known = if known.is_empty() { "there is none".to_owned() } else { format!("there are {}", known.join(", ")) };
    Some(format!("unknown usage plan `{plan}`: {known}"))
}

/// Known plans, and no two for one behavior.
fn check_plans(plans: &[String], snapshot: &Snapshot) -> Result<(), KeyError> {
    for (at, plan) in plans.iter().enumerate() {
        if let Some(wrong) = unknown_plan(plan, snapshot) {
            return bad(wrong);
        }
        if plans.iter().take(at).any(|earlier| earlier == plan) {
            return bad(format!("the usage plan `{plan}` is named twice"));
        }
    }
    if let Some((one, other, distribution, behavior)) = snapshot.two_plans(plans) {
        return bad(format!(
            "the usage plans `{one}` and `{other}` both open `{behavior}` of the distribution `{distribution}`"
        ));
    }
    Ok(())
}
