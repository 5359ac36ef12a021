//! The two response stages.

use std::time::Duration;

use super::headers::HeaderRules;
use super::respond::status;
use super::{Violation, count, note};
use crate::bindings::stages::{origin_response as origin, viewer_response as viewer};
use crate::{ResponseEdit, Stage};

/// Checks what an origin-response hook decided.
pub(crate) fn origin_response(raw: Vec<origin::Edit>) -> Result<Vec<ResponseEdit>, Violation> {
    count(raw.len())?;
    let mut headers = HeaderRules::new(Stage::OriginResponse);
    let mut edits = Vec::with_capacity(raw.len());
    for edit in raw {
        edits.push(match edit {
            origin::Edit::Header(edit) => ResponseEdit::Header(headers.edit(edit)?),
            origin::Edit::Status(code) => ResponseEdit::Status(status(code)?),
            origin::Edit::Ttl(seconds) => ResponseEdit::Ttl(Duration::from_secs(seconds.into())),
            origin::Edit::Note(text) => ResponseEdit::Note(note(text)?),
            origin::Edit::Body(_) => return Err(Violation::not_provided("body")),
            origin::Edit::CacheTag(_) => return Err(Violation::not_provided("cache-tag")),
        });
    }
    Ok(edits)
}

/// Checks what a viewer-response hook decided.
pub(crate) fn viewer_response(raw: Vec<viewer::Edit>) -> Result<Vec<ResponseEdit>, Violation> {
    count(raw.len())?;
    let mut headers = HeaderRules::new(Stage::ViewerResponse);
    let mut edits = Vec::with_capacity(raw.len());
    for edit in raw {
        edits.push(match edit {
            viewer::Edit::Header(edit) => ResponseEdit::Header(headers.edit(edit)?),
            viewer::Edit::Status(_) => return Err(Violation::not_provided("status")),
            viewer::Edit::Body(_) => return Err(Violation::not_provided("body")),
        });
    }
    Ok(edits)
}
