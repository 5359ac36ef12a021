//! Paths and query strings: what may stand in a request target (RFC 3986 3.3 and 3.4, RFC 9112 3.2.1).

use http::uri::PathAndQuery;

use super::{Rule, Violation};
use crate::RequestView;

/// Path and query string together must be shorter than this (CloudFront quotas: URI of edge functions).
pub(super) const MAX_TARGET: usize = 8192;

/// A new path. Besides RFC 3986's characters `"[]^{|}` pass: browsers send them, so a hook that extends the viewer's path
/// has to be able to hand them back.
pub(super) fn path(path: &str) -> Result<(), Violation> {
    if path.starts_with('/') && valid(path) {
        return Ok(());
    }
    Err(Violation::new(Rule::Path, path))
}

/// Whether an origin may read `.` or `..` as a part of the path: written as they are, with percent-encoded dots (RFC 3986
/// 6.2.2.3), behind an encoded slash or a backslash, which servers decode first, or before parameters (`..;x`).
pub(super) fn has_dot_segments(path: &str) -> bool {
    let mut plain = path.to_ascii_lowercase();
    for (encoded, meant) in [("%2e", "."), ("%2f", "/"), ("%5c", "/"), ("\\", "/"), ("%3b", ";")] {
        plain = plain.replace(encoded, meant);
    }
    plain.split('/').any(|part| matches!(part.split(';').next(), Some("." | "..")))
}

/// A new query string: whatever the edge takes from viewers, also `100%` and `` `x` ``, since a hook that changes one field
/// hands the others back. The text is not repeated in the violation: it may hold credentials.
pub(super) fn query(query: &str) -> Result<(), Violation> {
    let is_text = query.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && byte != b'#');
    if is_text && PathAndQuery::try_from(format!("/?{query}")).is_ok() {
        return Ok(());
    }
    Err(Violation::new(Rule::Query, format!("{} bytes", query.len())))
}

/// The lengths that hold after the edits.
pub(super) fn length(
    request: &dyn RequestView,
    path: Option<usize>,
    query: Option<Option<usize>>,
) -> Result<(), Violation> {
    if path.is_none() && query.is_none() {
        return Ok(());
    }
    let path = path.unwrap_or_else(|| request.path().len());
    let query = query.unwrap_or_else(|| request.query().map(str::len));
    let target = path + query.map_or(0, |len| len + 1);
    if target >= MAX_TARGET { Err(Violation::new(Rule::TargetTooLong, target.to_string())) } else { Ok(()) }
}

fn valid(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(at, &byte)| match byte {
        b'%' => matches!(bytes.get(at + 1..at + 3), Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()),
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => true,
        b'-' | b'.' | b'_' | b'~' => true,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => true,
        b':' | b'@' | b'/' => true,
        b'"' | b'[' | b']' | b'^' | b'{' | b'|' | b'}' => true,
        _ => false,
    })
}
