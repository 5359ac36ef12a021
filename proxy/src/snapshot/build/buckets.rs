//! Origins that are a directory of this machine or a bucket.

use std::sync::Arc;

use edgeweir_config as model;
use http::HeaderValue;

use super::{Builder, secret};
use crate::origin::Origin;
use crate::sigv4::{Credentials, Signer};
use crate::statics::Directory;

impl Builder<'_> {
    /// Makes an origin what it is beside a server. A problem is reported.
    pub(super) fn special_origin(&mut self, config: &model::Config, origin: Origin, old: Option<&Origin>) -> Origin {
        let name = origin.config.name.clone();
        if let Some(path) = origin.config.directory.clone() {
            return match Directory::open(&path) {
                Ok(directory) => {
                    // Connections to a directory that stays are kept.
                    let kept = old.and_then(|old| old.directory.as_ref()).filter(|old| old.root() == directory.root());
                    let directory = kept.map_or_else(|| Arc::new(directory), Arc::clone);
                    origin.with_directory(directory)
                }
                Err(error) => {
                    let text = format!("origin `{name}`: cannot serve `{}`: {error}", path.display());
                    self.problem_at(config, &["origins", &name, "directory"], text);
                    origin
                }
            };
        }
        let Some(written) = origin.config.sigv4.clone() else { return origin };
        let mut read = |key: &str, source: &model::SecretSource| {
            let value = secret(source, self.materials.env).and_then(|text| match HeaderValue::from_str(&text) {
                Ok(value) => Ok((text, value)),
                Err(_) => Err("it has bytes that no header can carry".to_owned()),
            });
            match value {
                Ok(value) => Some(value),
                Err(problem) => {
                    let text = format!("origin `{name}`: `{key}`: {problem}");
                    self.problem_at(config, &["origins", &name, "sigv4", key], text);
                    None
                }
            }
        };
        let access_key = read("access_key", &written.access_key);
        let secret_key = read("secret_key", &written.secret_key);
        let session_token = written.session_token.as_ref().map(|token| read("session_token", token));
        let (Some((access_key, _)), Some((secret_key, _))) = (access_key, secret_key) else { return origin };
        let session_token = session_token.flatten().map(|(_, value)| value);
        let credentials = Credentials { access_key, secret_key, session_token };
        origin.with_signer(Signer::new(credentials, &written.region, &written.service, written.write, &written.query))
    }
}
