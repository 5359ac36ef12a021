//! One start at a time with one state folder: who starts asks who has the folder's admin socket, and takes the socket only when
//! all else is done. Of two that start in the same instant both would find it free.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// The file that is locked, in the state folder. It stays there: removing it would make it two files.
const FILE: &str = "start.lock";
/// How long one waits for another's start: it may have to compile large hooks.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is tried.
const EVERY: Duration = Duration::from_millis(50);

/// The right to start; given back when it is dropped, or when the process ends, however it does.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

/// Waits for it.
///
/// # Errors
/// What the system says, or `TimedOut` if another edge's start does not come to an end.
pub(super) async fn take(state_dir: &Path) -> io::Result<Turn> {
    let path = state_dir.join(FILE);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let wait = async {
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(EVERY).await,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(locked) => locked.map(|()| Turn(file)),
        Err(_late) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, "another edge has been starting with it for a minute"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let first = take(folder.path()).await.unwrap();
        let second = take(folder.path());
        tokio::pin!(second);
        assert!(tokio::time::timeout(EVERY * 3, &mut second).await.is_err(), "it waits");
        drop(first);
        second.await.unwrap();
        assert!(take(&folder.path().join("none")).await.is_err());
    }
}
