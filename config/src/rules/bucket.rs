//! Buckets and directories as origins: one place each, and no key without effect.

use toml::Spanned;

use super::no_duplicates;
use crate::model::HostHeader;
use crate::report::{Problem, Report};
use crate::schema::{File, Origin};

pub(super) fn check(file: &File, out: &mut Report) {
    for (name, origin) in file.origins.value().into_iter().flat_map(|named| named.iter()) {
        check_place(name, origin, out);
        check_signing(origin, out);
    }
}

fn check_place(name: &Spanned<String>, origin: &Origin, out: &mut Report) {
    match (origin.url.is_absent(), origin.directory.is_absent()) {
        (true, true) => {
            out.push(
                Problem::error("missing-key", name.span(), "missing key `url`")
                    .label("`url` is required here")
                    .help("write `url = \"http://…\"`, or `directory = \"…\"` for files of this machine"),
            );
        }
        (false, false) => {
            let span = origin.directory.given().map_or_else(|| name.span(), Spanned::span);
            out.push(
                Problem::error("no-effect", span, "an origin is a server or a directory, not both")
                    .help("remove `url` or `directory`"),
            );
        }
        _ => {}
    }
    if origin.directory.is_absent() {
        return;
    }
    let keys = [
        ("host_header", origin.host_header.given().map(Spanned::span)),
        ("http", origin.http.given().map(Spanned::span)),
        ("verify_tls", origin.verify_tls.given().map(Spanned::span)),
        ("resolve_every", origin.resolve_every.given().map(Spanned::span)),
        ("max_idle_connections", origin.max_idle_connections.given().map(Spanned::span)),
        ("sigv4", origin.sigv4.given().map(Spanned::span)),
    ];
    for (key, span) in keys.into_iter().filter_map(|(key, span)| Some((key, span?))) {
        out.push(Problem::error("no-effect", span, format!("`{key}` does nothing for a directory")).help("remove it"));
    }
}

fn check_signing(origin: &Origin, out: &mut Report) {
    let Some(sigv4) = origin.sigv4.value() else { return };
    if let Some(host) = origin.host_header.given()
        && host.get_ref().0 == HostHeader::Viewer
    {
        out.push(
            Problem::error(
                "bad-value",
                host.span(),
                "a bucket is found by its own host, which is part of the signature",
            )
            .help("remove `host_header`"),
        );
    }
    if let Some(query) = sigv4.query.value() {
        no_duplicates(&query.items, "parameter", |name| &name.0, out);
    }
}
