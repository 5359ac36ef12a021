//! The directory of compiled hooks: files are written whole or not at all, checked before use, and bounded in number.
//! Everything that goes wrong here is a warning and a recompile; it never stops a hook from loading.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

/// Most files kept; the oldest go first.
const MAX_FILES: usize = 256;
/// Largest file that is read, in bytes. A 10 MiB hook compiles to about 40 MB.
const MAX_FILE: u64 = 256 << 20;

/// A directory of compiled hooks, for one configuration of the engine.
pub(crate) struct ArtefactCache {
    dir: PathBuf,
    /// Tells wasmtime versions, targets and settings apart.
    compat: String,
    written: AtomicU64,
}

/// Bytes that this program's compiler made: a moment ago, or earlier and kept in its own directory, unchanged since.
pub(crate) struct Verified(Vec<u8>);

impl Verified {
    /// What the compiler returned, here or in a child process that runs this program. Nothing else may come here: see
    /// `precompiled`.
    pub(crate) fn compiled(code: Vec<u8>) -> Self {
        Self(code)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Why the directory is not used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("cannot be created or read: {0}")]
    Io(#[from] io::Error),
    #[error("is writable for group or others: mode {0:o}")]
    Mode(u32),
    #[error("belongs to another user")]
    Owner,
    #[error("is not a directory")]
    NotADirectory,
}

impl ArtefactCache {
    /// Opens or creates the directory. None, with a warning, if it cannot be used.
    pub(crate) fn open(dir: &Path, engine: &wasmtime::Engine) -> Option<Self> {
        match prepare(dir) {
            Ok(()) => {
                let mut compat = Compat(Context::new(&SHA256));
                engine.precompile_compatibility_hash().hash(&mut compat);
                let mut compat = hex(compat.0.finish().as_ref());
                compat.truncate(16);
                Some(Self { dir: dir.to_owned(), compat, written: AtomicU64::new(0) })
            }
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "compiled hooks are not cached: the directory is not usable");
                None
            }
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn name(&self, key: &[u8; 32]) -> String {
        format!("{}-{}.cwasm", hex(key), self.compat)
    }

    /// The artefact of a hook, if it is there and intact.
    pub(crate) fn read(&self, key: &[u8; 32]) -> Option<Verified> {
        let name = self.name(key);
        let path = self.dir.join(&name);
        let mut content = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut content));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a compiled hook cannot be read; it is compiled again");
                return None;
            }
        }
        let intact =
            content.split_last_chunk::<SHA256_OUTPUT_LEN>().is_some_and(|(code, sum)| seal(&name, code) == *sum);
        if !intact {
            tracing::warn!(path = %path.display(), "a compiled hook is damaged; it is compiled again");
            return None;
        }
        content.truncate(content.len() - SHA256_OUTPUT_LEN);
        Some(Verified(content))
    }

    /// Keeps an artefact.
    pub(crate) fn write(&self, key: &[u8; 32], code: &[u8]) {
        let name = self.name(key);
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!("{name}.{}-{number}.tmp", std::process::id()));
        let result = write_new(&temporary, &[code, &seal(&name, code)])
            .and_then(|()| fs::rename(&temporary, self.dir.join(&name)))
            .and_then(|()| prune(&self.dir));
        if let Err(error) = result {
            tracing::warn!(dir = %self.dir.display(), %error, "a compiled hook could not be kept");
            // The temporary file is there only if writing or renaming failed.
            drop(fs::remove_file(&temporary));
        }
    }
}

/// The checksum covers the name, so that a file that was renamed to another hook's name is not taken.
fn seal(name: &str, code: &[u8]) -> [u8; SHA256_OUTPUT_LEN] {
    let mut context = Context::new(&SHA256);
    context.update(name.as_bytes());
    context.update(code);
    let mut sum = [0; SHA256_OUTPUT_LEN];
    sum.copy_from_slice(context.finish().as_ref());
    sum
}

/// Makes the directory and sees that only its owner, who is this process's user, can write to it.
fn prepare(dir: &Path) -> Result<(), Unusable> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let meta = fs::metadata(dir)?;
    if !meta.is_dir() {
        return Err(Unusable::NotADirectory);
    }
    if meta.mode() & 0o022 != 0 {
        return Err(Unusable::Mode(meta.mode() & 0o777));
    }
    // The owner of a new file is this process's user.
    let probe = dir.join(format!("probe.{}.tmp", std::process::id()));
    write_new(&probe, &[])?;
    let owner = fs::metadata(&probe).map(|meta| meta.uid());
    fs::remove_file(&probe)?;
    if owner? == meta.uid() { Ok(()) } else { Err(Unusable::Owner) }
}

fn write_new(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()
}

/// Removes the oldest files over the limit. Temporary files that a crash left behind count as well.
fn prune(dir: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|ext| ext == "cwasm" || ext == "tmp") {
            let time = entry.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            files.push((time, path));
        }
    }
    files.sort();
    let over = files.len().saturating_sub(MAX_FILES);
    for (_, path) in files.drain(..over) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// In hexadecimal, lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Lets a `Hash` value be digested by SHA-256: `Hasher`s of std are not stable over releases.
struct Compat(Context);

impl Hasher for Compat {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests;
