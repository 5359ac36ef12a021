//! Takes `Cookie` lines apart (RFC 6265 §5.4, leniently) and sorts what is kept by name, as CloudFront does.
//!
//! Cookies without `=` count as a name alone; empty ones are dropped. Bytes are taken as sent. `$` begins a name like any other
//! (RFC 6265 has no attributes in requests).

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::Selection;

/// So many kept cookies need no allocation to sort.
const ON_STACK: usize = 24;

/// One cookie as sent, without the blanks around it, and its place in the request: names may come twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cookie<'a> {
    name: &'a [u8],
    place: usize,
    text: &'a [u8],
}

/// What `selection` keeps of a request's cookies, as one `Cookie` value: what to forward if only the key's parts may
/// be. `None` when nothing is kept.
pub fn filtered_cookies(request: &HeaderMap, selection: &Selection) -> Option<HeaderValue> {
    with_kept(request, selection, |kept| {
        if kept.is_empty() {
            return None;
        }
        let mut value = Vec::new();
        write_joined(kept, &mut value);
        HeaderValue::from_maybe_shared(bytes::Bytes::from(value)).ok()
    })
}

/// What becomes of a request's cookies when only what is in the key may be forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forwarded {
    /// They are as the key has them.
    AsSent,
    /// In the key's spelling.
    As(HeaderValue),
    /// None goes along.
    Nothing,
}

/// As [`filtered_cookies`], without an allocation where the request has the key's own spelling already: one line, sorted, no
/// empty cookies, one blank after each semicolon.
pub fn forwarded_cookies(request: &HeaderMap, selection: &Selection) -> Forwarded {
    let as_sent =
        with_kept(request, selection, |kept| if kept.is_empty() { None } else { Some(is_joined(request, kept)) });
    match as_sent {
        None => Forwarded::Nothing,
        Some(true) => Forwarded::AsSent,
        Some(false) => filtered_cookies(request, selection).map_or(Forwarded::Nothing, Forwarded::As),
    }
}

/// Whether the request has these cookies just as [`write_joined`] writes them.
fn is_joined(request: &HeaderMap, cookies: &[Cookie<'_>]) -> bool {
    let mut lines = request.get_all(COOKIE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let mut rest = line.as_bytes();
    for (at, cookie) in cookies.iter().enumerate() {
        let between: &[u8] = if at > 0 { b"; " } else { b"" };
        match rest.strip_prefix(between).and_then(|rest| rest.strip_prefix(cookie.text)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}

/// Calls `then` with the kept cookies, sorted by name and then by place.
pub(super) fn with_kept<R>(request: &HeaderMap, selection: &Selection, then: impl FnOnce(&[Cookie<'_>]) -> R) -> R {
    if *selection == Selection::None || !request.contains_key(COOKIE) {
        return then(&[]);
    }
    let mut few = [Cookie::default(); ON_STACK];
    let mut count = 0;
    for cookie in kept(request, selection) {
        let Some(slot) = few.get_mut(count) else {
            let mut many: Vec<_> = kept(request, selection).collect();
            many.sort_unstable();
            return then(&many);
        };
        *slot = cookie;
        count += 1;
    }
    let few = &mut few[..count];
    few.sort_unstable();
    then(few)
}

/// Writes cookies as a `Cookie` header has them. No cookie contains `;`, so this can be taken apart again.
pub(super) fn write_joined(cookies: &[Cookie<'_>], bytes: &mut Vec<u8>) {
    for (at, cookie) in cookies.iter().enumerate() {
        if at > 0 {
            bytes.extend_from_slice(b"; ");
        }
        bytes.extend_from_slice(cookie.text);
    }
}

fn kept<'a>(request: &'a HeaderMap, selection: &Selection) -> impl Iterator<Item = Cookie<'a>> {
    request
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .enumerate()
        .map(|(place, text)| {
            let end = text.iter().position(|byte| *byte == b'=').unwrap_or(text.len());
            Cookie { name: text[..end].trim_ascii_end(), place, text }
        })
        .filter(|cookie| !cookie.text.is_empty() && selection.keeps(cookie.name))
}
