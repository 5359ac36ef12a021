//! Which files changed since they were looked at. By looking: a notification of the kernel does not come from network
//! folders and from many container mounts, is lost for a file that an editor replaces, and a developer's few files cost
//! next to nothing to look at.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What tells one state of a file from the next: inode, size, and the time of the content. Not the time of the inode: cargo
/// changes it when a build fails, because what it makes is a link to another file. None if there is no file.
type Stamp = Option<(u64, u64, (i64, i64))>;

/// Files under watch.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    seen: BTreeMap<PathBuf, Stamp>,
    /// Changed at the last look, and perhaps still being written.
    moving: BTreeSet<PathBuf>,
}

impl Stamps {
    /// Watches these files from now on. One that was watched before keeps the state in which it was seen.
    pub(super) fn watch(&mut self, files: BTreeSet<PathBuf>) {
        let mut old = std::mem::take(&mut self.seen);
        self.moving.retain(|path| files.contains(path));
        self.seen = files
            .into_iter()
            .map(|path| {
                let stamp = old.remove(&path).unwrap_or_else(|| stamp(&path));
                (path, stamp)
            })
            .collect();
    }

    /// Looks at all files; gives those that changed once they stay as they are from one look to the next, so that a file
    /// that is being written is not read half.
    pub(super) fn changed(&mut self) -> BTreeSet<PathBuf> {
        let mut quiet = true;
        for (path, seen) in &mut self.seen {
            let now = stamp(path);
            if *seen != now {
                *seen = now;
                self.moving.insert(path.clone());
                quiet = false;
            }
        }
        if quiet { std::mem::take(&mut self.moving) } else { BTreeSet::new() }
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some((found.ino(), found.len(), (found.mtime(), found.mtime_nsec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_when_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&a, "1").unwrap();
        let mut stamps = Stamps::default();
        stamps.watch([a.clone(), b.clone()].into());
        assert!(stamps.changed().is_empty());
        std::fs::write(&a, "22").unwrap();
        assert!(stamps.changed().is_empty(), "it may still be written");
        std::fs::write(&b, "new").unwrap();
        assert!(stamps.changed().is_empty(), "something moves still");
        assert_eq!(stamps.changed(), [a.clone(), b].into());
        assert!(stamps.changed().is_empty());
        // As editors and compilers do it.
        std::fs::write(folder.path().join("fresh"), "33").unwrap();
        std::fs::rename(folder.path().join("fresh"), &a).unwrap();
        stamps.watch([a.clone()].into());
        assert!(stamps.changed().is_empty());
        assert_eq!(stamps.changed(), [a.clone()].into());
        std::fs::remove_file(&a).unwrap();
        assert!(stamps.changed().is_empty());
        assert_eq!(stamps.changed(), [a].into());
    }
}
