//! Headers in memory of their own, for objects that stay.

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::ResponseHeader;

use super::room::allocated;

/// What is usually added to an object's header on its way to a viewer: room that each hit would have to make otherwise.
const ADDED: usize = 6;
/// A slot of a header map: hash, name, value, links.
const SLOT: usize = size_of::<HeaderName>() + size_of::<HeaderValue>() + 32;
/// An owner of shared bytes, as the `bytes` crate makes them.
const SHARED: usize = 32;

/// A copy that holds on to nothing else. Values as they come are slices of the buffer that the whole head was read into,
/// and each would keep all of it. The reason phrase stays, how the origin spelled names does not.
pub(super) fn compact(header: &ResponseHeader) -> ResponseHeader {
    let mut texts = BytesMut::with_capacity(header.headers.values().map(HeaderValue::len).sum());
    header.headers.values().for_each(|value| texts.extend_from_slice(value.as_bytes()));
    let mut texts = texts.freeze();
    let mut headers = HeaderMap::with_capacity(header.headers.len() + ADDED);
    for (name, value) in &header.headers {
        let copy = HeaderValue::from_maybe_shared(texts.split_to(value.len()));
        let mut copy = copy.unwrap_or_else(|_invalid| value.clone());
        copy.set_sensitive(value.is_sensitive());
        headers.append(name.clone(), copy);
    }
    let (mut parts, ()) = http::Response::new(()).into_parts();
    (parts.status, parts.version) = (header.status, header.version);
    // A cloned map has the room of the indices, and of the slots only those in use.
    parts.headers.clone_from(&headers);
    let mut compact = ResponseHeader::from(parts);
    let reason = header.get_reason_phrase().filter(|reason| Some(*reason) != header.status.canonical_reason());
    if reason.is_some() {
        // Refuses what no header has that was read.
        let _always = compact.set_reason_phrase(reason);
    }
    compact
}

/// Bytes that a compact header takes on the heap.
pub(super) fn weight(header: &ResponseHeader) -> usize {
    let fields = header.headers.len();
    // `http` has a power of two of indices, of which a quarter stays free.
    let room = fields + ADDED;
    let indices = (room + room / 3).next_power_of_two() * size_of::<u32>();
    let texts = header.headers.values().map(HeaderValue::len).sum();
    let names = header.headers.keys().map(name_weight).sum::<usize>();
    allocated(indices) + allocated(fields * SLOT) + allocated(texts) + SHARED + names
}

/// The names that the `http` crate knows take no memory of their own.
fn name_weight(name: &HeaderName) -> usize {
    let text = name.as_str();
    let known = HeaderName::from_bytes(text.as_bytes()).is_ok_and(|same| std::ptr::eq(same.as_str(), text));
    if known { 0 } else { allocated(text.len()) + SHARED }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compact_header_is_the_same_and_holds_on_to_nothing() {
        let mut header = ResponseHeader::build(299, None).unwrap();
        header.set_reason_phrase(Some("Nearly")).unwrap();
        let read = bytes::Bytes::from(vec![b'x'; 64 << 10]);
        for (name, value) in [("x-a", 0..10), ("set-cookie", 3..5), ("x-a", 10..10), ("vary", 7..8)] {
            let value = HeaderValue::from_maybe_shared(read.slice(value)).unwrap();
            header.append_header(name, value).unwrap();
        }
        let copy = compact(&header);
        assert_eq!(
            (copy.status, copy.version, copy.get_reason_phrase()),
            (header.status, header.version, Some("Nearly"))
        );
        assert_eq!(copy.headers, header.headers);
        drop(header);
        assert!(read.is_unique(), "the buffer that was read into is free");
        assert!((500..1_000).contains(&weight(&copy)), "{}", weight(&copy));
    }
}
