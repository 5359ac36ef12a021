//! An API key as a store keeps it: everything but its value, of which only the SHA-256 is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use edgeweir_limits::{Key, KeyHash, PlanNames};
use serde::{Deserialize, Serialize};

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Ten letters and digits; never changes.
    pub id: String,
    /// For people, at most 1,024 characters.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whose it is, in the owner's own words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Names of usage plans.
    pub plans: Vec<String>,
    /// A disabled key is as good as unknown.
    pub enabled: bool,
    /// Seconds since 1970.
    pub created: u64,
    /// Seconds since 1970.
    pub updated: u64,
    /// When it ends, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Its values; more than one while a rotation lasts.
    pub secrets: Vec<Secret>,
    /// How often it was changed: a change only goes over the record that it was made from.
    #[serde(default)]
    pub version: u64,
}

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// When it ends, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

impl Secret {
    /// The SHA-256 of a value.
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        Self { sha256: hex(&KeyHash::of(value)), until: None }
    }
}

/// A hash in hexadecimal.
#[must_use]
pub(super) fn hex(hash: &KeyHash) -> String {
    hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl KeyRecord {
    /// The keys that a viewer may present for it. A value that is no SHA-256 opens nothing.
    pub(super) fn keys(&self, names: &PlanNames, earlier: Option<&Key>) -> Vec<Arc<Key>> {
        let plans = names.set(self.plans.iter().map(String::as_str));
        let mut keys: Vec<Arc<Key>> = Vec::with_capacity(self.secrets.len());
        for secret in &self.secrets {
            let Ok(hash) = KeyHash::from_hex(&secret.sha256) else { continue };
            let until = [self.expires, secret.until].into_iter().flatten().min();
            let key = Key::new(hash, &self.id, &self.name, plans.clone()).usable(self.enabled, until);
            let first = keys.first().map(|first| &**first);
            // All values of a key use up the same quota.
            let key = match earlier.or(first) {
                Some(earlier) => key.that_continues(earlier),
                None => key,
            };
            keys.push(Arc::new(key));
        }
        keys
    }

    /// What people are shown: no hash.
    #[must_use]
    pub fn shown(&self) -> serde_json::Value {
        use serde_json::json;
        let values: Vec<_> = self.secrets.iter().map(|secret| json!({ "until": secret.until })).collect();
        json!({
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "metadata": self.metadata,
            "plans": self.plans,
            "enabled": self.enabled,
            "created": self.created,
            "updated": self.updated,
            "expires": self.expires,
            "values": values,
        })
    }
}
