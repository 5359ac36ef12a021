//! Pages of other origins (Fetch, "HTTP-network-or-cache fetch" and "CORS protocol"): preflights are answered here, without key,
//! token or hook, and every answer of a behavior with a policy has its fields, errors too.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::context::RequestCtx;
use crate::snapshot::answers::Cors;

/// All fields that an origin may have said it with.
const FIELDS: [HeaderName; 6] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
];

/// Remembers who asks, where the behavior has a policy.
pub(super) fn meet(headers: &HeaderMap, ctx: &mut RequestCtx) {
    if ctx.behavior().is_some_and(|behavior| behavior.cors.is_some()) {
        ctx.web_origin = headers.get(ORIGIN).cloned();
    }
}

/// Puts on an answer what pages may do with it. Pages that may not are told nothing.
pub(super) fn tell(headers: &mut HeaderMap, ctx: &RequestCtx) {
    let Some(policy) = ctx.behavior().and_then(|behavior| behavior.cors.as_deref()) else { return };
    if policy.overrides {
        for name in &FIELDS {
            headers.remove(name);
        }
    } else if FIELDS.iter().any(|name| headers.contains_key(name)) {
        // CloudFront, "Understand response headers policies": one field of the origin's, and none is added.
        return;
    }
    vary(headers);
    let Some(allowed) = ctx.web_origin.as_ref().and_then(|origin| policy.allowed(origin)) else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    credentials(headers, policy);
    if ctx.preflight {
        preflight(headers, policy);
    } else if let Some(expose) = &policy.expose {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
    }
}

/// What only the answer to a preflight says.
fn preflight(headers: &mut HeaderMap, policy: &Cors) {
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, policy.methods.clone());
    if let Some(names) = &policy.headers {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    if let Some(age) = &policy.max_age {
        headers.insert(ACCESS_CONTROL_MAX_AGE, age.clone());
    }
}

fn credentials(headers: &mut HeaderMap, policy: &Cors) {
    if policy.credentials {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// Caches after this edge must not give one origin's answer to another.
fn vary(headers: &mut HeaderMap) {
    let said = headers.get_all(VARY).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut said = said.map(<[u8]>::trim_ascii);
    let told = said.any(|name| name == b"*" || name.eq_ignore_ascii_case(ORIGIN.as_str().as_bytes()));
    if !told {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
}
