//! The two request stages.

use bytes::Bytes;

use super::headers::HeaderRules;
use super::respond::{MAX_AT_ORIGIN, MAX_AT_VIEWER, respond};
use super::{Rule, Violation, count, dynamic, name, note, target};
use crate::bindings::stages::{origin_request as origin, viewer_request as viewer};
use crate::{Call, Hidden, RequestEdit, RequestVerdict, RequestView, Stage};

/// Most that a request may cost.
const MAX_COST: u32 = 1000;
/// Longest API key, in bytes (API Gateway: "API keys", 20 to 128 characters).
const MAX_KEY: usize = 128;

/// Checks what a viewer-request hook decided.
pub(crate) fn viewer_request(
    raw: viewer::Verdict,
    request: &dyn RequestView,
    allowed: Allowed<'_>,
) -> Result<RequestVerdict, Violation> {
    let edits = match raw {
        viewer::Verdict::Respond(raw) => return respond(Stage::ViewerRequest, raw).map(RequestVerdict::Respond),
        viewer::Verdict::Next(edits) => edits,
    };
    let mut rules = EditRules::new(Stage::ViewerRequest, edits.len())?;
    for edit in edits {
        match edit {
            viewer::Edit::Header(edit) => rules.header(edit)?,
            viewer::Edit::Path(path) => rules.path(path)?,
            viewer::Edit::Query(query) => rules.query(query)?,
            viewer::Edit::Note(text) => rules.edits.push(RequestEdit::Note(note(text)?)),
            viewer::Edit::CacheKey(part) => rules.edits.push(RequestEdit::CacheKey(name(Rule::CacheKey, part)?)),
            viewer::Edit::Origin(origin) => rules.edits.push(RequestEdit::Origin(name(Rule::OriginName, origin)?)),
            viewer::Edit::Body(body) => rules.edits.push(RequestEdit::Body(allowed.body(body, MAX_AT_VIEWER)?)),
            viewer::Edit::Cost(cost) if (1..=MAX_COST).contains(&cost) => rules.edits.push(RequestEdit::Cost(cost)),
            viewer::Edit::Cost(cost) => return Err(Violation::new(Rule::Cost, cost.to_string())),
            viewer::Edit::ApiKey(key) if (1..=MAX_KEY).contains(&key.len()) => {
                rules.edits.push(RequestEdit::ApiKey(Hidden(key.into())));
            }
            viewer::Edit::ApiKey(key) => return Err(Violation::new(Rule::ApiKey, format!("{} bytes", key.len()))),
        }
    }
    rules.finish(request)
}

/// Checks what an origin-request hook decided.
pub(crate) fn origin_request(
    raw: origin::Verdict,
    request: &dyn RequestView,
    allowed: Allowed<'_>,
) -> Result<RequestVerdict, Violation> {
    let edits = match raw {
        origin::Verdict::Respond(raw) => return respond(Stage::OriginRequest, raw).map(RequestVerdict::Respond),
        origin::Verdict::Next(edits) => edits,
    };
    let mut rules = EditRules::new(Stage::OriginRequest, edits.len())?;
    for edit in edits {
        match edit {
            origin::Edit::Header(edit) => rules.header(edit)?,
            origin::Edit::Path(path) => rules.path(path)?,
            origin::Edit::Query(query) => rules.query(query)?,
            origin::Edit::Origin(origin) => rules.edits.push(RequestEdit::Origin(name(Rule::OriginName, origin)?)),
            origin::Edit::Note(text) => rules.edits.push(RequestEdit::Note(note(text)?)),
            origin::Edit::DynamicOrigin(origin) => {
                let origin = dynamic::origin(&origin, allowed.dynamic_origins)?;
                rules.edits.push(RequestEdit::DynamicOrigin(origin));
            }
            origin::Edit::Body(body) => rules.edits.push(RequestEdit::Body(allowed.body(body, MAX_AT_ORIGIN)?)),
        }
    }
    rules.finish(request)
}

/// What the binding of a call allows besides.
#[derive(Clone, Copy, Default)]
pub(crate) struct Allowed<'a> {
    /// The most bytes of the body that the hook may read; none if the binding does not grant the body.
    pub(crate) body: Option<usize>,
    /// Hosts, as in [`Grants::dynamic_origins`](crate::Grants::dynamic_origins).
    pub(crate) dynamic_origins: &'a [Box<str>],
}

impl<'a> Allowed<'a> {
    /// What a call's binding allows.
    pub(crate) fn by(call: &'a Call) -> Self {
        let grants = call.grants.as_deref();
        Self {
            body: call.body.as_ref().map(|body| body.limit),
            dynamic_origins: grants.map_or(&[], |grants| &grants.dynamic_origins),
        }
    }

    /// A new body of the request: as large as the hook may read, and at least as the stage allows by default.
    fn body(self, body: Vec<u8>, default: usize) -> Result<Bytes, Violation> {
        let refused = |rule| Err(Violation::new(rule, format!("{} bytes", body.len())));
        match self.body {
            None => refused(Rule::BodyNotGranted),
            Some(limit) if body.len() > limit.max(default) => refused(Rule::BodyTooLarge),
            Some(_) => Ok(Bytes::from(body)),
        }
    }
}

/// The checked edits so far, and what has to be known about them together.
struct EditRules {
    headers: HeaderRules,
    edits: Vec<RequestEdit>,
    path: Option<usize>,
    query: Option<Option<usize>>,
}

impl EditRules {
    fn new(stage: Stage, len: usize) -> Result<Self, Violation> {
        count(len)?;
        Ok(Self { headers: HeaderRules::new(stage), edits: Vec::with_capacity(len), path: None, query: None })
    }

    fn header(&mut self, edit: crate::bindings::imports::types::HeaderEdit) -> Result<(), Violation> {
        let edit = self.headers.edit(edit)?;
        self.edits.push(RequestEdit::Header(edit));
        Ok(())
    }

    fn path(&mut self, path: String) -> Result<(), Violation> {
        target::path(&path)?;
        self.path = Some(path.len());
        self.edits.push(RequestEdit::Path(path.into_boxed_str()));
        Ok(())
    }

    fn query(&mut self, query: Option<String>) -> Result<(), Violation> {
        query.as_deref().map_or(Ok(()), target::query)?;
        self.query = Some(query.as_ref().map(String::len));
        self.edits.push(RequestEdit::Query(query.map(String::into_boxed_str)));
        Ok(())
    }

    fn finish(self, request: &dyn RequestView) -> Result<RequestVerdict, Violation> {
        target::length(request, self.path, self.query)?;
        Ok(RequestVerdict::Next(self.edits))
    }
}
