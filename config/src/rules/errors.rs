//! Custom error responses: each changes something, once, with a page that a behavior has.

use std::collections::HashMap;

use toml::Spanned;

use super::{cache, first_or_report, routing};
use crate::decode::{Field, Text};
use crate::report::{Problem, Report};
use crate::schema::{Distribution, ErrorResponse, File};

pub(super) fn check(file: &File, out: &mut Report) {
    for (_, distribution) in file.distributions.value().into_iter().flat_map(|named| named.iter()) {
        let mut seen = HashMap::new();
        for response in distribution.error_responses.value().map_or(&[][..], |list| list.items.as_slice()) {
            if let Some(status) = response.get_ref().status.given() {
                let number = status.get_ref().0;
                let message = || format!("there is an error response for {number} already");
                first_or_report(&mut seen, number, status.span(), message, out);
            }
            check_response(response, distribution, out);
        }
    }
}

fn check_response(written: &Spanned<ErrorResponse>, distribution: &Distribution, out: &mut Report) {
    let response = written.get_ref();
    if let (Some(status), Some(ttl)) = (response.status.given(), response.ttl.given())
        && let Some((message, help)) = cache::never_stored(u16::try_from(status.get_ref().0).unwrap_or_default())
    {
        out.push(Problem::error("no-effect", ttl.span(), message).help(help));
    }
    if let Some(page) = response.page.given() {
        check_page(page, distribution, out);
        return;
    }
    if !response.page.is_absent() {
        return;
    }
    if let Some(status) = response.response_status.given() {
        out.push(
            Problem::error("no-effect", status.span(), "`response_status` does nothing without `page`")
                .help("add `page`, or remove it"),
        );
    } else if response.ttl.is_absent() && !matches!(response.status, Field::Broken) {
        out.push(
            Problem::error("missing-key", written.span(), "this error response changes nothing")
                .help("add `page` or `ttl`"),
        );
    }
}

fn check_page(page: &Spanned<Text>, distribution: &Distribution, out: &mut Report) {
    let text = page.get_ref().0.as_str();
    let path = text.split('?').next().unwrap_or_default();
    let segments = || path.split('/').skip(1);
    let odd = segments().any(|segment| matches!(segment, "." | "..")) || path.contains("//");
    if !text.starts_with('/') || odd || text.contains('#') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        out.push(
            Problem::error("bad-value", page.span(), "a page is a path of the distribution")
                .help("write a path that starts with `/`, percent-encoded, as in \"/errors/404.html\""),
        );
        return;
    }
    if !routing::has_path(distribution, path) {
        out.push(
            Problem::error(
                "no-behavior",
                page.span(),
                format!("no behavior of the distribution has the path `{path}`"),
            )
            .help("add a behavior for it"),
        );
    }
}
