//! The two request stages.

use super::headers::HeaderRules;
use super::respond::respond;
use super::{Rule, Violation, count, name, note, target};
use crate::bindings::stages::{origin_request as origin, viewer_request as viewer};
use crate::{RequestEdit, RequestVerdict, RequestView, Stage};

/// Checks what a viewer-request hook decided.
pub(crate) fn viewer_request(raw: viewer::Verdict, request: &dyn RequestView) -> Result<RequestVerdict, Violation> {
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
            viewer::Edit::Body(_) => return Err(Violation::not_provided("body")),
            viewer::Edit::Cost(_) => return Err(Violation::not_provided("cost")),
            viewer::Edit::ApiKey(_) => return Err(Violation::not_provided("api-key")),
        }
    }
    rules.finish(request)
}

/// Checks what an origin-request hook decided.
pub(crate) fn origin_request(raw: origin::Verdict, request: &dyn RequestView) -> Result<RequestVerdict, Violation> {
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
            origin::Edit::DynamicOrigin(_) => return Err(Violation::not_provided("dynamic-origin")),
            origin::Edit::Body(_) => return Err(Violation::not_provided("body")),
        }
    }
    rules.finish(request)
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
