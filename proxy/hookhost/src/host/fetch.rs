//! Interface `fetch`: requests of hooks. What is asked is checked here; sending is the embedder's.

use std::sync::Arc;

use crate::Fact;
use crate::bindings::imports::fetch;
use crate::bindings::imports::types::{GeneratedResponse, Header};
use crate::fault::cut;
use crate::rules;
use crate::state::CallState;

/// Longest error that a hook is told, in bytes.
const MAX_ERROR: usize = 1024;

impl fetch::Host for CallState {
    async fn send(&mut self, request: fetch::Outgoing) -> wasmtime::Result<Result<GeneratedResponse, String>> {
        self.read(Fact::Fetch);
        self.current_stage()?;
        let granted = self.call.grants.as_ref().and_then(|grants| grants.fetch.as_ref()).map(Arc::clone);
        let Some(granted) = granted else {
            return Ok(Err("the binding does not let the hook fetch: add `fetch = [\"NAME\"]` to the binding".into()));
        };
        let outgoing = match rules::outgoing(request) {
            Ok(outgoing) => outgoing,
            Err(violation) => return Ok(Err(format!("the request {violation}"))),
        };
        let answer = granted.send(outgoing).await.map_err(|message| cut(message, MAX_ERROR).into_string());
        Ok(answer.map(|answer| GeneratedResponse {
            status: answer.status.as_u16(),
            headers: answer
                .headers
                .iter()
                .map(|(name, value)| Header { name: name.as_str().into(), value: value.as_bytes().to_vec() })
                .collect(),
            body: answer.body.into(),
        }))
    }
}
