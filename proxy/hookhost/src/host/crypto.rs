//! Interface `crypto`: ring at native speed. Keys come from the hook and are never logged.

use ring::{digest, hmac};
use subtle::ConstantTimeEq;

use crate::algorithm::{Algorithm, KeyAlgorithm, secret};
use crate::bindings::imports::crypto::{self, Digest, SignatureAlgorithm};
use crate::state::CallState;

fn mac(algorithm: hmac::Algorithm, key: &[u8]) -> hmac::Key {
    hmac::Key::new(algorithm, key)
}

impl crypto::Host for CallState {
    fn hash(&mut self, algorithm: Digest, data: Vec<u8>) -> wasmtime::Result<Vec<u8>> {
        let algorithm = match algorithm {
            Digest::Sha256 => &digest::SHA256,
            Digest::Sha384 => &digest::SHA384,
            Digest::Sha512 => &digest::SHA512,
        };
        Ok(digest::digest(algorithm, &data).as_ref().to_vec())
    }

    fn hmac(&mut self, algorithm: Digest, key: Vec<u8>, data: Vec<u8>) -> wasmtime::Result<Vec<u8>> {
        let algorithm = match algorithm {
            Digest::Sha256 => hmac::HMAC_SHA256,
            Digest::Sha384 => hmac::HMAC_SHA384,
            Digest::Sha512 => hmac::HMAC_SHA512,
        };
        Ok(hmac::sign(&mac(algorithm, &key), &data).as_ref().to_vec())
    }

    fn verify(
        &mut self,
        algorithm: SignatureAlgorithm,
        key: Vec<u8>,
        data: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, String>> {
        let algorithm = match algorithm {
            SignatureAlgorithm::Hs256 => return Ok(secret(hmac::HMAC_SHA256, &key, &data, &signature)),
            SignatureAlgorithm::Hs384 => return Ok(secret(hmac::HMAC_SHA384, &key, &data, &signature)),
            SignatureAlgorithm::Hs512 => return Ok(secret(hmac::HMAC_SHA512, &key, &data, &signature)),
            SignatureAlgorithm::Rs256 => KeyAlgorithm::Rs256,
            SignatureAlgorithm::Rs384 => KeyAlgorithm::Rs384,
            SignatureAlgorithm::Rs512 => KeyAlgorithm::Rs512,
            SignatureAlgorithm::Es256 => KeyAlgorithm::Es256,
            SignatureAlgorithm::Es384 => KeyAlgorithm::Es384,
        };
        Ok(self.hook.keys().verify(algorithm, &key, &data, &signature).map_err(|error| error.to_string()))
    }

    fn verify_token(
        &mut self,
        algorithm: String,
        key: Vec<u8>,
        data: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, String>> {
        Ok(match Algorithm::named(&algorithm) {
            Some(Algorithm::Secret(algorithm)) => secret(algorithm, &key, &data, &signature),
            Some(Algorithm::Public(algorithm)) => {
                self.hook.keys().verify(algorithm, &key, &data, &signature).map_err(|error| error.to_string())
            }
            None => Err("there is no such signature algorithm".into()),
        })
    }

    fn equal(&mut self, a: Vec<u8>, b: Vec<u8>) -> wasmtime::Result<bool> {
        Ok(a.ct_eq(&b).into())
    }
}
