//! Response headers policies: no field twice, and none that belongs to the connection or to the edge.

use std::collections::HashMap;

use super::{first_or_report, in_list, no_duplicates};
use crate::report::{Problem, Report};
use crate::resolve::HEADERS_PRESETS;
use crate::schema::{File, ResponseHeadersPolicy};

/// Fields that cannot be taken off: CloudFront Developer Guide, "Understand response headers policies", and what the edge
/// says of itself.
const NOT_REMOVED: [&str; 31] = [
    "cache-status",
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "warning",
    "x-accel-*",
    "x-amz-cf-*",
    "x-amzn-auth",
    "x-amzn-cf-*",
    "x-amzn-errortype",
    "x-amzn-fle-profile",
    "x-amzn-header-count",
    "x-amzn-header-order",
    "x-amzn-lambda-integration-tag",
    "x-amzn-requestid",
    "x-cache",
    "x-edge-*",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];
/// Fields that cannot be put on: with these, framing or content would be another than what is sent.
const NOT_SET: [&str; 18] = [
    "age",
    "cache-status",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "date",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "server-timing",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
];
/// CloudFront has 10.
const MOST: usize = 100;

pub(super) fn check(file: &File, out: &mut Report) {
    let Some(policies) = file.response_headers_policies.value() else { return };
    for name in policies.names() {
        if HEADERS_PRESETS.contains(&name.get_ref().as_str()) {
            out.push(
                Problem::error("preset", name.span(), format!("`{}` is a preset", name.get_ref()))
                    .label("cannot be changed")
                    .help("give your policy another name"),
            );
        }
    }
    for (_, policy) in policies.iter() {
        check_policy(policy, out);
        super::answers::check_cors(&policy.cors, out);
    }
}

fn check_policy(policy: &ResponseHeadersPolicy, out: &mut Report) {
    if let Some(removed) = policy.remove_headers.value() {
        for name in removed.items.iter().filter(|name| in_list(&NOT_REMOVED, &name.get_ref().0)) {
            let message = format!("`{}` cannot be removed", name.get_ref().0);
            out.push(Problem::error("header-not-allowed", name.span(), message));
        }
        no_duplicates(&removed.items, "header", |name| &name.0, out);
        if let Some(over) = removed.items.get(MOST) {
            out.push(Problem::error("too-many", over.span(), format!("at most {MOST} headers can be removed")));
        }
    }
    let mut seen = HashMap::new();
    let security = policy.security_headers.value();
    let xss = security.and_then(|security| security.xss_protection.value());
    if let Some(xss) = xss
        && let (Some(uri), Some(true)) = (xss.report_uri.given(), xss.mode_block.value())
    {
        out.push(
            Problem::error("no-effect", uri.span(), "`report_uri` does nothing with `mode_block`")
                .help("remove one of the two"),
        );
    }
    if let Some(security) = security {
        let spans = [
            ("content-security-policy", security.content_security_policy.given().map(toml::Spanned::span)),
            ("x-content-type-options", security.content_type_options.given().map(toml::Spanned::span)),
            ("x-frame-options", security.frame_options.given().map(toml::Spanned::span)),
            ("referrer-policy", security.referrer_policy.given().map(toml::Spanned::span)),
            ("strict-transport-security", security.strict_transport_security.given().map(toml::Spanned::span)),
            ("x-xss-protection", security.xss_protection.given().map(toml::Spanned::span)),
        ];
        seen.extend(spans.into_iter().filter_map(|(name, span)| Some((name.to_owned(), span?))));
    }
    let custom = policy.custom_headers.value().map_or(&[][..], |list| list.items.as_slice());
    for header in custom.iter().filter_map(|custom| custom.get_ref().header.given()) {
        let text = header.get_ref().0.as_str();
        if in_list(&NOT_SET, text) {
            let message = format!("`{text}` is the edge's own");
            out.push(Problem::error("header-not-allowed", header.span(), message));
        } else if text.starts_with("access-control-") {
            out.push(
                Problem::error("header-not-allowed", header.span(), format!("`{text}` is part of `cors`"))
                    .help("write a `cors` table, which also answers preflights"),
            );
        }
        first_or_report(&mut seen, text.to_owned(), header.span(), || format!("header `{text}` is set twice"), out);
    }
    if let Some(over) = custom.get(MOST) {
        out.push(Problem::error("too-many", over.span(), format!("at most {MOST} headers can be set")));
    }
}
