//! Deployed versions of hooks in the state folder: `deployed/NAME/` has each version's bytes under their SHA-256, a list of
//! them, and the one that is in force. Files are written whole or not at all; bytes are checked when they are read.
//!
//! Who writes what: the command line adds versions to the list, one at a time (a lock on the list); which one is in force is
//! written by the edge that put it there, or by the command line where no edge runs.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::files;

/// Versions of a hook that are kept; the oldest goes first, never the one in force.
pub const KEPT: usize = 10;
const LIST: &str = "versions.json";
const CURRENT: &str = "current";
/// Largest list, in bytes.
const MAX_LIST: u64 = 1 << 20;

/// The versions of one hook.
#[derive(Debug, Clone)]
pub struct Versions {
    folder: PathBuf,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub id: String,
    /// When it was deployed last, in seconds since 1970.
    pub deployed: u64,
    /// Bytes.
    pub size: u64,
    /// The file that was deployed, as it was named.
    pub file: String,
}

/// Why versions cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// Nothing was deployed yet.
    #[error("nothing is deployed as `{hook}`: run `edgeweir hook deploy FILE --as {hook}`")]
    None {
        /// The hook.
        hook: String,
    },
    /// The version is not there, or not any more.
    #[error("`{hook}` has no version `{id}`: `edgeweir hook versions {hook}` lists them")]
    Unknown {
        /// The hook.
        hook: String,
        /// The version.
        id: String,
    },
    /// The bytes are not those that were deployed.
    #[error("version `{id}` is damaged on disk: deploy it again")]
    Damaged {
        /// The version.
        id: String,
    },
    /// The list cannot be understood.
    #[error("`{}` is damaged", path.display())]
    List {
        /// The list.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The disk.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> VersionError {
    let path = path.to_owned();
    move |source| VersionError::Io { path, source }
}

/// The id of some bytes.
#[must_use]
pub fn id_of(wasm: &[u8]) -> String {
    Sha256::digest(wasm).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Versions {
    /// Those of a hook, by its name in the configuration. Nothing is created.
    #[must_use]
    pub fn of(state_dir: &Path, hook: &str) -> Self {
        Self { folder: state_dir.join("deployed").join(hook) }
    }

    fn hook(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Oldest first; empty if nothing was deployed.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn list(&self) -> Result<Vec<Version>, VersionError> {
        let path = self.folder.join(LIST);
        match files::read(&path, MAX_LIST) {
            Ok(text) => serde_json::from_slice(&text).map_err(|source| VersionError::List { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed(&path)(error)),
        }
    }

    /// Id of the version in force; none if nothing was ever put in force.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn current(&self) -> Result<Option<String>, VersionError> {
        let path = self.folder.join(CURRENT);
        match files::read(&path, 128) {
            Ok(text) => Ok(Some(String::from_utf8_lossy(&text).trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path)(error)),
        }
    }

    /// The bytes of a version.
    ///
    /// # Errors
    /// When it is not there, or damaged.
    pub fn read(&self, id: &str) -> Result<Vec<u8>, VersionError> {
        let unknown = || VersionError::Unknown { hook: self.hook(), id: id.to_owned() };
        // The id may come from outside: nothing but a digest may become part of a path.
        if id.len() != 64 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(unknown());
        }
        let path = self.wasm(id);
        let limit = u64::try_from(edgeweir_hookhost::MAX_WASM).unwrap_or(u64::MAX);
        match files::read(&path, limit) {
            Ok(wasm) if id_of(&wasm) == id => Ok(wasm),
            Ok(_) => Err(VersionError::Damaged { id: id.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(unknown()),
            Err(error) => Err(failed(&path)(error)),
        }
    }

    /// The bytes of the version in force.
    ///
    /// # Errors
    /// When nothing is in force, or it cannot be read.
    pub fn read_current(&self) -> Result<Vec<u8>, VersionError> {
        match self.current()? {
            Some(id) => self.read(&id),
            None => Err(VersionError::None { hook: self.hook() }),
        }
    }

    /// Adds a version, or moves it to the end if it is there already; the oldest beyond [`KEPT`] go. Returns its id, and
    /// whether it is new. It is not in force yet.
    ///
    /// # Errors
    /// When the disk refuses; the list is as it was then.
    pub fn add(&self, wasm: &[u8], file: &str, now: SystemTime) -> Result<(String, bool), VersionError> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed(&self.folder))?;
        let _locked = self.lock()?;
        let id = id_of(wasm);
        let mut list = self.list()?;
        let new = !list.iter().any(|version| version.id == id);
        list.retain(|version| version.id != id);
        self.replace(&self.wasm(&id), wasm)?;
        let deployed = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let size = u64::try_from(wasm.len()).unwrap_or(u64::MAX);
        list.push(Version { id: id.clone(), deployed, size, file: file.to_owned() });
        let current = self.current()?;
        let mut gone = Vec::new();
        while list.len() > KEPT {
            let oldest = list.iter().position(|version| Some(&version.id) != current.as_ref() && version.id != id);
            let Some(oldest) = oldest else { break };
            gone.push(list.remove(oldest));
        }
        self.write_list(&list)?;
        for version in gone {
            // A file that stays is found by nobody.
            drop(fs::remove_file(self.wasm(&version.id)));
        }
        Ok((id, new))
    }

    /// Takes a version back that was added and not put in force.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove(&self, id: &str) -> Result<(), VersionError> {
        let _locked = self.lock()?;
        let mut list = self.list()?;
        list.retain(|version| version.id != id);
        self.write_list(&list)?;
        let path = self.wasm(id);
        fs::remove_file(&path).map_err(failed(&path))
    }

    /// Says which version is in force from now on.
    ///
    /// # Errors
    /// When the disk refuses; the version before is in force then.
    pub fn put_in_force(&self, id: &str) -> Result<(), VersionError> {
        self.replace(&self.folder.join(CURRENT), format!("{id}\n").as_bytes())
    }

    fn wasm(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.wasm"))
    }

    fn lock(&self) -> Result<File, VersionError> {
        let path = self.folder.join("lock");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed(&path))?;
        file.lock().map_err(failed(&path))?;
        Ok(file)
    }

    fn write_list(&self, list: &[Version]) -> Result<(), VersionError> {
        let path = self.folder.join(LIST);
        let text =
            serde_json::to_vec_pretty(list).map_err(|source| VersionError::List { path: path.clone(), source })?;
        self.replace(&path, &text)
    }

    /// Writes a file beside and renames it (rename(2) is atomic).
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), VersionError> {
        let beside = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, path)?;
            // So that the name is on disk too.
            File::open(&self.folder)?.sync_all()
        })();
        written.map_err(|error| {
            drop(fs::remove_file(&beside));
            failed(path)(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_kept_in_order_and_bounded() {
        let state = tempfile::tempdir().unwrap();
        let versions = Versions::of(state.path(), "hello");
        assert_eq!((versions.list().unwrap(), versions.current().unwrap()), (Vec::new(), None));
        let error = versions.read_current().unwrap_err().to_string();
        assert_eq!(error, "nothing is deployed as `hello`: run `edgeweir hook deploy FILE --as hello`");
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let (first, new) = versions.add(b"first", "a.wasm", at(5)).unwrap();
        assert!(new);
        versions.put_in_force(&first).unwrap();
        assert_eq!(versions.read_current().unwrap(), b"first");
        for number in 0..KEPT {
            versions.add(format!("{number}").as_bytes(), "b.wasm", at(6)).unwrap();
        }
        let list = versions.list().unwrap();
        assert_eq!(list.len(), KEPT);
        assert_eq!(
            (list[0].id.as_str(), list[0].deployed, list[0].size),
            (first.as_str(), 5, 5),
            "in force, so it stays"
        );
        assert!(matches!(versions.read(&id_of(b"0")), Err(VersionError::Unknown { .. })), "the oldest went");
        let (again, new) = versions.add(b"first", "a.wasm", at(7)).unwrap();
        assert_eq!((again.as_str(), new), (first.as_str(), false));
        assert_eq!(versions.list().unwrap().last().unwrap().deployed, 7);
        versions.remove(&id_of(b"9")).unwrap();
        assert_eq!(versions.list().unwrap().len(), KEPT - 1);
    }

    #[test]
    fn what_is_not_a_version_is_not_read() {
        let state = tempfile::tempdir().unwrap();
        let versions = Versions::of(state.path(), "hello");
        let (id, _) = versions.add(b"wasm", "a.wasm", UNIX_EPOCH).unwrap();
        fs::write(versions.wasm(&id), "other").unwrap();
        assert!(matches!(versions.read(&id), Err(VersionError::Damaged { .. })));
        for id in ["", "../current", "current", &"A".repeat(64), &"a".repeat(64)] {
            assert!(matches!(versions.read(id), Err(VersionError::Unknown { .. })), "{id}");
        }
        fs::write(versions.folder.join(LIST), "{").unwrap();
        assert!(matches!(versions.list(), Err(VersionError::List { .. })));
    }
}
