//! Origins: protocol, headers, addresses, health checks and TLS.

use super::{first_or_report, in_list};
use crate::model::{OriginHttp, SecretSource};
use crate::report::{Problem, Report};
use crate::schema::{File, HealthCheck, Origin, OriginTls};
use crate::units::check_header_value;
use std::collections::HashMap;

/// Names that origin headers cannot have: CloudFront Developer Guide, "Custom headers that CloudFront can't add to
/// origin requests"; `keep-alive` and `expect` belong to the connection too (RFC 9110 §7.6.1, §10.1.1).
pub(super) const NOT_ADDED: [&str; 27] = [
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

/// Most addresses that are listed; a name among them may have more.
const MAX_ADDRESSES: usize = 64;

/// Most headers of an origin (CloudFront: "Quotas on headers").
const MAX_HEADERS: usize = 30;

pub(super) fn check(file: &File, out: &mut Report) {
    let Some(origins) = file.origins.value() else { return };
    for (_, origin) in origins.iter() {
        check_protocol(origin, out);
        check_headers(origin, out);
        check_addresses(origin, out);
        check_queue(origin, out);
        check_idle(origin, out);
        if let Some(check) = origin.health_check.value() {
            check_health(check, out);
        }
        if let Some(tls) = origin.tls.given() {
            check_tls(origin, tls, out);
        }
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

fn check_addresses(origin: &Origin, out: &mut Report) {
    let Some(addresses) = origin.addresses.given() else { return };
    let list = addresses.get_ref();
    if list.items.is_empty() && !list.broken {
        out.push(
            Problem::error("empty-list", addresses.span(), "an origin without addresses cannot be reached")
                .help("remove `addresses`: the edge then connects to the host of `url`"),
        );
    }
    if let Some(first_over) = list.items.get(MAX_ADDRESSES) {
        let message = format!("an origin has at most {MAX_ADDRESSES} addresses");
        out.push(Problem::error("too-many", first_over.span(), message));
    }
    let port = origin.url.value().map(|url| url.0.port);
    let mut seen = HashMap::new();
    for address in &list.items {
        let (host, own) = &address.get_ref().0;
        let place = (host.clone(), own.or(port));
        first_or_report(&mut seen, place, address.span(), || format!("the address `{host}` is listed twice"), out);
    }
}

fn check_queue(origin: &Origin, out: &mut Report) {
    if let Some(queue) = origin.queue.given()
        && origin.max_requests.is_absent()
    {
        out.push(
            Problem::error("no-effect", queue.span(), "`queue` does nothing without `max_requests`")
                .help("add `max_requests = …`: requests over it wait"),
        );
    }
}

fn check_idle(origin: &Origin, out: &mut Report) {
    let Some(most) = origin.max_idle_connections.given() else { return };
    if let Some(http) = origin.http.given()
        && *http.get_ref() != OriginHttp::H1
    {
        out.push(
            Problem::error("no-effect", most.span(), "`max_idle_connections` does nothing with HTTP/2")
                .label("a connection carries many requests there")
                .also(http.span(), "not \"h1\"")
                .help("remove it, or `http`"),
        );
    }
}

fn check_health(check: &HealthCheck, out: &mut Report) {
    if let Some(path) = check.path.given() {
        let text = path.get_ref().0.as_str();
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !text.starts_with('/') || !text.bytes().all(plain) {
            out.push(
                Problem::error("bad-value", path.span(), "the path of a health check is no path")
                    .help("it begins with `/` and has no blanks; a query may follow"),
            );
        }
    }
    let Some(statuses) = check.statuses.given() else { return };
    if statuses.get_ref().items.is_empty() && !statuses.get_ref().broken {
        out.push(Problem::error("empty-list", statuses.span(), "no answer would pass this health check"));
    }
}

fn check_tls(origin: &Origin, tls: &toml::Spanned<OriginTls>, out: &mut Report) {
    let span = tls.span();
    let tls = tls.get_ref();
    if let Some(url) = origin.url.given()
        && !url.get_ref().0.tls
    {
        out.push(
            Problem::error("needs-tls", span, "`tls` does nothing for an `http` origin")
                .also(url.span(), "not `https`"),
        );
        return;
    }
    for (given, other, name) in [(&tls.certificate, &tls.key, "key"), (&tls.key, &tls.certificate, "certificate")] {
        if let (Some(given), true) = (given.given(), other.is_absent()) {
            out.push(
                Problem::error("missing-key", given.span(), "a certificate and its key go together")
                    .help(format!("add `{name} = \"…\"`")),
            );
        }
    }
    if let Some(sni) = tls.sni.given()
        && sni.get_ref().0.is_wildcard()
    {
        out.push(Problem::error("bad-value", sni.span(), "`sni` is one name, not a pattern"));
    }
    if let (Some(ca), Some(false)) = (tls.ca.given(), origin.verify_tls.value()) {
        out.push(
            Problem::error("no-effect", ca.span(), "`ca` does nothing where certificates are not checked")
                .help("remove `verify_tls = false`"),
        );
    }
}
