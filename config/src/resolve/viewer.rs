//! Facts about viewers: the names of their fields.

use crate::decode::{HeaderName, List};
use crate::model::{AddressHeader, VIEWER_PREFIX, Viewer, ViewerFact, ViewerField};
use crate::schema::{File, ViewerHeader};

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

/// What a behavior sends: sorted by name, each once.
pub(super) fn fields(written: Option<&List<ViewerHeader>>, prefix: &str) -> Vec<ViewerField> {
    let own = |fact: ViewerFact| format!("{prefix}{}", fact.name()).to_ascii_lowercase();
    let Some(list) = written else {
        return DEFAULT.map(|fact| ViewerField { name: own(fact), fact }).to_vec();
    };
    let mut fields: Vec<ViewerField> = list
        .items
        .iter()
        .filter_map(|header| {
            let header = header.get_ref();
            let fact = fact(header.fact.get_ref(), prefix)?;
            let name = header.header.as_ref().map_or_else(|| own(fact), |name| name.get_ref().clone());
            Some(ViewerField { name, fact })
        })
        .collect();
    fields.sort_unstable_by(|one, two| one.name.cmp(&two.name));
    fields.dedup_by(|one, two| one.name == two.name);
    fields
}

/// The fact that a name stands for, with the prefix or with CloudFront's.
pub(crate) fn fact(name: &str, prefix: &str) -> Option<ViewerFact> {
    ViewerFact::of(name, VIEWER_PREFIX).or_else(|| ViewerFact::of(name, prefix))
}
