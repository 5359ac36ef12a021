//! What a connection knows of the HTTP/1 answers that pass through it: interim ones, and where their `Date` is. Knows no socket.

/// Whether these are the first bytes of an interim response, after which a final one may still be said (RFC 9110, 15.2).
pub(super) fn is_interim(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/1.1 1") && !bytes.starts_with(b"HTTP/1.1 101")
}

/// Puts `date` in the place of what a head has as its `Date`: both have the one form that is written (RFC 9110, 5.6.7), and so
/// the same length.
pub(super) fn put_date(head: &mut [u8], date: &[u8]) {
    const NAME: &[u8] = b"date: ";
    let mut line = 0;
    while let Some(rest) = head.get(line..) {
        if rest.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
            let value = head.get_mut(line + NAME.len()..line + NAME.len() + date.len());
            if let Some(value) = value.filter(|value| value.ends_with(b" GMT")) {
                value.copy_from_slice(date);
            }
            return;
        }
        match memchr::memchr(b'\n', rest) {
            // The empty line ends the head.
            Some(end) if end > 1 => line += end + 1,
            _ => return,
        }
    }
}
