//! Interface `body`: the request's body, which the embedder has read as far as the binding wants it.

use crate::bindings::imports::body;
use crate::state::CallState;
use crate::{Fact, Stage};

impl body::Host for CallState {
    fn read(&mut self) -> wasmtime::Result<Result<(Vec<u8>, bool), String>> {
        self.read(Fact::Body);
        let stage = self.current_stage()?;
        if !matches!(stage, Stage::ViewerRequest | Stage::OriginRequest) {
            return Ok(Err(format!("there is no request body at {stage}")));
        }
        let Some(body) = &self.call.body else {
            let message = "the binding does not grant the request body: add `request_body = true` to the binding";
            return Ok(Err(message.into()));
        };
        let (shown, cut) = body.shown();
        Ok(Ok((shown.to_vec(), cut)))
    }
}
