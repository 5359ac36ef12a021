//! Certificates from an authority by ACME (RFC 8555): ordered, proven, kept on disk, renewed. The protocol is instant-acme's;
//! challenges are answered by the listeners that are there.
//!
//! Nothing here waits on the way of a request: a request looks at one number, a handshake at one list of protocols.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use edgeweir_config::HostPattern;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

mod challenges;
mod http;
mod keeper;
mod order;
mod plan;
mod store;

pub use challenges::Challenges;
pub(crate) use http::roots;
pub(crate) use keeper::keep;

use crate::tls::{Shown, TlsError, slot};
use store::Store;

/// Where on a site an authority looks (RFC 8555, section 8.3).
pub const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";

/// What lives as long as the process: certificates that were fetched, challenges that wait for the authority.
#[derive(Debug)]
pub struct Registry {
    challenges: Arc<Challenges>,
    store: Store,
    /// By [`id`].
    fetched: Mutex<HashMap<String, Arc<Shown>>>,
    stand_ins: Mutex<HashMap<Vec<String>, Arc<Shown>>>,
}

/// The registry, for certificates of one authority.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access<'a> {
    pub(crate) registry: &'a Registry,
    /// URL of its directory.
    pub(crate) directory: &'a str,
}

impl Registry {
    /// With its files in the state folder.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self {
            challenges: Arc::default(),
            store: Store::in_folder(state_dir),
            fetched: Mutex::default(),
            stand_ins: Mutex::default(),
        }
    }

    /// Challenges that wait for the authority.
    #[must_use]
    pub fn challenges(&self) -> &Arc<Challenges> {
        &self.challenges
    }

    fn keep(&self, id: &str, shown: &Arc<Shown>) {
        self.fetched.lock().insert(id.to_owned(), Arc::clone(shown));
    }

    /// Forgets, in memory, what the configuration does not want any more.
    fn retain(&self, wanted: &[(String, Vec<String>)]) {
        self.fetched.lock().retain(|known, _| wanted.iter().any(|(id, _)| id == known));
        self.stand_ins.lock().retain(|known, _| wanted.iter().any(|(_, names)| names == known));
    }
}

impl Access<'_> {
    pub(crate) fn challenges(self) -> Arc<Challenges> {
        Arc::clone(&self.registry.challenges)
    }

    /// The certificate for these names, if there is one; it is read from disk the first time.
    pub(crate) fn fetched(self, names: &[String]) -> Option<Arc<Shown>> {
        let id = id(self.directory, names);
        if let Some(known) = self.registry.fetched.lock().get(&id) {
            return Some(Arc::clone(known));
        }
        let shown = match self.registry.store.certificate(&id) {
            Ok(found) => Arc::new(found?),
            Err(error) => {
                let error = crate::fault::chain(&error);
                tracing::error!(names = names.join(","), %error, "a certificate in the state folder is fetched again");
                return None;
            }
        };
        self.registry.keep(&id, &shown);
        Some(shown)
    }

    /// As [`Self::fetched`], without a look at the disk.
    pub(crate) fn known(self, names: &[String]) -> Option<Arc<Shown>> {
        self.registry.fetched.lock().get(&id(self.directory, names)).cloned()
    }

    /// What is shown for these names until there is a certificate; the same each time.
    pub(crate) fn stand_in(self, names: &[String]) -> Result<Arc<Shown>, TlsError> {
        if let Some(known) = self.registry.stand_ins.lock().get(names) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(slot::stand_in(names)?);
        self.registry.stand_ins.lock().insert(names.to_vec(), Arc::clone(&made));
        Ok(made)
    }
}

/// The names of a certificate that is fetched, in lower case and in order.
pub(crate) fn names(hosts: &[HostPattern]) -> Vec<String> {
    let mut names: Vec<String> = hosts.iter().map(|host| host.as_str().to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What a certificate of this authority for these names is called in the state folder.
fn id(directory: &str, names: &[String]) -> String {
    let first = names.first().map_or("", String::as_str);
    let readable: String =
        first.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.' || *c == '-').take(64).collect();
    format!("{}-{}", readable.trim_start_matches('.'), hash(&[directory, &names.join(",")]))
}

/// 16 hexadecimal digits that tell lists of texts apart.
fn hash(texts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(text);
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
