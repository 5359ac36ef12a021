//! Interface `origins`: the origin of the call, and the choice of another one, which is kept until the hook returns.

use serde_json::{Map, Value, json};

use crate::bindings::imports::origins;
use crate::fault::cut;
use crate::rules::{self, Allowed};
use crate::state::CallState;
use crate::{OriginFacts, Stage};

/// Longest error that a hook is told, in bytes.
const MAX_ERROR: usize = 1024;

impl origins::Host for CallState {
    fn current(&mut self) -> wasmtime::Result<Option<String>> {
        self.current_stage()?;
        Ok(self.call.origin.as_deref().map(described))
    }

    fn choose(&mut self, choice: String) -> wasmtime::Result<Result<(), String>> {
        let stage = self.current_stage()?;
        if !matches!(stage, Stage::ViewerRequest | Stage::OriginRequest) {
            return Ok(Err(format!("an origin cannot be chosen at {stage}")));
        }
        Ok(match rules::choice(&choice, Allowed::by(&self.call)) {
            Ok(chosen) => {
                self.chosen = chosen;
                Ok(())
            }
            Err(why) => Err(cut(why, MAX_ERROR).into_string()),
        })
    }
}

fn described(origin: &OriginFacts) -> String {
    let mut said = Map::new();
    let ms = |time: std::time::Duration| json!(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    said.insert("name".into(), json!(origin.name));
    said.insert("scheme".into(), json!(if origin.tls { "https" } else { "http" }));
    said.insert("host".into(), json!(origin.host));
    said.insert("port".into(), json!(origin.port));
    said.insert("path".into(), json!(origin.path_prefix));
    if let Some(region) = &origin.region {
        said.insert("region".into(), json!(region));
    }
    said.insert("connect-timeout".into(), ms(origin.connect_timeout));
    said.insert("read-timeout".into(), ms(origin.read_timeout));
    said.insert("keepalive-timeout".into(), ms(origin.keepalive));
    Value::Object(said).to_string()
}
