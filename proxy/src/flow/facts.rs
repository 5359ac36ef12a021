//! Facts about the viewer, as fields carry them (CloudFront: "Add CloudFront request headers").

use std::fmt::Write as _;
use std::sync::Arc;

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue};
use pingora::http::RequestHeader;

use super::context::RequestCtx;
use crate::snapshot::{Behavior, ViewerFact, ViewerHeader};
use crate::tls::viewers;

/// Notes what the viewer's own head says of it, before the policy or a hook changes that, and drops what it says under the
/// names of facts: those with the prefix the gate has dropped.
pub(super) fn note(behavior: &Behavior, head: &mut RequestHeader, ctx: &mut RequestCtx) {
    for name in &behavior.renamed_facts {
        head.remove_header(name);
    }
    if behavior.tells_device {
        let agent = head.headers.get(USER_AGENT).map_or(&[][..], HeaderValue::as_bytes);
        ctx.device = Some(edgeweir_hookhost::device(agent));
    }
}

/// Bytes of names that are told (CloudFront's limit).
const MAX_ORDER: usize = 7_680;

/// Notes the lines of a head as it came: before the gate.
pub(super) fn note_head(head: &RequestHeader, ctx: &mut RequestCtx) {
    let mut order = Vec::new();
    let mut add = |name: &[u8]| {
        if order.len() + name.len() < MAX_ORDER {
            order.extend_from_slice(if order.is_empty() { b"" } else { b":" });
            order.extend_from_slice(name);
        }
    };
    match head.has_case() {
        true => head.case_header_iter().for_each(|(name, _value)| add(name.as_slice())),
        // HTTP/2 knows lower case only.
        false => head.headers.keys().for_each(|name| add(name.as_str().as_bytes())),
    }
    let order = HeaderValue::from_bytes(&order).unwrap_or_else(|_invalid| HeaderValue::from_static(""));
    ctx.head_came = Some(Box::new((head.headers.len(), order)));
}

/// Tells the origin what the behavior and its policy want it to know.
pub(super) fn viewer_headers(headers: &mut HeaderMap, ctx: &mut RequestCtx) {
    if ctx.behavior().is_none_or(|behavior| behavior.viewer_headers.is_empty()) {
        return;
    }
    let snapshot = Arc::clone(&ctx.snapshot);
    let Some((distribution, behavior)) = ctx.route else { return };
    let Some(behavior) = snapshot.distributions.get(distribution).and_then(|found| found.behaviors.get(behavior))
    else {
        return;
    };
    for ViewerHeader { name, fact } in &behavior.viewer_headers {
        if fact.is_geo() && snapshot.geo.is_none() {
            continue;
        }
        if let Some(value) = viewer_fact(*fact, ctx) {
            headers.insert(name.clone(), value);
        }
    }
}

/// A fact about the viewer in CloudFront's form.
pub(super) fn viewer_fact(fact: ViewerFact, ctx: &mut RequestCtx) -> Option<HeaderValue> {
    if fact.is_device() {
        let device = ctx.device?;
        let is = match fact {
            ViewerFact::IsMobile => device.mobile,
            ViewerFact::IsTablet => device.tablet,
            ViewerFact::IsSmartTv => device.tv,
            ViewerFact::IsAndroid => device.android,
            ViewerFact::IsIos => device.ios,
            _ => device.desktop(),
        };
        return Some(HeaderValue::from_static(if is { "true" } else { "false" }));
    }
    let text = match fact {
        ViewerFact::HeaderCount => ctx.head_came.as_ref()?.0.to_string(),
        ViewerFact::HeaderOrder => return Some(ctx.head_came.as_ref()?.1.clone()),
        ViewerFact::Address => {
            let (address, port) = ctx.client;
            port.map_or_else(|| address.to_string(), |port| format!("{address}:{port}"))
        }
        ViewerFact::HttpVersion => {
            let version = match ctx.version {
                http::Version::HTTP_10 => "1.0",
                http::Version::HTTP_2 => "2.0",
                _ => "1.1",
            };
            return Some(HeaderValue::from_static(version));
        }
        ViewerFact::ForwardedProto => {
            return Some(HeaderValue::from_static(if ctx.https { "https" } else { "http" }));
        }
        ViewerFact::Ja3 | ViewerFact::Ja4 => {
            let found = ctx.conn.as_ref()?.tls.as_ref()?.fingerprints.as_ref()?;
            return Some(if fact == ViewerFact::Ja3 { found.ja3.clone() } else { found.ja4.clone() });
        }
        ViewerFact::CertPresent => {
            let shown = ctx.conn.as_ref()?.tls.as_ref().is_some_and(|tls| tls.certificate.is_some());
            return Some(HeaderValue::from_static(if shown { "1" } else { "0" }));
        }
        _ if fact.is_certificate() => viewers::fact(fact, ctx.conn.as_ref()?.tls.as_ref()?.certificate.as_deref()?)?,
        ViewerFact::Tls => {
            let tls = ctx.conn.as_ref()?.tls.as_ref()?;
            let kind = match (ctx.conn_reused, tls.resumed) {
                (true, _) => "connectionReused",
                (false, true) => "sessionResumed",
                (false, false) => "fullHandshake",
            };
            format!("{}:{}:{kind}", tls.version, tls.cipher)
        }
        _ => {
            let geo = ctx.geo()?;
            match fact {
                ViewerFact::Country => geo.country.as_ref()?.as_str().to_owned(),
                ViewerFact::Region => geo.region.as_ref()?.as_str().to_owned(),
                ViewerFact::CountryName => encoded(geo.country_name.as_deref()?),
                ViewerFact::RegionName => encoded(geo.region_name.as_deref()?),
                ViewerFact::City => encoded(geo.city.as_deref()?),
                ViewerFact::PostalCode => encoded(geo.postal.as_deref()?),
                ViewerFact::TimeZone => encoded(geo.time_zone.as_deref()?),
                ViewerFact::MetroCode => geo.metro?.to_string(),
                ViewerFact::Asn => geo.asn?.to_string(),
                ViewerFact::Latitude => format!("{:.5}", geo.location?.0),
                ViewerFact::Longitude => format!("{:.5}", geo.location?.1),
                _ => return None,
            }
        }
    };
    HeaderValue::from_str(&text).ok()
}

/// Non-ASCII text is percent-encoded, as CloudFront does.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (0x20..0x7f).contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _always = write!(out, "%{byte:02X}");
        }
    }
    out
}
