//! Interface `jwks`: signatures of tokens, checked with keys that the embedder keeps.

use std::sync::Arc;

use crate::KeySet;
use crate::algorithm::Algorithm;
use crate::bindings::imports::jwks::{self, Outcome};
use crate::fault::cut;
use crate::jwks::Checked;
use crate::state::CallState;

/// Longest error that a hook is told, in bytes.
const MAX_ERROR: usize = 1024;

impl CallState {
    fn key_set(&self, name: &str) -> Option<Arc<dyn KeySet>> {
        let granted = self.call.grants.as_deref().map_or(&[][..], |grants| &grants.jwks);
        granted.iter().find(|(known, _)| **known == *name).map(|(_, set)| Arc::clone(set))
    }
}

impl jwks::Host for CallState {
    fn granted(&mut self, set: String) -> wasmtime::Result<bool> {
        Ok(self.key_set(&set).is_some())
    }

    async fn verify(
        &mut self,
        set: String,
        algorithm: String,
        kid: Option<String>,
        data: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<Result<Outcome, String>> {
        self.current_stage()?;
        let Some(granted) = self.key_set(&set) else {
            let name: String = set.chars().take(64).collect();
            return Ok(Err(format!(
                "the binding does not grant the key set {name:?}: add it to `jwks` of the binding"
            )));
        };
        // Before anybody is asked for keys: what a token says costs nothing but a look.
        let Some(known) = Algorithm::named(&algorithm) else { return Ok(Ok(Outcome::OtherAlgorithm)) };
        let keys = match granted.keys() {
            Ok(keys) => keys,
            Err(_none_yet) => {
                granted.renew().await;
                match granted.keys() {
                    Ok(keys) => keys,
                    Err(why) => return Ok(Err(cut(why, MAX_ERROR).into_string())),
                }
            }
        };
        let check = |keys: &crate::Jwks| keys.verify((known, &algorithm), kid.as_deref(), &data, &signature);
        let mut checked = check(&keys);
        // A token without an id may be signed with a key that is new, too.
        if checked == Checked::UnknownKey || (kid.is_none() && checked != Checked::Valid) {
            granted.renew().await;
            if let Ok(newer) = granted.keys()
                && !Arc::ptr_eq(&newer, &keys)
            {
                checked = check(&newer);
            }
        }
        Ok(Ok(match checked {
            Checked::Valid => Outcome::Valid,
            Checked::Invalid => Outcome::Invalid,
            Checked::UnknownKey => Outcome::UnknownKey,
            Checked::OtherAlgorithm => Outcome::OtherAlgorithm,
        }))
    }
}
