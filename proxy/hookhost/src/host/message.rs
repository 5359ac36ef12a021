//! Interfaces `request` and `response`: lazy reads, with the header fields that hooks may not see left out.

use http::HeaderMap;

use crate::bindings::imports::types::Header;
use crate::bindings::imports::{request, response, types};
use crate::rules::is_disallowed;
use crate::state::CallState;
use crate::{Fact, Stage};

mod parse;

pub use parse::{cookie_value, query_value};

impl types::Host for CallState {}

impl CallState {
    /// Its answers are kept by what it read: there all that it sees counts.
    fn is_authorizer(&self) -> bool {
        self.stage == Some(Stage::Authorizer)
    }
}

impl request::Host for CallState {
    fn method(&mut self) -> wasmtime::Result<String> {
        self.read(Fact::Method);
        Ok(self.request()?.method().into())
    }

    fn scheme(&mut self) -> wasmtime::Result<String> {
        self.read(Fact::Scheme);
        Ok(self.request()?.scheme().into())
    }

    fn authority(&mut self) -> wasmtime::Result<String> {
        self.read(Fact::Authority);
        Ok(self.request()?.authority().into())
    }

    fn path(&mut self) -> wasmtime::Result<String> {
        self.read(Fact::Path);
        Ok(self.request()?.path().into())
    }

    fn query(&mut self) -> wasmtime::Result<Option<String>> {
        self.read(Fact::Query);
        Ok(self.request()?.query().map(Into::into))
    }

    fn header_values(&mut self, mut name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        name.make_ascii_lowercase();
        if let Some(reads) = &mut self.reads {
            reads.header(&name);
        }
        Ok(values(self.request()?.headers(), &name))
    }

    fn headers(&mut self) -> wasmtime::Result<Vec<Header>> {
        self.read(Fact::AllHeaders);
        Ok(fields(self.request()?.headers()))
    }

    fn header_names(&mut self) -> wasmtime::Result<Vec<String>> {
        self.read(Fact::AllHeaders);
        let names = self.request()?.headers().keys().map(|name| name.as_str());
        Ok(names.filter(|name| !is_disallowed(name)).map(Into::into).collect())
    }

    fn cookie(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        if let Some(reads) = &mut self.reads {
            reads.cookie(&name);
        }
        Ok(cookie_value(self.request()?.headers(), &name))
    }

    fn query_param(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        if let Some(reads) = &mut self.reads {
            reads.query_param(&name);
        }
        Ok(self.request()?.query().and_then(|query| query_value(query, &name)))
    }

    fn peek_header_values(&mut self, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        if self.is_authorizer() {
            return request::Host::header_values(self, name);
        }
        Ok(values(self.request()?.headers(), &name.to_ascii_lowercase()))
    }

    fn peek_headers(&mut self) -> wasmtime::Result<Vec<Header>> {
        if self.is_authorizer() {
            return request::Host::headers(self);
        }
        Ok(fields(self.request()?.headers()))
    }

    fn peek_query(&mut self) -> wasmtime::Result<Option<String>> {
        if self.is_authorizer() {
            return request::Host::query(self);
        }
        Ok(self.request()?.query().map(Into::into))
    }
}

impl response::Host for CallState {
    fn status(&mut self) -> wasmtime::Result<u16> {
        Ok(self.response()?.status())
    }

    fn header_values(&mut self, mut name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        name.make_ascii_lowercase();
        Ok(values(self.response()?.headers(), &name))
    }

    fn headers(&mut self) -> wasmtime::Result<Vec<Header>> {
        Ok(fields(self.response()?.headers()))
    }

    fn cache_outcome(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.response()?.cache_outcome().map(Into::into))
    }
}

/// All values of a field; `name` is lower case.
fn values(headers: &HeaderMap, name: &str) -> Vec<Vec<u8>> {
    if is_disallowed(name) {
        return Vec::new();
    }
    headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect()
}

/// All fields that a hook may see.
fn fields(headers: &HeaderMap) -> Vec<Header> {
    let mut out = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        if !is_disallowed(name.as_str()) {
            out.push(Header { name: name.as_str().into(), value: value.as_bytes().to_vec() });
        }
    }
    out
}
