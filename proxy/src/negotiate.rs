//! Which form the edge's own errors have: JSON, as API Gateway's, unless a viewer says that it wants a page (RFC 9110, 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// Whether the viewer names `text/html` and likes nothing in JSON better. Only names count: `*/*` is every program's default.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    let (mut html, mut json) = (0, 0);
    for line in headers.get_all(ACCEPT) {
        for range in line.as_bytes().split(|&byte| byte == b',') {
            let mut parts = range.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let place = match name {
                _ if name.eq_ignore_ascii_case(b"text/html") => &mut html,
                _ if name.eq_ignore_ascii_case(b"application/json") => &mut json,
                _ => continue,
            };
            let weight = parts.find_map(|part| part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q=")));
            *place = (*place).max(weight.map_or(1_000, thousandths));
        }
    }
    html > 0 && html >= json
}

/// A weight in thousandths; what is none counts as zero.
fn thousandths(weight: &[u8]) -> u32 {
    let number: f32 = std::str::from_utf8(weight).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    // Weights have three digits (RFC 9110, 12.4.2); NaN becomes 0.
    (number.clamp(0.0, 1.0) * 1_000.0) as u32
}

/// A small page about an error. `title` and `message` are the edge's own words.
pub(crate) fn page(status: u16, reason: &str, message: &str, id: &str) -> String {
    let title = if reason.is_empty() { status.to_string() } else { format!("{status} {reason}") };
    // An id has no characters of markup (`identity::request_id`).
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{message}</p>\n\
         <p>Request id: <code>{id}</code></p>\n</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_a_page() {
        for (accept, wanted) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("TEXT/HTML; q=0.5", true),
            ("text/html;q=0.5, application/json", false),
            ("text/html;q=0.5, application/json;q=0.5", true),
            ("text/html;q=0", false),
            ("*/*", false),
            ("text/*", false),
            ("application/json", false),
            ("text/html;level=1;q=0.2", true),
            ("text/html;q=x", false),
            ("text/html;q=NaN", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(wants_page(&headers), wanted, "{accept}");
        }
        assert!(!wants_page(&HeaderMap::new()));
    }
}
