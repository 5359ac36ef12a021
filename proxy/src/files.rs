//! Reads files that a configuration names: whole, of bounded size, and never waiting for a writer; and tells when one changed.

use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Reads a regular file; of a larger one than `limit` bytes, one byte more, so that it shows.
///
/// # Errors
/// What the system says; `InvalidInput` for anything but a regular file: opening a pipe would wait, a device never ends.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file that somebody named on the command line: a pipe too (`<(command)`, `/dev/stdin`), which may wait for its writer.
///
/// # Errors
/// What the system says; `InvalidInput` for more than `limit` bytes.
pub(crate) fn read_stream(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()).is_ok_and(|len| len <= limit) {
        true => Ok(bytes),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it has more than {limit} bytes"))),
    }
}

/// Tells one state of a file from the next: a file that was put in its place has another inode, one that was written to
/// another time or size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    len: u64,
    /// When its content was written last.
    written: (i64, i64),
    /// When anything about it changed last, its permissions too.
    changed: (i64, i64),
}

impl Stamp {
    /// Of a file as it is now.
    pub(crate) fn of(meta: &std::fs::Metadata) -> Self {
        Self {
            inode: meta.ino(),
            len: meta.len(),
            written: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// When its content was written last, in milliseconds since 1970.
    pub(crate) fn written_ms(&self) -> u64 {
        let (seconds, nanos) = self.written;
        let ms = seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000);
        u64::try_from(ms).unwrap_or(0)
    }

    /// Of what is at this path; none if nothing is.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|meta| Self::of(&meta))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn streams_are_read_to_their_end_or_bound() {
        use std::io::Write as _;
        use std::os::fd::AsRawFd as _;
        for (limit, fits) in [(5, true), (4, false)] {
            let (reader, mut writer) = std::io::pipe().unwrap();
            writer.write_all(b"12345").unwrap();
            drop(writer);
            let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
            assert_eq!(super::read_stream(path.as_ref(), limit).is_ok_and(|read| read == b"12345"), fits);
        }
    }

    #[test]
    fn only_regular_files_and_only_so_much() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(super::read(&path, 5).unwrap(), b"12345");
        assert_eq!(super::read(&path, 3).unwrap(), b"1234");
        for other in [folder.path(), std::path::Path::new("/dev/zero")] {
            assert_eq!(
                super::read(other, 5).unwrap_err().kind(),
                std::io::ErrorKind::InvalidInput,
                "{}",
                other.display()
            );
        }
    }
}
