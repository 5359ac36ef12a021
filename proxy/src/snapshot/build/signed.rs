//! Keys that signed URLs and cookies are checked with.

use std::collections::HashMap;
use std::sync::Arc;

use edgeweir_config as model;

use super::{Builder, secret};
use crate::signed::{Keyring, PublicKey};

/// All keys of a configuration, by name.
pub(super) type Keys<'c> = HashMap<&'c str, (&'c str, Arc<PublicKey>)>;

impl Builder<'_> {
    /// All that can be used; the others are reported.
    pub(super) fn public_keys<'c>(&mut self, config: &'c model::Config) -> Keys<'c> {
        let mut keys = Keys::new();
        for written in &config.public_keys {
            let read = secret(&written.key, self.materials.env)
                .and_then(|pem| PublicKey::parse(&pem).map_err(|error| error.to_string()));
            match read {
                Ok(key) => drop(keys.insert(&written.name, (&written.id, Arc::new(key)))),
                Err(problem) => {
                    let text = format!("public key `{}`: {problem}", written.name);
                    self.problem_at(config, &["public_keys", &written.name, "key"], text);
                }
            }
        }
        keys
    }
}

/// The keys of the groups that a behavior trusts; none if everybody may use it.
pub(super) fn trusted(config: &model::Config, behavior: &model::Behavior, keys: &Keys<'_>) -> Option<Box<Keyring>> {
    if behavior.trusted_key_groups.is_empty() {
        return None;
    }
    let groups = config.key_groups.iter().filter(|group| behavior.trusted_key_groups.contains(&group.name));
    let mut ring: Vec<(Box<str>, Arc<PublicKey>)> = Vec::new();
    for (id, key) in groups.flat_map(|group| &group.keys).filter_map(|name| keys.get(name.as_str())) {
        if !ring.iter().any(|(known, _)| **known == **id) {
            ring.push(((*id).into(), Arc::clone(key)));
        }
    }
    Some(Box::new(Keyring(ring)))
}
