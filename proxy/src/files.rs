//! Reads files that a configuration names: whole, of bounded size, and never waiting for a writer.

use std::io::{self, Read as _};
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

#[cfg(test)]
mod tests {
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
