//! Response headers policies, ready. Knows no request.

use edgeweir_config as model;
use http::{HeaderName, HeaderValue};

/// What is put on and taken off answers on their way to viewers.
#[derive(Debug)]
pub struct HeadersPolicy {
    /// Taken off first.
    pub remove: Vec<HeaderName>,
    /// Put on after that.
    pub set: Vec<SetHeader>,
    /// `Server-Timing`: on so many of a million answers.
    pub server_timing: Option<u32>,
}

/// A field that is put on.
#[derive(Debug)]
pub struct SetHeader {
    /// The field.
    pub name: HeaderName,
    /// Its value.
    pub value: HeaderValue,
    /// Take the place of what is there.
    pub overrides: bool,
    /// Only for viewers with TLS.
    pub tls_only: bool,
}

impl HeadersPolicy {
    /// Of a configuration; what no header can carry is not in one.
    #[must_use]
    pub fn new(written: &model::ResponseHeadersPolicy) -> Self {
        let name = |name: &String| HeaderName::from_bytes(name.as_bytes()).ok();
        let set = |each: &model::SetHeader| {
            Some(SetHeader {
                name: name(&each.name)?,
                value: HeaderValue::from_str(&each.value).ok()?,
                overrides: each.overrides,
                tls_only: each.tls_only,
            })
        };
        Self {
            remove: written.remove.iter().filter_map(name).collect(),
            set: written.set.iter().filter_map(set).collect(),
            server_timing: written.server_timing,
        }
    }
}
