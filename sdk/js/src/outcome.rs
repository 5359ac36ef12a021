//! What a call has read and decided so far. An instance lives for one call, so there is one of it.

use std::cell::RefCell;

use edgeweir_sdk::bindings::imports::edgeweir::hook::types::{GeneratedResponse, HeaderEdit};

use crate::headers::Fields;

/// A change in the words that all stages share; `stages` puts it into those of one.
pub(crate) enum Edit {
    /// Of the stage's own message.
    Header(HeaderEdit),
    Path(String),
    Query(Option<String>),
    Origin(String),
    Status(u16),
    Body(Vec<u8>),
}

/// Header fields of the request that the function looked at.
#[derive(Default)]
pub(crate) struct Seen {
    /// Their lines, in the order in which they were looked at, or all in that of the request.
    pub(crate) fields: Fields,
    /// Their names, also of those that were not there; not kept where it was all.
    pub(crate) names: Vec<String>,
    /// Whether it was all of them.
    pub(crate) all: bool,
}

/// The call's state.
#[derive(Default)]
pub(crate) struct Outcome {
    /// What was read of the request's header fields.
    pub(crate) request: Seen,
    /// The response's header fields, once they were read.
    pub(crate) fields: Option<Fields>,
    pub(crate) edits: Vec<Edit>,
    pub(crate) response: Option<GeneratedResponse>,
    /// Names of fields with a line that is no UTF-8: what they say goes out as it came in, as ISO-8859-1.
    pub(crate) latin: Vec<String>,
    /// State of `Math.random`, once it was asked.
    pub(crate) random: Option<[u64; 2]>,
}

thread_local! {
    static OUTCOME: RefCell<Outcome> = RefCell::default();
}

/// Looks at the call's state. Never runs JavaScript inside: that could come back here.
pub(crate) fn with<R>(look: impl FnOnce(&mut Outcome) -> R) -> R {
    OUTCOME.with_borrow_mut(look)
}
