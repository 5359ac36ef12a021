//! The cache key: the parts a policy selects, each with a tag and its length, in one buffer.
//!
//! No two different requests share a key by running into each other: every part says how long it is, so the bytes can
//! be taken apart again in one way only. What is in the key of a query or of cookies is exactly what
//! [`filtered_query`] and [`filtered_cookies`] give to forward, so that an origin cannot answer by something the key
//! does not have. This module must not know policies by name, nor what the parts mean.

mod cookies;
mod parts;
mod query;
mod selection;

use http::{HeaderMap, HeaderName, Method};
use pingora::cache::CacheKey;

pub use cookies::{Forwarded, filtered_cookies, forwarded_cookies};
pub use parts::KeyPart;
pub(crate) use parts::{RawPart, raw as raw_parts};
pub use query::filtered_query;
pub use selection::{Names, Selection};

/// Methods that share stored objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MethodClass {
    /// GET and HEAD: a HEAD is answered from what a GET stored (RFC 9110 §9.3.2).
    Read,
    /// OPTIONS, kept apart as CloudFront does.
    Options,
}

impl MethodClass {
    /// The class of a method; `None` for those that are never looked up.
    pub fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET | Method::HEAD => Some(Self::Read),
            Method::OPTIONS => Some(Self::Options),
            _ => None,
        }
    }
}

/// The tags of the parts. A part that is not in the key leaves no byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Part {
    Distribution = 1,
    Method,
    Scheme,
    Host,
    Path,
    Query,
    Header,
    Cookies,
    Extra,
}

/// Bytes of a usual key: one allocation for most requests.
const USUAL_LENGTH: usize = 256;

/// Writes a key part by part. Two keys are equal when the same parts were written in the same order with equal bytes.
#[derive(Debug, Clone)]
pub struct KeyBuilder {
    bytes: Vec<u8>,
}

impl KeyBuilder {
    /// Begins a key: `distribution` is its stable id, so that all its host names share objects.
    pub fn new(distribution: &str, method: MethodClass) -> Self {
        let mut key = Self { bytes: Vec::with_capacity(USUAL_LENGTH) };
        key.part(Part::Distribution, distribution.as_bytes());
        key.part(Part::Method, &[method as u8]);
        key
    }

    /// `http` or `https`, where the origin's answer depends on it.
    pub fn scheme(&mut self, scheme: &str) -> &mut Self {
        self.part(Part::Scheme, scheme.as_bytes());
        self
    }

    /// The viewer's host. Case does not count (RFC 9110 §4.2.3); a default port must be gone already.
    pub fn host(&mut self, host: &str) -> &mut Self {
        self.framed(Part::Host, |bytes| bytes.extend(host.bytes().map(|byte| byte.to_ascii_lowercase())));
        self
    }

    /// The path as it is forwarded, without the query.
    pub fn path(&mut self, path: &[u8]) -> &mut Self {
        self.part(Part::Path, path);
        self
    }

    /// What `selection` keeps of the query, in the order sent. Nothing kept is the same as no query.
    pub fn query(&mut self, query: Option<&str>, selection: &Selection) -> &mut Self {
        if query::keeps_any(query, selection) {
            self.framed(Part::Query, |bytes| query::write_kept(query, selection, bytes));
        }
        self
    }

    /// The values of a request header, line by line as sent. An absent one differs from an empty one.
    ///
    /// Headers must come in the same order for every request, which a policy's list does.
    pub fn header(&mut self, name: &HeaderName, request: &HeaderMap) -> &mut Self {
        self.framed(Part::Header, |bytes| {
            write_framed(bytes, name.as_str().as_bytes());
            for line in request.get_all(name) {
                write_framed(bytes, line.as_bytes());
            }
        });
        self
    }

    /// What `selection` keeps of the cookies, sorted by name. Nothing kept is the same as no cookies.
    pub fn cookies(&mut self, request: &HeaderMap, selection: &Selection) -> &mut Self {
        cookies::with_kept(request, selection, |kept| {
            if !kept.is_empty() {
                self.framed(Part::Cookies, |bytes| cookies::write_joined(kept, bytes));
            }
        });
        self
    }

    /// A further part, such as one a hook or the `Accept-Encoding` rule of a policy adds.
    pub fn extra(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.framed(Part::Extra, |bytes| {
            write_framed(bytes, name.as_bytes());
            bytes.extend_from_slice(value);
        });
        self
    }

    /// The bytes so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The parts in the order they were written, for people.
    pub fn parts(&self) -> Vec<KeyPart> {
        parts::of(&self.bytes)
    }

    /// Pingora's form of the key. It is hashed (Blake2b, 128 bits) where it is looked up.
    pub fn into_key(self) -> CacheKey {
        CacheKey::new(self.bytes, String::new())
    }

    fn part(&mut self, part: Part, value: &[u8]) {
        self.bytes.push(part as u8);
        write_framed(&mut self.bytes, value);
    }

    /// Writes a part whose length is known only after it is written.
    fn framed(&mut self, part: Part, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.push(part as u8);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTH]);
        write(&mut self.bytes);
        let written = length(self.bytes.len() - at - LENGTH);
        self.bytes[at..at + LENGTH].copy_from_slice(&written);
    }
}

/// Bytes of a length.
const LENGTH: usize = 4;

/// Four bytes are enough: a request's header block, where all parts come from, is limited to far less than 4 GiB.
fn length(bytes: usize) -> [u8; LENGTH] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

fn write_framed(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(&length(value.len()));
    bytes.extend_from_slice(value);
}

#[cfg(test)]
mod tests;
