//! Requests to origins that the binding lists: `fetch = ["NAME"]`.
//!
//! ```no_run
//! use edgeweir_sdk::{Result, fetch, http};
//!
//! fn is_member(user: &str) -> Result<bool> {
//!     let request = http::Request::get(format!("/members/{user}")).header("accept", "application/json").body("")?;
//!     Ok(fetch::send("members", request)?.status().is_success())
//! }
//! # is_member("kim").unwrap();
//! ```
//!
//! The wait counts as the hook's time: set its `timeout` to what you are ready to wait. Redirects are not followed, nothing is
//! cached. Outside of the edge, as in unit tests, sending aborts: keep what is decided in functions of plain values.

use http::{HeaderName, HeaderValue, Request, Response, StatusCode};

use crate::bindings::imports::edgeweir::hook::types::Header;
use crate::bindings::optional::edgeweir::hook::fetch as host;
use crate::error::{Error, Result};

/// Sends a request to an origin of the config and waits for the whole answer. Of the URI only path and query count; the host
/// is the origin's. Any status is an answer.
///
/// # Errors
/// If the binding does not list the origin, the origin cannot be reached or answers too much, or the request has a header
/// that is the edge's: `host`, and what frames a message or holds for one connection.
pub fn send(origin: &str, request: Request<impl Into<Vec<u8>>>) -> Result<Response<Vec<u8>>> {
    let (parts, body) = request.into_parts();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| Header { name: name.as_str().to_owned(), value: value.as_bytes().to_vec() })
        .collect();
    let outgoing = host::Outgoing {
        origin: origin.to_owned(),
        method: parts.method.as_str().to_owned(),
        target: parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        headers,
        body: body.into(),
    };
    let answer = host::send(&outgoing).map_err(Error::new)?;
    let mut response = Response::new(answer.body);
    *response.status_mut() = StatusCode::from_u16(answer.status)?;
    for Header { name, value } in answer.headers {
        response.headers_mut().append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_bytes(&value)?);
    }
    Ok(response)
}
