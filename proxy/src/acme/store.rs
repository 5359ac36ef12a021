//! The state folder's part: `acme/` has the account of each authority, each certificate with its key in one file, and when
//! an order that failed is tried again. Files are for the edge's user only and are written whole or not at all.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;
use serde::{Deserialize, Serialize};

use super::hash;
use crate::files;
use crate::tls::slot::Source;
use crate::tls::{Shown, TlsError, pem};

/// Largest file of an account or a failure, in bytes.
const MAX_SMALL: u64 = 64 << 10;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
}

/// An account with an authority.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    /// Where the authority writes to, as it was told last.
    pub(super) email: Option<String>,
    /// With the private key.
    pub(super) credentials: AccountCredentials,
}

/// Orders that failed one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Failures {
    /// So many.
    pub(super) count: u32,
    /// The next is not before this, in seconds since 1970.
    pub(super) not_before: i64,
}

impl Store {
    pub(super) fn in_folder(state_dir: &Path) -> Self {
        Self { folder: state_dir.join("acme") }
    }

    /// The account, if there is one that can be read.
    pub(super) fn account(&self, directory: &str) -> Option<Kept> {
        let path = self.account_file(directory);
        let bytes = files::read(&path, MAX_SMALL).ok()?;
        match serde_json::from_slice(&bytes) {
            Ok(kept) => Some(kept),
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "this is no account: another one is made");
                None
            }
        }
    }

    pub(super) fn keep_account(&self, directory: &str, kept: &Kept) -> io::Result<()> {
        self.write(&self.account_file(directory), &serde_json::to_vec_pretty(kept)?)
    }

    /// The authority does not know it any more.
    pub(super) fn forget_account(&self, directory: &str) {
        // It is written over by the next one anyway.
        let _best_effort = fs::remove_file(self.account_file(directory));
    }

    fn account_file(&self, directory: &str) -> PathBuf {
        self.folder.join(format!("account-{}.json", hash(&[directory])))
    }

    fn certificate_file(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.pem"))
    }

    fn failures_file(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.failures.json"))
    }

    /// A certificate, if there is one.
    pub(super) fn certificate(&self, id: &str) -> Result<Option<Shown>, TlsError> {
        let path = self.certificate_file(id);
        if !path.exists() {
            return Ok(None);
        }
        pem::read_pair(&path, &path).map(|pair| Some(Shown::new(pair, Source::Acme)))
    }

    /// Takes what the authority gave, with its key, and keeps it if the disk lets it: `Ok` has why it did not.
    ///
    /// # Errors
    /// What the authority gave is no certificate for this key.
    pub(super) fn take_certificate(
        &self,
        id: &str,
        key: &str,
        chain: &str,
    ) -> Result<(Shown, Option<io::Error>), TlsError> {
        let path = self.certificate_file(id);
        let both = format!("{}\n{chain}", key.trim_end());
        let pair = pem::parse_pair((&path, both.as_bytes()), (&path, both.as_bytes()))?;
        let kept = self.write(&path, both.as_bytes());
        Ok((Shown::new(pair, Source::Acme), kept.err()))
    }

    pub(super) fn failures(&self, id: &str) -> Failures {
        let bytes = files::read(&self.failures_file(id), MAX_SMALL).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// So that an edge that is started again and again does not use up what the authority allows.
    pub(super) fn keep_failures(&self, id: &str, failures: Failures) -> io::Result<()> {
        let path = self.failures_file(id);
        if failures.count == 0 {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        self.write(&path, &serde_json::to_vec(&failures)?)
    }

    /// Writes a file beside and renames it (rename(2) is atomic).
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let beside = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, path)?;
            fs::File::open(&self.folder)?.sync_all()
        })();
        if written.is_err() {
            // What is left of it must not pile up.
            let _best_effort = fs::remove_file(&beside);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_kept_is_private_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_folder(folder.path());
        assert!(store.certificate("a").unwrap().is_none());
        let key = rcgen::KeyPair::generate().unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        let chain = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        assert!(store.take_certificate("a", &other.serialize_pem(), &chain).is_err(), "the key is another one");
        assert!(store.certificate("a").unwrap().is_none(), "nothing was written");
        let (shown, problem) = store.take_certificate("a", &key.serialize_pem(), &chain).unwrap();
        assert!(problem.is_none());
        assert_eq!(store.certificate("a").unwrap().unwrap().key.cert, shown.key.cert);
        let failures = Failures { count: 3, not_before: 7 };
        store.keep_failures("a", failures).unwrap();
        assert_eq!((store.failures("a"), store.failures("b")), (failures, Failures::default()));
        store.keep_failures("a", Failures::default()).unwrap();
        store.keep_failures("a", Failures::default()).unwrap();
        assert_eq!(store.failures("a"), Failures::default());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder.path().join("acme")), mode(&folder.path().join("acme/a.pem"))), (0o700, 0o600));
        assert_eq!(fs::read_dir(folder.path().join("acme")).unwrap().count(), 1, "nothing is left beside");
    }

    #[test]
    fn a_disk_that_refuses_does_not_lose_the_certificate() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("acme"), "a file where the folder should be").unwrap();
        let store = Store::in_folder(folder.path());
        let key = rcgen::KeyPair::generate().unwrap();
        let chain = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        let (_, problem) = store.take_certificate("a", &key.serialize_pem(), &chain).unwrap();
        assert!(problem.is_some());
    }
}
