//! Cache tags of a response: names that its origin gives it, for purges.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use super::Fnv;

/// Most tags of a response that are kept. CloudFront keeps 50.
const MAX_TAGS: usize = 256;
/// Stands for "more than are kept": such an object goes with every purge of a tag.
const TOO_MANY: u64 = 0;

/// The tags of a response, as hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags(Option<Arc<[u64]>>);

impl Tags {
    /// The tags in these fields of a response, and `more`. A field's value is a list: `Cache-Tag` separates by commas
    /// (CloudFront: "Cache tags"), `Surrogate-Key` by blanks; both count in each.
    #[must_use]
    pub fn of<'a>(headers: &HeaderMap, names: &[HeaderName], more: impl IntoIterator<Item = &'a str>) -> Self {
        let mut tags = Vec::new();
        for line in names.iter().flat_map(|name| headers.get_all(name)) {
            let words = line.as_bytes().split(|byte| matches!(byte, b',' | b' ' | b'\t'));
            tags.extend(words.filter(|word| !word.is_empty()).take(MAX_TAGS + 1).map(hash));
        }
        tags.extend(more.into_iter().map(|tag| hash(tag.trim().as_bytes())));
        Self::from_hashes(tags)
    }

    /// These and those of a 304 about the same object, which may not name what hooks put on it before: a purge may be about
    /// too much, never about too little.
    #[must_use]
    pub(crate) fn joined(&self, others: &Self) -> Self {
        match (&self.0, &others.0) {
            (_, None) => self.clone(),
            (None, Some(_)) => others.clone(),
            (Some(these), Some(those)) if these == those => self.clone(),
            _ if self.too_many() || others.too_many() => Self(Some([TOO_MANY].into())),
            (Some(these), Some(those)) => Self::from_hashes(these.iter().chain(&**those).copied().collect()),
        }
    }

    fn from_hashes(mut tags: Vec<u64>) -> Self {
        if tags.is_empty() {
            return Self::default();
        }
        tags.sort_unstable();
        tags.dedup();
        if tags.len() > MAX_TAGS {
            tags = vec![TOO_MANY];
        }
        Self(Some(tags.into()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn hashes(&self) -> &[u64] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether there were more than are kept.
    pub(super) fn too_many(&self) -> bool {
        self.hashes() == [TOO_MANY]
    }

    /// Bytes on the heap.
    pub(crate) fn weight(&self) -> usize {
        if self.is_empty() { 0 } else { size_of_val(self.hashes()) + 2 * size_of::<usize>() }
    }
}

/// The hash of a tag; never 0.
pub(super) fn hash(tag: &[u8]) -> u64 {
    let state = tag.iter().fold(Fnv::START, |state, byte| state.byte(byte.to_ascii_lowercase()));
    state.0.max(1)
}
