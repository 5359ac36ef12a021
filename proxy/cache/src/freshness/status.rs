//! What may be stored of a status (RFC 9110 §15, RFC 9111 §3).

use http::StatusCode;

/// What may be stored of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storable {
    /// Heuristically cacheable (RFC 9110 §15.1): also without explicit freshness.
    Heuristically,
    /// Only with explicit freshness, or with `public`.
    Explicitly,
    /// Never.
    Never,
}

/// What may be stored of a status.
///
/// Never: what is not final; 206, 304 and 226, which are parts of an answer; 205, which is about the sender's form; 401 and
/// 407, which are a question to one viewer; 412, 416, 417 and 421, which depend on what is not in the key; and what RFC 6585
/// forbids to store (428, 429, 431, 511). All others are storable as RFC 9111 §3 has it, also those that nobody knows.
pub(super) fn storable(status: StatusCode) -> Storable {
    match status.as_u16() {
        200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501 => Storable::Heuristically,
        0..200
        | 205
        | 206
        | 226
        | 304
        | 305
        | 306
        | 401
        | 407
        | 412
        | 416
        | 417
        | 421
        | 428
        | 429
        | 431
        | 505
        | 511 => Storable::Never,
        _ => Storable::Explicitly,
    }
}

/// Whether this cache knows what a status says about storing: those of RFC 9110 §15 and of the IANA registry that a GET can
/// get. For `must-understand`.
pub(super) fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=204 | 300..=303 | 307 | 308 | 400 | 402..=406 | 408..=411 | 413..=415 | 422 | 425 | 426 | 451 | 500..=504
    )
}
