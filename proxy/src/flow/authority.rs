//! `Host` and `:authority`: parsed once, lower case, port apart (RFC 9110, 7.2; RFC 3986, 3.2).

/// Bytes of names. Sub-delimiters are legal in one (RFC 3986, 3.2.2) and found in none; quotes and commas are attacks.
const IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%');
        byte += 1;
    }
    table
};

/// A host that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Host and port as the viewer gave them, lower case.
    text: Box<str>,
    /// Length of the host in `text`.
    host: usize,
}

impl Authority {
    /// No host: HTTP/1.0 without `Host`.
    #[must_use]
    pub fn none() -> Self {
        Self { text: "".into(), host: 0 }
    }

    /// Parses `host[:port]`. None if it is empty or malformed: user info, spaces, lists, a port over 65,535.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let host = match bytes.strip_prefix(b"[") {
            Some(rest) => {
                let end = memchr::memchr(b']', rest)?;
                std::str::from_utf8(rest.get(..end)?).ok()?.parse::<std::net::Ipv6Addr>().ok()?;
                end + 2
            }
            None => {
                let end = bytes.iter().position(|&byte| !IN_NAME[usize::from(byte)]).unwrap_or(bytes.len());
                if end == 0 || end > 255 {
                    return None;
                }
                end
            }
        };
        match bytes.get(host..)? {
            // "An empty port" is legal (RFC 3986, 3.2.3).
            [] | [b':'] => {}
            [b':', port @ ..] if port.iter().all(u8::is_ascii_digit) => {
                std::str::from_utf8(port).ok()?.parse::<u16>().ok()?;
            }
            _ => return None,
        }
        Some(Self { text: std::str::from_utf8(bytes).ok()?.to_ascii_lowercase().into(), host })
    }

    /// Host and port.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port, the port only if it is not the scheme's own.
    #[must_use]
    pub fn without_default_port(&self, https: bool) -> &str {
        let port = if https { ":443" } else { ":80" };
        match self.text.get(self.host..) {
            Some(given) if given == port || given == ":" => self.text.get(..self.host).unwrap_or_default(),
            _ => &self.text,
        }
    }

    /// The same without a port that says nothing: the scheme's own, or an empty one. None if it is without already.
    #[must_use]
    pub fn plain(&self, https: bool) -> Option<Self> {
        let text = self.without_default_port(https);
        (text.len() < self.text.len()).then(|| Self { text: text.into(), host: self.host })
    }

    /// The host alone, without the dot of a fully qualified name.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.text.get(..self.host).unwrap_or_default();
        host.strip_suffix('.').unwrap_or(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_say_nothing_are_left_out() {
        for (text, https, plain) in [
            ("a.test:80", false, Some("a.test")),
            ("a.test:", true, Some("a.test")),
            ("[::1]:443", true, Some("[::1]")),
            ("a.test:80", true, None),
            ("a.test:8080", false, None),
            ("a.test", false, None),
            ("", false, None),
        ] {
            let authority = Authority::parse(text.as_bytes()).unwrap_or_else(Authority::none);
            assert_eq!(authority.plain(https).as_ref().map(Authority::as_str), plain, "{text}");
        }
    }

    #[test]
    fn hosts() {
        for (text, host) in [
            ("Example.TEST", "example.test"),
            ("example.test:8080", "example.test"),
            ("example.test:", "example.test"),
            ("example.test.", "example.test"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:443", "[::1]"),
            ("[::1]:", "[::1]"),
            ("a-b_c~%41.test", "a-b_c~%41.test"),
        ] {
            assert_eq!(Authority::parse(text.as_bytes()).as_ref().map(Authority::host), Some(host), "{text}");
        }
        for text in [
            "",
            "a test",
            "a.test, b.test",
            "a.test/../x?y",
            "a.test:99999",
            "user@a.test",
            "a.test:80:80",
            "[::1",
            "[::1]x",
            "a.test:+80",
            &"a".repeat(256),
            "[nope]",
            ":80",
            "a\u{e9}.test",
            "a.test:8a",
            "\"a\"",
        ] {
            assert_eq!(Authority::parse(text.as_bytes()), None, "{text}");
        }
    }
}
