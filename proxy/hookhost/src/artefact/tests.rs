use std::os::unix::fs::PermissionsExt;

use super::*;

fn engine() -> wasmtime::Engine {
    wasmtime::Engine::new(&wasmtime::Config::new()).unwrap()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn what_was_written_is_read() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("a/b");
    let cache = ArtefactCache::open(&dir, &engine()).unwrap();
    assert!(cache.read(&[1; 32]).is_none());
    cache.write(&[1; 32], b"code");
    assert_eq!(cache.read(&[1; 32]).unwrap().bytes(), b"code");
    assert!(cache.read(&[2; 32]).is_none());
    assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    let files = files(&dir);
    assert_eq!(files.len(), 1, "no temporary file stays");
    assert_eq!(fs::metadata(&files[0]).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn any_damage_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let cache = ArtefactCache::open(dir.path(), &engine()).unwrap();
    cache.write(&[1; 32], b"code");
    let path = files(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, &damaged).unwrap();
        assert!(cache.read(&[1; 32]).is_none(), "bit flip at {at}");
        fs::write(&path, &whole[..at]).unwrap();
        assert!(cache.read(&[1; 32]).is_none(), "cut at {at}");
    }
    // Under another hook's name it is not that hook.
    fs::write(dir.path().join(cache.name(&[2; 32])), &whole).unwrap();
    assert!(cache.read(&[2; 32]).is_none());
    fs::write(&path, &whole).unwrap();
    assert!(cache.read(&[1; 32]).is_some());
}

#[test]
fn directories_that_others_may_write_to_are_not_used() {
    let dir = tempfile::tempdir().unwrap();
    for mode in [0o770, 0o707, 0o777] {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert!(ArtefactCache::open(dir.path(), &engine()).is_none(), "{mode:o}");
    }
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(ArtefactCache::open(&file, &engine()).is_none());
    assert!(ArtefactCache::open(Path::new("/proc/nowhere"), &engine()).is_none());
}

#[test]
fn a_directory_that_vanished_is_no_error() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("cache");
    let cache = ArtefactCache::open(&dir, &engine()).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    cache.write(&[1; 32], b"code");
    assert!(cache.read(&[1; 32]).is_none());
}

#[test]
fn the_oldest_files_go() {
    let dir = tempfile::tempdir().unwrap();
    let cache = ArtefactCache::open(dir.path(), &engine()).unwrap();
    fs::write(dir.path().join("README"), b"not ours").unwrap();
    for number in 0..MAX_FILES {
        let file = File::create(dir.path().join(format!("{number:03}.cwasm"))).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64)).unwrap();
    }
    cache.write(&[1; 32], b"code");
    assert!(cache.read(&[1; 32]).is_some());
    assert!(!dir.path().join("000.cwasm").exists());
    assert!(dir.path().join("001.cwasm").exists());
    assert_eq!(files(dir.path()).len(), MAX_FILES + 1);
}

#[test]
fn engines_with_other_settings_have_other_names() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true);
    let other = wasmtime::Engine::new(&config).unwrap();
    let cache = ArtefactCache::open(dir.path(), &engine()).unwrap();
    let same = ArtefactCache::open(dir.path(), &engine()).unwrap();
    let other = ArtefactCache::open(dir.path(), &other).unwrap();
    assert_eq!(cache.name(&[0; 32]), same.name(&[0; 32]));
    assert_ne!(cache.name(&[0; 32]), other.name(&[0; 32]));
}
