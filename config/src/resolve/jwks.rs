//! Sets of public keys, and those that a binding lists.

use std::path::{Path, PathBuf};

use super::names::Names;
use super::time;
use crate::model::{Jwks, JwksId, JwksSource, OriginId, PublishedJwks};
use crate::report::Report;
use crate::schema::{self, File};

/// All sets. One that could not be read is a file without a name, so that the indices of the others stay.
pub(super) fn sets(file: &File, names: &Names, base: &Path, out: &mut Report) -> Vec<Jwks> {
    let Some(sets) = file.jwks.value() else { return Vec::new() };
    let all = sets.0.iter().map(|(name, written)| {
        let found = written.as_ref().and_then(|written| source(written, names, base, out));
        Jwks { name: name.get_ref().clone(), source: found.unwrap_or_else(|| JwksSource::File(PathBuf::new())) }
    });
    all.collect()
}

fn source(written: &schema::Jwks, names: &Names, base: &Path, out: &mut Report) -> Option<JwksSource> {
    if let Some(file) = written.file.value() {
        return Some(JwksSource::File(base.join(&file.0)));
    }
    let max_refresh = time(written.max_refresh.value(), 3_600_000);
    Some(JwksSource::Origin(PublishedJwks {
        origin: OriginId(names.origin(written.origin.given()?, out)),
        path: written.path.value()?.0.clone(),
        min_refresh: time(written.min_refresh.value(), 10_000).min(max_refresh),
        max_refresh,
        max_stale: time(written.max_stale.value(), 86_400_000),
    }))
}

/// The sets that a binding lists.
pub(super) fn granted(written: &schema::Binding, names: &Names, out: &mut Report) -> Vec<JwksId> {
    let listed = written.jwks.value().map_or(&[][..], |list| list.items.as_slice());
    listed.iter().map(|name| JwksId(names.jwks.find(name, &[], out))).collect()
}
