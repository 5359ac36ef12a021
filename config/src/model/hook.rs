//! Hooks, the stores that they read, and their bindings.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{HookId, JwksId, KeyValueStoreId, OriginId, SecretSource};
use crate::units::HostPattern;

/// A WASM artefact that can be bound to stages.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// Its name in the config.
    pub name: String,
    /// Where its bytes are.
    pub source: HookSource,
    /// Wall time of one call. Default 50 ms, at most 30 s.
    pub timeout: Duration,
    /// Linear memory of one instance in bytes. Default 16 MiB, at most 64 MiB.
    pub memory: u64,
    /// Calls at once; more wait for at most `timeout`. Default 256.
    pub max_concurrent: u32,
}

impl Hook {
    /// The file that it is read from; none for a deployed one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.source {
            HookSource::File(path) => Some(path),
            HookSource::Deployed => None,
        }
    }
}

/// Where the bytes of a hook come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookSource {
    /// The `.wasm` file, at most 10 MiB.
    File(PathBuf),
    /// The version that was deployed last, in the state folder.
    Deployed,
}

impl std::fmt::Display for HookSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Deployed => f.write_str("deployed"),
        }
    }
}

/// Longest key of a key-value store, in bytes (CloudFront Developer Guide, "Quotas on key value stores").
pub const MAX_KEY_VALUE_KEY: usize = 512;
/// Longest value of a key-value store, in bytes: a hook has to hold it.
pub const MAX_KEY_VALUE_VALUE: usize = 1 << 20;

/// Keys and values that hooks may read.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyValueStore {
    /// Its name in the config.
    pub name: String,
    /// Where its entries come from.
    pub source: KeyValueSource,
}

/// Where the entries of a store come from.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyValueSource {
    /// Written in the config.
    Inline(BTreeMap<String, String>),
    /// A JSON object of strings in a file, read when a snapshot is made and when the file changes.
    File(PathBuf),
}

impl std::fmt::Debug for KeyValueSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // Content of the site, however private.
            Self::Inline(entries) => write!(f, "Inline({} entries)", entries.len()),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// A set of public keys that hooks check signatures with (RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwks {
    /// Its name in the config.
    pub name: String,
    /// Where its keys come from.
    pub source: JwksSource,
}

/// Where the keys of a set come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// A JSON file, read when a snapshot is made and when the file changes.
    File(PathBuf),
    /// An origin that publishes it.
    Origin(PublishedJwks),
}

/// A key set that an origin publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedJwks {
    /// Which origin.
    pub origin: OriginId,
    /// Path and query there; starts with `/`.
    pub path: String,
    /// The origin is not asked more often. Default 10 s.
    pub min_refresh: Duration,
    /// It is asked at least this often. Default 1 h.
    pub max_refresh: Duration,
    /// How long the last keys are used while it gives no new ones. Default 1 day.
    pub max_stale: Duration,
}

/// Where hooks run: the four stages, in the order a request meets them, and the authorizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// On every request, before the cache.
    ViewerRequest,
    /// Before the origin is asked.
    OriginRequest,
    /// After the origin answered, before the response is stored.
    OriginResponse,
    /// Before the response goes to the viewer.
    ViewerResponse,
    /// Before the stages: who may use the behavior. Not one of them.
    Authorizer,
}

impl Stage {
    /// The four stages.
    pub const ALL: [Self; 4] = [Self::ViewerRequest, Self::OriginRequest, Self::OriginResponse, Self::ViewerResponse];

    /// As it is written in configs, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ViewerRequest => "viewer-request",
            Self::OriginRequest => "origin-request",
            Self::OriginResponse => "origin-response",
            Self::ViewerResponse => "viewer-response",
            Self::Authorizer => "authorizer",
        }
    }
}

/// Use of a hook at a stage of a behavior.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// Which hook.
    pub hook: HookId,
    /// Its settings as JSON text; `{}` if none. `null` where a secret belongs: see [`Binding::settings_with`].
    pub settings: String,
    /// Secrets inside of `settings`, by JSON pointer (RFC 6901).
    pub settings_secrets: Vec<(String, SecretSource)>,
    /// Where the settings are written.
    pub place: Place,
    /// The stores that the hook may read; none if the binding does not speak of stores.
    pub key_value_stores: Option<Vec<KeyValueStoreId>>,
    /// The key sets that the hook may use.
    pub jwks: Vec<JwksId>,
    /// The secrets that the hook may read, by name; none if the binding does not speak of secrets.
    pub secrets: Option<Vec<(String, SecretSource)>>,
    /// The most bytes of the request's body that the hook may read; 0 if it may not, none if the binding does not speak
    /// of it.
    pub request_body: Option<usize>,
    /// The origins that the hook may send requests to; none if the binding does not speak of them.
    pub fetch: Option<Vec<OriginId>>,
    /// The largest body of an answer to such a request, in bytes. Default 1 MiB.
    pub fetch_max: usize,
    /// Hosts that the hook may choose as origins; never `*` alone.
    pub dynamic_origins: Vec<HostPattern>,
    /// What happens when the hook fails.
    pub on_failure: FailurePolicy,
    /// At viewer-response: run also on errors of the origin and of the edge.
    pub on_errors: bool,
}

/// Where a binding's settings stand in the text of the config. All places are equal: a text that moved says the same.
#[derive(Clone, Default)]
pub struct Place {
    /// The whole binding, as bytes of the text.
    pub binding: Range<usize>,
    /// The settings; the binding if it has none.
    pub(crate) whole: Range<usize>,
    /// Each setting, by JSON pointer (RFC 6901).
    pub(crate) settings: Vec<SettingPlace>,
}

/// Where a setting stands in the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SettingPlace {
    /// JSON pointer (RFC 6901).
    pub(crate) pointer: String,
    /// Its key; of an element of an array the element.
    pub(crate) key: Range<usize>,
    /// Its value.
    pub(crate) value: Range<usize>,
}

impl Place {
    /// The place of the setting that a JSON pointer names, as bytes of the text. The nearest one around it, if that
    /// setting is not written.
    #[must_use]
    pub fn of(&self, pointer: &str) -> Range<usize> {
        self.nearest(pointer).map_or_else(|| self.whole.clone(), |place| place.value.clone())
    }

    /// As [`Place::of`], of the setting's key: for a setting that should not be there.
    #[must_use]
    pub fn key_of(&self, pointer: &str) -> Range<usize> {
        self.nearest(pointer).map_or_else(|| self.whole.clone(), |place| place.key.clone())
    }

    fn nearest(&self, pointer: &str) -> Option<&SettingPlace> {
        let mut pointer = pointer;
        loop {
            let found = self.settings.iter().find(|place| place.pointer == pointer);
            if found.is_some() {
                return found;
            }
            pointer = pointer.rsplit_once('/')?.0;
        }
    }
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({:?})", self.whole)
    }
}

impl Binding {
    /// The settings with their secrets in place; `read` fetches one (when a snapshot is made), and is told the JSON
    /// pointer of its setting.
    ///
    /// # Errors
    /// The first error of `read`.
    pub fn settings_with<E>(
        &self,
        mut read: impl FnMut(&str, &SecretSource) -> Result<String, E>,
    ) -> Result<String, E> {
        if self.settings_secrets.is_empty() {
            return Ok(self.settings.clone());
        }
        // Made by `resolve` from a table, so it is JSON and the pointers are in it.
        let mut json: serde_json::Value = serde_json::from_str(&self.settings).unwrap_or_default();
        for (pointer, source) in &self.settings_secrets {
            let secret = read(pointer, source)?;
            if let Some(place) = json.pointer_mut(pointer) {
                *place = serde_json::Value::String(secret);
            }
        }
        Ok(json.to_string())
    }
}

/// What a failed hook (trap, timeout, bad output) means for the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailurePolicy {
    /// The viewer gets 502 or 503. Default.
    Closed,
    /// The request goes on as if the hook were not bound.
    Open,
    /// The newest version of the hook before a reload that has passed is called instead; as `Closed` if there is none.
    LastGood,
}
