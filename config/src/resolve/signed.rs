//! Public keys, key groups, and the groups that a behavior trusts.

use std::path::Path;

use super::names::{Kind, Names};
use super::secret;
use crate::decode::{List, Text};
use crate::model::{KeyGroup, PublicKey};
use crate::report::Report;
use crate::schema::{self, File};

pub(super) fn public_keys(file: &File, base: &Path) -> Vec<PublicKey> {
    let written = file.public_keys.value().into_iter().flat_map(|named| named.iter());
    let key = |(name, written): (&toml::Spanned<String>, &schema::PublicKey)| {
        let name = name.get_ref().clone();
        Some(PublicKey {
            id: written.id.value().map_or_else(|| name.clone(), |id| id.0.clone()),
            key: secret(&written.key.value()?.0, base),
            name,
        })
    };
    written.filter_map(key).collect()
}

pub(super) fn key_groups(file: &File, names: &Names, out: &mut Report) -> Vec<KeyGroup> {
    let written = file.key_groups.value().into_iter().flat_map(|named| named.iter());
    let group = |(name, written): (&toml::Spanned<String>, &schema::KeyGroup)| KeyGroup {
        name: name.get_ref().clone(),
        keys: known(written.keys.value(), &names.public_keys, out),
    };
    written.map(group).collect()
}

/// The groups that a behavior trusts.
pub(super) fn trusted(written: &schema::Behavior, names: &Names, out: &mut Report) -> Vec<String> {
    known(written.trusted_key_groups.value(), &names.key_groups, out)
}

/// The listed names, each once and reported if there is no such thing.
fn known(list: Option<&List<Text>>, kind: &Kind, out: &mut Report) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in list.into_iter().flat_map(|list| &list.items) {
        kind.find(name, &[], out);
        if !names.contains(&name.get_ref().0) {
            names.push(name.get_ref().0.clone());
        }
    }
    names
}
