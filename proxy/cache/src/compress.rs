//! Compression at the edge: what is compressed, with what, and how its header changes then.
//!
//! What is compressed follows CloudFront ("Serve compressed files"): statuses 200, 403 and 404, 1,000 to 10,000,000 bytes
//! by `Content-Length`, text-like types, and nothing that its origin has coded already. `no-transform` (RFC 9110, 7.7) is
//! respected. The coding is the one that the viewer likes best (RFC 9110, 12.5.3), and of those the policy's first.
//!
//! Objects are stored plain, and each coding is made once, when the first viewer who wants it asks, also while the object is
//! still on its way (see `storage`): one fetch serves all, and ranges are always cut from the plain form, which has the strong validator.

mod accept;
mod encode;
mod stream;
mod types;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue,
    VARY,
};
use http::{HeaderMap, StatusCode};
use pingora::http::ResponseHeader;

pub use accept::{accepted, normalised};
pub use encode::encode;
pub use stream::Coder;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Coding {
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// All, each at its place.
    pub const ALL: [Self; Self::COUNT] = [Self::Brotli, Self::Gzip, Self::Zstd];
    /// How many there are.
    pub const COUNT: usize = 3;

    /// Its name in `Content-Encoding`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// The coding that a request wants its answer in, for the store. In the extensions of its cache key.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The coding.
    pub coding: Coding,
    /// The time of the request: what is stale is left plain, as it is to be confirmed by its origin.
    pub now: std::time::SystemTime,
}

/// Bytes that are worth compressing (CloudFront: "file size").
const SIZES: std::ops::RangeInclusive<u64> = 1_000..=10_000_000;

/// Whether a response is compressed for viewers who accept that, as far as its head tells.
#[must_use]
pub fn eligible(response: &ResponseHeader) -> bool {
    let headers = &response.headers;
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.trim().parse::<u64>().ok());
    matches!(response.status, StatusCode::OK | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
        && length.is_some_and(|length| SIZES.contains(&length))
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(CONTENT_RANGE)
        && headers.get(CONTENT_TYPE).is_some_and(|value| types::is_compressed(value.as_bytes()))
        && !no_transform(headers)
}

fn no_transform(headers: &HeaderMap) -> bool {
    let mut directives =
        headers.get_all(CACHE_CONTROL).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    directives.any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
}

/// The header of the coded form, `length` bytes long.
pub fn describe(header: &mut ResponseHeader, coding: Coding, length: usize) {
    set(header, CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    set(header, CONTENT_LENGTH, HeaderValue::from(length));
    of_other_bytes(header);
}

/// The header of the coded form while it is made, so that nobody knows its length. That of a 304 tells only of the form.
pub fn describe_unsized(header: &mut ResponseHeader, coding: Coding) {
    if !matches!(header.status, StatusCode::NOT_MODIFIED | StatusCode::PRECONDITION_FAILED) {
        set(header, CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
        drop(header.remove_header(&CONTENT_LENGTH));
    }
    of_other_bytes(header);
}

/// Takes away what only holds for the bytes of the plain form: a strong validator, ranges, digests (RFC 9530, 2 and 3).
pub fn of_other_bytes(header: &mut ResponseHeader) {
    for name in [ACCEPT_RANGES.as_str(), "content-digest", "repr-digest", "digest", "content-md5"] {
        drop(header.remove_header(name));
    }
    weaken(header);
}

/// A strong `ETag` becomes weak: the bytes are others, the meaning is the same (RFC 9110, 8.8.1). A malformed one goes.
fn weaken(header: &mut ResponseHeader) {
    let Some(tag) = header.headers.get(ETAG) else { return };
    let bytes = tag.as_bytes();
    if bytes.starts_with(b"W/\"") {
        return;
    }
    let weak = (bytes.len() >= 2 && bytes.starts_with(b"\"") && bytes.ends_with(b"\""))
        .then(|| HeaderValue::from_bytes(&[b"W/", bytes].concat()).ok())
        .flatten();
    match weak {
        Some(weak) => set(header, ETAG, weak),
        None => drop(header.remove_header(&ETAG)),
    }
}

/// Says that the answer depends on `Accept-Encoding`, unless it says so already.
pub fn vary(headers: &mut HeaderMap) {
    let named = |name: &[u8]| name.eq_ignore_ascii_case(b"accept-encoding") || name == b"*";
    let mut names = headers.get_all(VARY).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    if !names.any(|name| named(name.trim_ascii())) {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

fn set(header: &mut ResponseHeader, name: http::HeaderName, value: HeaderValue) {
    // Fails for more fields than pingora takes, which a stored header does not have.
    let _always = header.insert_header(name, value);
}

#[cfg(test)]
mod tests;
