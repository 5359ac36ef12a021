//! Response headers policies: those of the file, then CloudFront's managed ones.

use toml::Spanned;

use super::answers;
use super::names::Names;
use crate::decode::{Opt, Text};
use crate::model::{Cors, ResponseHeadersPolicy, SetHeader};
use crate::report::Report;
use crate::schema::{self, File};
use crate::units::OriginPattern;

/// CloudFront's managed policies (Developer Guide, "Use managed response headers policies").
pub(crate) const PRESETS: [&str; 5] = [
    "SimpleCORS",
    "CORS-With-Preflight",
    "SecurityHeadersPolicy",
    "CORS-and-SecurityHeadersPolicy",
    "CORS-with-preflight-and-SecurityHeadersPolicy",
];

/// All policies that behaviors can name.
pub(super) fn policies(file: &File) -> Vec<ResponseHeadersPolicy> {
    let written = file.response_headers_policies.value().into_iter().flat_map(|named| named.iter());
    let own = written.map(|(name, written)| resolve(name.get_ref(), written));
    own.chain(PRESETS.into_iter().map(preset)).collect()
}

/// The name of the policy that a behavior has, and what it means for CORS: whoever is nearer goes first.
pub(super) fn of_behavior(
    written: &schema::Behavior,
    (around, outer): (&schema::Distribution, Option<&str>),
    file: &File,
    names: &Names,
    out: &mut Report,
) -> (Option<String>, Option<Cors>) {
    let own = find(&written.response_headers_policy, names, out);
    let of = |name: Option<&str>| name.and_then(|name| cors_of(file, name));
    let cors = answers::cors(written.cors.value())
        .or_else(|| of(own))
        .or_else(|| answers::cors(around.cors.value()))
        .or_else(|| if own.is_some() { None } else { of(outer) });
    (own.or(outer).map(str::to_owned), cors)
}

/// The name of a policy that is there; reported if it is not.
pub(super) fn find<'w>(written: &'w Opt<Text>, names: &Names, out: &mut Report) -> Option<&'w str> {
    let name: &Spanned<Text> = written.given()?;
    let text = name.get_ref().0.as_str();
    if !PRESETS.contains(&text) {
        names.headers_policies.find(name, &PRESETS, out);
    }
    Some(text)
}

fn cors_of(file: &File, name: &str) -> Option<Cors> {
    let mut written = file.response_headers_policies.value().into_iter().flat_map(|named| named.iter());
    match written.find(|(known, _)| known.get_ref() == name) {
        Some((_, written)) => answers::cors(written.cors.value()),
        None => preset_cors(name),
    }
}

fn resolve(name: &str, written: &schema::ResponseHeadersPolicy) -> ResponseHeadersPolicy {
    let mut set = written.security_headers.value().map(security).unwrap_or_default();
    for custom in written.custom_headers.value().map_or(&[][..], |list| list.items.as_slice()) {
        let custom = custom.get_ref();
        if let (Some(header), Some(value)) = (custom.header.value(), custom.value.value()) {
            set.push(one(&header.0, value.0.clone(), &custom.overrides));
        }
    }
    let remove = written.remove_headers.value().map_or(&[][..], |list| list.items.as_slice());
    ResponseHeadersPolicy {
        name: name.to_owned(),
        remove: remove.iter().map(|name| name.get_ref().0.clone()).collect(),
        set,
        cors: answers::cors(written.cors.value()),
        server_timing: written.server_timing.value().and_then(|timing| timing.sampling_rate.value()).map(|rate| rate.0),
    }
}

fn one(name: &str, value: String, overrides: &Opt<bool>) -> SetHeader {
    SetHeader { name: name.to_owned(), value, overrides: overrides.value().copied().unwrap_or(true), tls_only: false }
}

fn security(written: &schema::SecurityHeaders) -> Vec<SetHeader> {
    let mut set = Vec::new();
    if let Some(table) = written.content_security_policy.value()
        && let Some(value) = table.value.value()
    {
        set.push(one("content-security-policy", value.0.clone(), &table.overrides));
    }
    if let Some(table) = written.content_type_options.value() {
        set.push(one("x-content-type-options", "nosniff".to_owned(), &table.overrides));
    }
    if let Some(table) = written.frame_options.value()
        && let Some(value) = table.value.value()
    {
        set.push(one("x-frame-options", value.0.to_owned(), &table.overrides));
    }
    if let Some(table) = written.referrer_policy.value()
        && let Some(value) = table.value.value()
    {
        set.push(one("referrer-policy", value.0.to_owned(), &table.overrides));
    }
    if let Some(table) = written.strict_transport_security.value()
        && let Some(age) = table.max_age.value()
    {
        let mut value = format!("max-age={}", age.0.as_secs());
        for (wanted, word) in [(&table.include_subdomains, "; includeSubDomains"), (&table.preload, "; preload")] {
            if wanted.value() == Some(&true) {
                value.push_str(word);
            }
        }
        set.push(SetHeader { tls_only: true, ..one("strict-transport-security", value, &table.overrides) });
    }
    if let Some(table) = written.xss_protection.value() {
        let mut value = if table.protection.value() == Some(&true) { "1" } else { "0" }.to_owned();
        if table.mode_block.value() == Some(&true) {
            value.push_str("; mode=block");
        }
        if let Some(uri) = table.report_uri.value() {
            value.push_str("; report=");
            value.push_str(&uri.0);
        }
        set.push(one("x-xss-protection", value, &table.overrides));
    }
    set
}

/// CloudFront's values. Only `nosniff` takes the place of what the origin says.
fn preset(name: &str) -> ResponseHeadersPolicy {
    let set = |name: &str, value: &str, overrides| SetHeader {
        name: name.to_owned(),
        value: value.to_owned(),
        overrides,
        tls_only: name == "strict-transport-security",
    };
    let security = [
        set("referrer-policy", "strict-origin-when-cross-origin", false),
        set("strict-transport-security", "max-age=31536000", false),
        set("x-content-type-options", "nosniff", true),
        set("x-frame-options", "SAMEORIGIN", false),
        set("x-xss-protection", "1; mode=block", false),
    ];
    ResponseHeadersPolicy {
        name: name.to_owned(),
        remove: Vec::new(),
        set: if name.ends_with("SecurityHeadersPolicy") { security.to_vec() } else { Vec::new() },
        cors: preset_cors(name),
        server_timing: None,
    }
}

fn preset_cors(name: &str) -> Option<Cors> {
    if !name.contains("CORS") || !PRESETS.contains(&name) {
        return None;
    }
    let preflight = name.to_ascii_lowercase().contains("with-preflight");
    let words =
        |words: &[&str]| if preflight { words.iter().map(|&word| word.to_owned()).collect() } else { Vec::new() };
    Some(Cors {
        origins: vec![OriginPattern::parse("*").ok()?],
        methods: words(&["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]),
        headers: Vec::new(),
        expose: words(&["*"]),
        credentials: false,
        max_age: None,
        overrides: false,
    })
}
