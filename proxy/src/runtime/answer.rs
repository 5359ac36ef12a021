//! What a connection knows of the HTTP/1 answers that pass through it: interim ones, where their `Date` is, and what they say
//! besides what pingora writes of them. Knows no socket.

use http::HeaderValue;

/// What an answer says besides what pingora writes of it. As bytes: a map of fields has no room for more, and would be made anew.
#[derive(Debug, Default)]
pub struct Said {
    /// Its `Date`, in the place of now, which pingora says of every answer.
    pub date: Option<HeaderValue>,
    /// Fields at the end of its head.
    pub fields: Option<Fields>,
}

/// What an edge says of itself.
#[derive(Debug)]
pub struct Fields {
    /// `Via`.
    pub via: HeaderValue,
    /// `Cache-Status`.
    pub cache_status: HeaderValue,
    /// `X-Request-Id`.
    pub request_id: HeaderValue,
}

impl Said {
    /// Says it in a head, which begins at `begins` and is whole.
    pub(super) fn put(self, out: &mut Vec<u8>, begins: usize) {
        if let Some(date) = self.date {
            put_date(out.get_mut(begins..).unwrap_or_default(), date.as_bytes());
        }
        let Some(fields) = self.fields else { return };
        if !out.ends_with(b"\r\n\r\n") {
            tracing::error!("the head of an answer came in pieces: it does not say what the edge has to say");
            return;
        }
        out.truncate(out.len() - 2);
        let Fields { via, cache_status, request_id } = &fields;
        for (name, value) in
            [(&b"via: "[..], via), (b"\r\ncache-status: ", cache_status), (b"\r\nx-request-id: ", request_id)]
        {
            out.extend_from_slice(name);
            out.extend_from_slice(value.as_bytes());
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// Whether these are the first bytes of an interim response, after which a final one may still be said (RFC 9110, 15.2).
pub(super) fn is_interim(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/1.1 1") && !bytes.starts_with(b"HTTP/1.1 101")
}

/// Puts `date` in the place of what a head has as its `Date`: both have the one form that is written (RFC 9110, 5.6.7), and so
/// the same length.
fn put_date(head: &mut [u8], date: &[u8]) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_besides_is_in_the_head() {
        let head = b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nA: b\r\n\r\n";
        let mut out = b"waits".to_vec();
        out.extend_from_slice(head);
        let date = HeaderValue::from_static("Mon, 07 Nov 1994 08:49:37 GMT");
        let [via, cache_status, request_id] = ["1.1 a", "", "d"].map(HeaderValue::from_static);
        let fields = Some(Fields { via, cache_status, request_id });
        Said { date: Some(date), fields }.put(&mut out, 5);
        let said: &[u8] = b"waitsHTTP/1.1 200 OK\r\nDate: Mon, 07 Nov 1994 08:49:37 GMT\r\nA: b\r\n\
            via: 1.1 a\r\ncache-status: \r\nx-request-id: d\r\n\r\n";
        assert_eq!(out.escape_ascii().to_string(), said.escape_ascii().to_string());
        let mut same = head.to_vec();
        Said::default().put(&mut same, 0);
        assert_eq!(same, head);
    }
}
