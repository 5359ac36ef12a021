//! Facts about viewers: the names of their fields.

use crate::decode::{HeaderName, List, Text};
use crate::model::{AddressHeader, VIEWER_PREFIX, Viewer, ViewerFact};
use crate::schema::File;

/// Sent if a behavior says nothing.
const DEFAULT: [ViewerFact; 1] = [ViewerFact::Country];

pub(super) fn viewer(file: &File) -> Viewer {
    let written = file.viewer.value();
    let header = written.and_then(|viewer| viewer.address_header.value());
    Viewer {
        address_header: header.copied().unwrap_or(AddressHeader::XForwardedFor),
        header_prefix: prefix(file).to_owned(),
    }
}

/// In lower case.
pub(crate) fn prefix(file: &File) -> &str {
    let written = file.viewer.value().and_then(|viewer| viewer.header_prefix.value());
    written.map_or(VIEWER_PREFIX, |HeaderName(prefix)| prefix)
}

/// A name as the wire has it: facts can be called by CloudFront's name whatever the prefix is. In lower case.
pub(super) fn field(name: &str, prefix: &str) -> String {
    match ViewerFact::of(name, VIEWER_PREFIX) {
        Some(fact) => format!("{prefix}{}", fact.name()).to_ascii_lowercase(),
        None => name.to_ascii_lowercase(),
    }
}

/// What a behavior sends: sorted, each once.
pub(super) fn fields(written: Option<&List<Text>>, prefix: &str) -> Vec<String> {
    let Some(list) = written else {
        return DEFAULT.map(|fact| format!("{prefix}{}", fact.name()).to_ascii_lowercase()).to_vec();
    };
    let mut fields: Vec<String> = list.items.iter().map(|name| field(&name.get_ref().0, prefix)).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}
