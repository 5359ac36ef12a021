//! The two response stages.

use std::time::Duration;

use bytes::Bytes;

use super::headers::{HeaderRules, is_computed};
use super::respond::{MAX_AT_ORIGIN, MAX_AT_VIEWER, status};
use super::{Rule, Violation, count, note};
use crate::bindings::stages::{origin_response as origin, viewer_response as viewer};
use crate::{ResponseEdit, Stage};

/// A body that is no larger than the stage allows ("Quotas on Lambda@Edge": 40 KB at viewer, 1 MB at origin stages).
fn content(stage: Stage, body: Vec<u8>) -> Result<Bytes, Violation> {
    let limit = if stage == Stage::ViewerResponse { MAX_AT_VIEWER } else { MAX_AT_ORIGIN };
    if body.len() > limit {
        return Err(Violation::new(Rule::ResponseTooLarge, format!("a body of {} bytes, at most {limit}", body.len())));
    }
    Ok(Bytes::from(body))
}

/// Most tags of one call, and longest tag in bytes (CloudFront, "Invalidate by cache tag").
const MAX_TAGS: usize = 50;
const MAX_TAG: usize = 256;

/// A tag that can stand in a list of tags.
fn cache_tag(tag: String) -> Result<Box<str>, Violation> {
    let good = (1..=MAX_TAG).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    if good { Ok(tag.into()) } else { Err(Violation::new(Rule::CacheTag, tag)) }
}

/// Checks what an origin-response hook decided.
pub(crate) fn origin_response(raw: Vec<origin::Edit>) -> Result<Vec<ResponseEdit>, Violation> {
    count(raw.len())?;
    let mut headers = HeaderRules::new(Stage::OriginResponse);
    let mut edits = Vec::with_capacity(raw.len());
    let mut tags = 0;
    for edit in raw {
        edits.push(match edit {
            origin::Edit::Header(edit) => {
                let edit = headers.edit(edit)?;
                if is_computed(&edit) {
                    continue;
                }
                ResponseEdit::Header(edit)
            }
            origin::Edit::Status(code) => ResponseEdit::Status(status(code)?),
            origin::Edit::Ttl(seconds) => ResponseEdit::Ttl(Duration::from_secs(seconds.into())),
            origin::Edit::Note(text) => ResponseEdit::Note(note(text)?),
            origin::Edit::Body(body) => ResponseEdit::Body(content(Stage::OriginResponse, body)?),
            origin::Edit::CacheTag(tag) => {
                tags += 1;
                if tags > MAX_TAGS {
                    return Err(Violation::new(Rule::TooManyCacheTags, tags.to_string()));
                }
                ResponseEdit::CacheTag(cache_tag(tag)?)
            }
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
            viewer::Edit::Status(code) => ResponseEdit::Status(status(code)?),
            viewer::Edit::Body(body) => ResponseEdit::Body(content(Stage::ViewerResponse, body)?),
        });
    }
    Ok(edits)
}
