//! API keys: kept as SHA-256 only, looked up by what a viewer presents. Must not know where a key came from, what it opens
//! (see plans), or how a refusal is answered.

mod hash;
mod live;
mod row;
mod slot;
mod table;
mod usage;

use std::sync::{Arc, OnceLock};

pub use hash::{KeyHash, KeyHashError};
pub use live::LiveKeys;
pub use slot::{Slot, SlotRef};
pub use table::{Found, KeyTable, KeyTableError};
pub use usage::KeyUsage;

use crate::plans::PlanSet;

/// The longest key that is looked at, in bytes; API Gateway's keys have at most 128. Anything longer is unknown, so that a
/// viewer cannot make the edge hash a whole header block.
pub const MAX_PRESENTED_KEY: usize = 1024;

/// The hash of what a viewer presented; none for what can be no key.
#[must_use]
pub fn presented(key: &[u8]) -> Option<KeyHash> {
    (!key.is_empty() && key.len() <= MAX_PRESENTED_KEY).then(|| KeyHash::of(key))
}

/// A key the edge knows.
#[derive(Debug)]
pub struct Key {
    /// SHA-256 of the key.
    pub hash: KeyHash,
    /// From when on it is as good as unknown, in seconds since 1970: 0 for a disabled key, [`u64::MAX`] for one that never ends.
    until: u64,
    /// The usage plans it belongs to.
    pub plans: PlanSet,
    /// What it is counted under; stays when its value is rotated.
    pub id: Box<str>,
    /// The name in logs; not secret.
    pub name: Box<str>,
    /// What it has used, once it was used.
    usage: OnceLock<Arc<KeyUsage>>,
}

impl Key {
    /// An enabled key that never ends.
    #[must_use]
    pub fn new(hash: KeyHash, id: &str, name: &str, plans: PlanSet) -> Self {
        Self { hash, until: u64::MAX, plans, id: id.into(), name: name.into(), usage: OnceLock::new() }
    }

    /// The same key, enabled or not, and until when: in seconds since 1970, `None` if it never ends.
    #[must_use]
    pub fn usable(mut self, enabled: bool, until: Option<u64>) -> Self {
        self.until = if enabled { until.unwrap_or(u64::MAX) } else { 0 };
        self
    }

    /// The same key as another one, with another value, name or plan: what that one has used is used.
    #[must_use]
    pub fn that_continues(self, earlier: &Self) -> Self {
        // A new key has used nothing; if somebody was faster, it is the same usage.
        let _first = self.usage.set(Arc::clone(earlier.usage()));
        self
    }

    /// What it has used.
    pub fn usage(&self) -> &Arc<KeyUsage> {
        self.usage.get_or_init(|| Arc::new(KeyUsage::of(self)))
    }

    /// What it has used, if it was used.
    fn used(&self) -> Option<&Arc<KeyUsage>> {
        self.usage.get()
    }

    /// Its tokens and requests in a plan, of a key that is in no table; see [`Found::slot`].
    #[cfg(test)]
    fn slot(&self, plan: &crate::UsagePlan, snapshot: u64) -> SlotRef {
        self.usage().slot((self, None), plan, snapshot, crate::Nanos::ZERO, |_made| {})
    }

    /// Whether it opens anything at a moment, in seconds since 1970.
    #[must_use]
    #[inline]
    pub fn is_usable(&self, unix: u64) -> bool {
        unix < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::{PlanId, Reach, UsagePlan};

    #[test]
    fn disabled_and_ended_keys_are_not_usable() {
        let hash = KeyHash::of(b"k");
        let key = |enabled, until| Key::new(hash, "k", "k", PlanSet::default()).usable(enabled, until);
        assert!(key(true, None).is_usable(u64::MAX - 1));
        assert!(!key(false, None).is_usable(0));
        assert!(key(true, Some(10)).is_usable(9) && !key(true, Some(10)).is_usable(10));
    }

    #[test]
    fn all_values_of_a_key_are_one_client() {
        let plan = UsagePlan::new(PlanId(0), "p".into(), None, None, Reach::All);
        let key = |value: &[u8]| Key::new(KeyHash::of(value), "k", "k", PlanSet::default());
        let client = |key: &Key| key.slot(&plan, 1).client();
        let first = key(b"1");
        let second = key(b"2").that_continues(&first);
        let third = key(b"3").that_continues(&second);
        assert!(client(&third) == client(&first) && client(&second) == client(&first));
        assert!(client(&first) == KeyHash::of(b"1").client() && client(&first) != client(&key(b"2")));
    }
}
