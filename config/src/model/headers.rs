//! Response headers policies.

use super::Cors;

/// What is put on and taken off answers on their way to viewers.
#[derive(Debug, Clone, PartialEq)]
pub struct ResponseHeadersPolicy {
    /// Its name.
    pub name: String,
    /// Names that are taken off, lower case.
    pub remove: Vec<String>,
    /// Fields that are put on after that, each once.
    pub set: Vec<SetHeader>,
    /// Which pages of other origins may use it; behaviors have taken it over already.
    pub cors: Option<Cors>,
    /// `Server-Timing`: on so many of a million answers.
    pub server_timing: Option<u32>,
}

/// A field that is put on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetHeader {
    /// Lower case.
    pub name: String,
    /// As sent.
    pub value: String,
    /// Take the place of what is there.
    pub overrides: bool,
    /// Only for viewers with TLS (RFC 6797, 7.2).
    pub tls_only: bool,
}
