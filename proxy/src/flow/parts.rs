//! Edits heads as the `http` crate has them.
//!
//! pingora's own edits take each name apart again, to keep a map of how it was spelled; the flow keeps none (see the gate).
//! So a head is lent out in its parts, and put together once after all edits.

use http::{request, response};
use pingora::http::{RequestHeader, ResponseHeader};

/// An empty request head, to leave in the place of one that is lent.
pub(super) fn empty_request() -> RequestHeader {
    http::Request::new(()).into_parts().0.into()
}

/// An empty response head, to leave in the place of one that is lent.
pub(super) fn empty_response() -> ResponseHeader {
    http::Response::new(()).into_parts().0.into()
}

/// Lends the parts of a request head. Afterwards its target is what its URI says, and its names are in lower case.
pub(super) fn of_request<T>(head: &mut RequestHeader, edit: impl FnOnce(&mut request::Parts) -> T) -> T {
    // Only `false` is not what a new head has; other versions than HTTP/2 have nothing to lose.
    let ends_with_head = head.send_end_stream();
    let mut parts: request::Parts = std::mem::replace(head, empty_request()).into();
    let result = edit(&mut parts);
    *head = parts.into();
    if ends_with_head == Some(false) {
        head.set_send_end_stream(false);
    }
    result
}

/// Lends the parts of a response head. Afterwards its names are in lower case. Its reason phrase stays.
pub(super) fn of_response<T>(head: &mut ResponseHeader, edit: impl FnOnce(&mut response::Parts) -> T) -> T {
    let reason = head.get_reason_phrase().filter(|&reason| Some(reason) != head.status.canonical_reason());
    let reason = reason.map(str::to_owned);
    let status = head.status;
    let mut parts: response::Parts = std::mem::replace(head, empty_response()).into();
    let result = edit(&mut parts);
    *head = parts.into();
    if let Some(reason) = reason
        && head.status == status
        && let Err(error) = head.set_reason_phrase(Some(&reason))
    {
        tracing::error!(%error, "a reason phrase could not be kept");
    }
    result
}

#[cfg(test)]
mod tests {
    use http::header::{HOST, SERVER};
    use http::{HeaderValue, Version};

    use super::*;

    #[test]
    fn a_request_keeps_what_parts_do_not_have() {
        let mut head = RequestHeader::build("POST", b"/a?b", None).expect("a head");
        head.set_version(Version::HTTP_2);
        head.set_send_end_stream(false);
        of_request(&mut head, |parts| parts.headers.insert(HOST, HeaderValue::from_static("a")));
        assert_eq!((head.send_end_stream(), head.raw_path()), (Some(false), &b"/a?b"[..]));
        assert_eq!(head.headers.get(HOST).map(HeaderValue::as_bytes), Some(&b"a"[..]));
    }

    #[test]
    fn a_response_keeps_its_reason_unless_its_status_changes() {
        let mut head = ResponseHeader::build(200, None).expect("a head");
        head.set_reason_phrase(Some("Fine")).expect("a reason");
        of_response(&mut head, |parts| parts.headers.insert(SERVER, HeaderValue::from_static("a")));
        assert_eq!(head.get_reason_phrase(), Some("Fine"));
        of_response(&mut head, |parts| parts.status = http::StatusCode::NOT_FOUND);
        assert_eq!(head.get_reason_phrase(), Some("Not Found"));
    }
}
