//! Origins: protocol and headers.

use super::{first_or_report, in_list};
use crate::model::{OriginHttp, SecretSource};
use crate::report::{Problem, Report};
use crate::schema::{File, Origin};
use crate::units::check_header_value;
use std::collections::HashMap;

/// Names that origin headers cannot have: CloudFront Developer Guide, "Custom headers that CloudFront can't add to
/// origin requests"; `keep-alive` and `expect` belong to the connection too (RFC 9110 §7.6.1, §10.1.1).
const NOT_ADDED: [&str; 27] = [
    "cache-control",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "request-range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
    "x-amz-*",
    "x-edge-*",
];

/// Most headers of an origin (CloudFront: "Quotas on headers").
const MAX_HEADERS: usize = 30;

pub(super) fn check(file: &File, out: &mut Report) {
    let Some(origins) = file.origins.value() else { return };
    for (_, origin) in origins.iter() {
        check_protocol(origin, out);
        check_headers(origin, out);
    }
}

fn check_protocol(origin: &Origin, out: &mut Report) {
    let Some(url) = origin.url.given() else { return };
    if url.get_ref().0.tls {
        return;
    }
    if let Some(http) = origin.http.given()
        && *http.get_ref() == OriginHttp::H2
    {
        out.push(
            Problem::error("needs-tls", http.span(), "`h2` is chosen by TLS, and this origin has none")
                .also(url.span(), "not `https`")
                .help("write `h2-only` for HTTP/2 without TLS (h2c)"),
        );
    }
    if let Some(verify) = origin.verify_tls.given() {
        out.push(
            Problem::warning("no-effect", verify.span(), "`verify_tls` does nothing for an `http` origin")
                .also(url.span(), "not `https`"),
        );
    }
}

fn check_headers(origin: &Origin, out: &mut Report) {
    let Some(headers) = origin.headers.given() else { return };
    let list = &headers.get_ref().0;
    let mut seen = HashMap::new();
    for (name, value) in list {
        let text = name.get_ref();
        // Two spellings of a name are two keys in TOML.
        first_or_report(&mut seen, text, name.span(), || format!("header `{text}` is listed twice"), out);
        if in_list(&NOT_ADDED, text) {
            let help = match text.as_str() {
                "host" => "use `host_header`",
                _ => "remove it; it belongs to the viewer's request or to the connection",
            };
            out.push(
                Problem::error("header-not-allowed", name.span(), format!("an origin header cannot be `{text}`"))
                    .help(help),
            );
        }
        if let SecretSource::Inline(text) = &value.get_ref().0
            && let Err(error) = check_header_value(text)
        {
            out.push(Problem::error("bad-value", value.span(), error.to_string()).maybe_help(error.help()));
        }
    }
    if list.len() > MAX_HEADERS {
        out.push(Problem::error("too-many", headers.span(), format!("an origin has at most {MAX_HEADERS} headers")));
    }
}
