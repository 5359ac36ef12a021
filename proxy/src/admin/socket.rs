//! The Unix socket in the state folder: made for the owner only, put into place by one rename, and removed at the end
//! only while it is still ours.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::AdminError;

/// Longest path that fits `sun_path` (unix(7)), without the terminator.
const MAX_PATH: usize = 107;

/// Removes the socket when it is dropped, unless another process has put its own there.
#[derive(Debug)]
pub(super) struct Guard {
    path: PathBuf,
    /// Device and inode of our socket.
    identity: (u64, u64),
}

impl Drop for Guard {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // If it cannot be removed the next edge replaces it.
            let _left_behind = fs::remove_file(&self.path);
        }
    }
}

/// Makes the folder (0700) and the socket (0600), replacing a socket that is there.
pub(super) fn bind(path: &Path) -> Result<(UnixListener, Guard), AdminError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    prepare(folder).map_err(|source| AdminError::Folder { path: folder.to_owned(), source })?;
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(AdminError::NotASocket { path: path.to_owned() }),
        _ => {}
    }
    // Bound under a name of our own first: the name that others connect to is never missing and never too open.
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}", std::process::id()));
    let fresh = PathBuf::from(fresh);
    if fresh.as_os_str().as_bytes().len() > MAX_PATH {
        return Err(AdminError::TooLong { path: path.to_owned() });
    }
    let made = make(&fresh, path);
    if made.is_err() {
        let _not_there = fs::remove_file(&fresh);
    }
    made.map_err(|source| AdminError::Socket { path: path.to_owned(), source })
}

fn make(fresh: &Path, path: &Path) -> io::Result<(UnixListener, Guard)> {
    match fs::remove_file(fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(fresh)?;
    fs::set_permissions(fresh, fs::Permissions::from_mode(0o600))?;
    let identity = identity(fresh)?;
    fs::rename(fresh, path)?;
    Ok((listener, Guard { path: path.to_owned(), identity }))
}

/// A new folder is for the owner only. One that is there is left as it is, but others must not be able to write to it:
/// they could put a socket of their own in place.
fn prepare(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & 0o022 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(mode & !0o022))?;
    }
    Ok(())
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}
