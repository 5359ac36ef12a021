//! Uses of hooks: switches stand where they do something, and what is listed is listed once.

use super::no_duplicates;
use crate::model::Stage;
use crate::report::{Problem, Report};
use crate::schema::{Binding, RequestBody};

/// Most hosts of `dynamic_origins`.
const MAX_HOSTS: usize = 100;

pub(super) fn check(binding: &Binding, stage: Stage, out: &mut Report) {
    if let Some(list) = binding.key_value_stores.value() {
        no_duplicates(&list.items, "the key-value store", |name| name.0.as_str(), out);
    }
    if let Some(list) = binding.jwks.value() {
        no_duplicates(&list.items, "the key set", |name| name.0.as_str(), out);
    }
    if let Some(list) = binding.fetch.value() {
        no_duplicates(&list.items, "the origin", |name| name.0.as_str(), out);
    }
    switches(binding, stage, out);
    hosts(binding, out);
}

/// Each switch at the stages where it means something.
fn switches(binding: &Binding, stage: Stage, out: &mut Report) {
    let mut misplaced = |code, span, key: &str, help: &str| {
        let message = format!("`{key}` does nothing at {}", stage.as_str());
        out.push(Problem::error(code, span, message).help(help));
    };
    if let Some(on_errors) = binding.on_errors.given().filter(|_| stage != Stage::ViewerResponse) {
        let help = "only viewer-response hooks can run on errors: move it there, or leave it out";
        misplaced("on-errors", on_errors.span(), "on_errors", help);
    }
    let response = matches!(stage, Stage::OriginResponse | Stage::ViewerResponse);
    if let Some(body) = binding.request_body.given().filter(|_| response)
        && !matches!(body.get_ref(), RequestBody::Switch(false))
    {
        let help = "the request's body is there at viewer-request and origin-request: move it there, or leave it out";
        misplaced("request-body", body.span(), "request_body", help);
    }
    if let Some(hosts) =
        binding.dynamic_origins.given().filter(|_| !matches!(stage, Stage::ViewerRequest | Stage::OriginRequest))
    {
        let help =
            "only hooks at viewer-request and origin-request choose origins by host: move it there, or leave it out";
        misplaced("dynamic-origins", hosts.span(), "dynamic_origins", help);
    }
    if let Some(size) = binding.fetch_max.given().filter(|_| binding.fetch.is_absent()) {
        let help = "list the origins that the hook may ask in `fetch`, or leave `fetch_max` out";
        let message = "`fetch_max` does nothing without `fetch`";
        out.push(Problem::error("no-effect", size.span(), message).help(help));
    }
}

/// Hosts that a hook may choose.
fn hosts(binding: &Binding, out: &mut Report) {
    let Some(list) = binding.dynamic_origins.value() else { return };
    no_duplicates(&list.items, "the host", |host| host.0.as_str(), out);
    if let Some(first_over) = list.items.get(MAX_HOSTS) {
        let message = format!("a binding has at most {MAX_HOSTS} dynamic origins");
        out.push(Problem::error("too-many", first_over.span(), message));
    }
    for host in list.items.iter().filter(|host| host.get_ref().0.as_str() == "*") {
        let message = "`*` would let the hook send requests anywhere";
        out.push(
            Problem::error("dynamic-origins", host.span(), message)
                .help("list hosts, or all names below a domain as in `*.example.com`"),
        );
    }
}
