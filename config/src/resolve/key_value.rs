//! Key-value stores, and those that a binding lists.

use std::collections::BTreeMap;
use std::path::Path;

use super::names::Names;
use crate::model::{KeyValueSource, KeyValueStore, KeyValueStoreId};
use crate::report::Report;
use crate::schema::{self, File};

/// All stores. One that could not be read is empty, so that the indices of the others stay.
pub(super) fn stores(file: &File, base: &Path) -> Vec<KeyValueStore> {
    let Some(stores) = file.key_value_stores.value() else { return Vec::new() };
    let source = |written: &Option<schema::KeyValueStore>| match written {
        Some(schema::KeyValueStore { file, .. }) if file.value().is_some() => {
            file.value().map(|path| KeyValueSource::File(base.join(&path.0)))
        }
        Some(schema::KeyValueStore { entries, .. }) => {
            entries.value().map(|entries| KeyValueSource::Inline(entries.0.clone()))
        }
        None => None,
    };
    let store = |name: &str, written| KeyValueStore {
        name: name.to_owned(),
        source: source(written).unwrap_or_else(|| KeyValueSource::Inline(BTreeMap::new())),
    };
    stores.0.iter().map(|(name, written)| store(name.get_ref(), written)).collect()
}

/// The stores that a binding lists; none if it does not speak of stores.
pub(super) fn granted(written: &schema::Binding, names: &Names, out: &mut Report) -> Option<Vec<KeyValueStoreId>> {
    let list = written.key_value_stores.value()?;
    Some(list.items.iter().map(|name| KeyValueStoreId(names.key_value_stores.find(name, &[], out))).collect())
}
