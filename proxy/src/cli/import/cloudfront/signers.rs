//! Who may sign URLs: key groups and, from before them, accounts. What was closed stays closed: where the keys are not known, a
//! placeholder takes their place, for which the user brings the key.

use std::collections::BTreeMap;

use super::super::json::Fields;
use super::super::names::Names;
use super::super::notes::{Note, Notes, shown};
use super::super::write::{Item, Table};

/// Ids of the public keys of key groups and accounts, as far as `get-distribution` tells them.
#[derive(Default)]
pub(super) struct Active(BTreeMap<String, Vec<String>>);

impl Active {
    /// Reads `ActiveTrustedKeyGroups` and `ActiveTrustedSigners`.
    pub(super) fn read(&mut self, distribution: &mut Fields<'_>) -> anyhow::Result<()> {
        for (list, id) in [("ActiveTrustedKeyGroups", "KeyGroupId"), ("ActiveTrustedSigners", "AwsAccountNumber")] {
            let Some(mut active) = distribution.object(list)? else { continue };
            active.bookkeeping(&["Enabled"]);
            for node in active.quantified()? {
                let mut group = node.fields()?;
                let Some(id) = group.text(id)? else { continue };
                let keys = group.texts("KeyPairIds")?.into_iter().map(str::to_owned).collect();
                self.0.insert(id.to_owned(), keys);
            }
        }
        Ok(())
    }
}

/// The groups and keys so far.
#[derive(Default)]
pub(super) struct Signers {
    /// By id: name, and the names of its keys.
    groups: BTreeMap<String, (String, Vec<String>)>,
    /// By id: name, and whether the id is known.
    keys: BTreeMap<String, (String, bool)>,
    group_names: Names,
    key_names: Names,
}

impl Signers {
    /// The key groups of a behavior, if it is closed.
    pub(super) fn read(
        &mut self,
        behavior: &mut Fields<'_>,
        active: &Active,
        notes: &Notes,
    ) -> anyhow::Result<Option<Item>> {
        let mut names: Vec<String> = Vec::new();
        let mut closed = false;
        for (list, account) in [("TrustedKeyGroups", false), ("TrustedSigners", true)] {
            let at = behavior.at(list);
            let Some(mut trusted) = behavior.object(list)? else { continue };
            let enabled = trusted.flag("Enabled")?;
            let ids = trusted.quantified()?;
            if !enabled {
                continue;
            }
            closed = true;
            for node in ids {
                names.push(self.group(node.text()?, account, active, node.path(), notes));
            }
            if names.is_empty() {
                names.push(self.group("unknown", account, active, &at, notes));
            }
        }
        names.dedup();
        Ok(closed.then(|| names.into()))
    }

    fn group(&mut self, id: &str, account: bool, active: &Active, path: &str, notes: &Notes) -> String {
        if account {
            notes.add(
                Note::lost(
                    "trusted signers by account",
                    "the edge knows no AWS accounts: a key group takes their place, so the behavior stays closed",
                    "bring the public key of each signer; `Key-Pair-Id` of its URLs is the `id` of the public key",
                )
                .at(path),
            );
        }
        if let Some((name, _)) = self.groups.get(id) {
            return name.clone();
        }
        let name = self.group_names.take(&if account { format!("signer-{id}") } else { id.to_owned() });
        let known = active.0.get(id).filter(|keys| !keys.is_empty());
        if known.is_none() {
            notes.add(
                Note::lost(
                    "the public keys of a key group",
                    "the distribution has only the group's id: one key stands in its place, so the behavior stays closed",
                    "`aws cloudfront get-key-group --id …` names the keys, `get-public-key` has them; or import what \
                     `get-distribution` prints, which names them too",
                )
                .at(path),
            );
        }
        let placeholder = vec![name.clone()];
        let ids = known.unwrap_or(&placeholder);
        let keys = ids.iter().map(|key| self.key(key, known.is_some(), notes)).collect();
        self.groups.insert(id.to_owned(), (name.clone(), keys));
        name
    }

    fn key(&mut self, id: &str, known: bool, notes: &Notes) -> String {
        if let Some((name, _)) = self.keys.get(id) {
            return name.clone();
        }
        let name = self.key_names.take(id);
        let what = match known {
            true => format!("the public key with the id `{}`, as PEM", shown(id)),
            false => format!("a public key of the key group `{}`, as PEM", shown(id)),
        };
        notes.bring(&file(&name), what);
        self.keys.insert(id.to_owned(), (name.clone(), known));
        name
    }

    pub(super) fn tables(&self) -> Vec<Table> {
        let key = |(id, (name, known)): (&String, &(String, bool))| {
            let mut table = Table::new(&["public_keys", name]);
            if *known {
                let plain =
                    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
                if plain && id != name {
                    table.set("id", id.as_str());
                }
            } else {
                table.about("TODO: set `id` to what signers write as `Key-Pair-Id`.");
            }
            table.set("key", Item::inline([("file", file(name).into())]));
            table
        };
        let group = |(id, (name, keys)): (&String, &(String, Vec<String>))| {
            let mut table = Table::new(&["key_groups", name]);
            if id != name {
                table.about(&format!("CloudFront: `{}`", shown(id)));
            }
            table.set("keys", keys.clone());
            table
        };
        self.keys.iter().map(key).chain(self.groups.iter().map(group)).collect()
    }
}

fn file(name: &str) -> String {
    format!("public-keys/{name}.pem")
}
