//! Generated responses ("Generating HTTP responses in request triggers"; quotas: 40 KB and 1 MB with headers).

use bytes::Bytes;
use http::{StatusCode, header};

use super::{Rule, Violation, count, headers};
use crate::bindings::imports::types::GeneratedResponse as Raw;
use crate::{GeneratedResponse, Stage};

pub(super) const MAX_AT_VIEWER: usize = 40 * 1024;
pub(super) const MAX_AT_ORIGIN: usize = 1024 * 1024;

/// Checks a response that a hook made at a request stage.
pub(super) fn respond(stage: Stage, raw: Raw) -> Result<GeneratedResponse, Violation> {
    let status = status(raw.status)?;
    count(raw.headers.len())?;
    let limit = if stage == Stage::ViewerRequest { MAX_AT_VIEWER } else { MAX_AT_ORIGIN };
    let mut size = raw.body.len();
    let mut fields = Vec::with_capacity(raw.headers.len());
    for field in raw.headers {
        size += field.name.len() + field.value.len();
        let name = headers::field_name(field.name)?;
        if name == header::TRANSFER_ENCODING {
            return Err(Violation::new(Rule::ReadOnlyHeader, name.as_str()));
        }
        let value = headers::value(&name, field.value)?;
        // Computed by the edge; what the hook says does not count.
        if name != header::CONTENT_LENGTH {
            fields.push((name, value));
        }
    }
    if size > limit {
        return Err(Violation::new(
            Rule::ResponseTooLarge,
            format!("headers and body of {size} bytes, at most {limit}"),
        ));
    }
    // RFC 9110 15.3.5, 15.3.6 and 15.4.5: these never have content.
    let bodyless = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
    if !raw.body.is_empty() && bodyless.contains(&status) {
        return Err(Violation::new(Rule::BodyNotAllowed, status.as_str()));
    }
    Ok(GeneratedResponse { status, headers: fields, body: Bytes::from(raw.body) })
}

/// 200 to 599.
pub(super) fn status(raw: u16) -> Result<StatusCode, Violation> {
    match StatusCode::from_u16(raw) {
        Ok(status) if (200..=599).contains(&raw) => Ok(status),
        _ => Err(Violation::new(Rule::Status, raw.to_string())),
    }
}
