use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

fn line(text: &str) -> Vec<u8> {
    format!("{text}\n").into_bytes()
}

#[test]
fn lines_arrive_in_order_and_reopen_follows_a_rename() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let old = folder.path().join("access.log.1");
    let lines = Lines::start("test", &LogTarget::File(path.clone()), None).unwrap();
    for number in 0..1_000 {
        lines.send(line(&number.to_string()));
    }
    assert!(lines.flush(PATIENCE));
    let text = std::fs::read_to_string(&path).unwrap();
    let expected: String = (0..1_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(text, expected);

    std::fs::rename(&path, &old).unwrap();
    lines.send(line("still old"));
    assert!(lines.flush(PATIENCE));
    assert!(!path.exists());
    lines.reopen().unwrap();
    lines.send(line("new"));
    assert!(lines.flush(PATIENCE));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
    assert!(std::fs::read_to_string(&old).unwrap().ends_with("still old\n"));
    assert_eq!((lines.counters().dropped(), lines.counters().failed()), (0, 0));
}

#[test]
fn a_target_that_cannot_be_opened_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    let lines = Lines::start("test", &LogTarget::File(path.clone()), None).unwrap();
    let bad = LogTarget::File(folder.path().join("none/b.log"));
    let error = lines.set_target(&bad).unwrap_err().to_string();
    assert!(error.contains("none/b.log"), "{error}");
    lines.send(line("kept"));
    assert!(lines.flush(PATIENCE));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept\n");

    lines.set_target(&LogTarget::Off).unwrap();
    assert!(!lines.enabled());
    lines.set_target(&LogTarget::File(path)).unwrap();
    assert!(lines.enabled());
}

#[test]
fn a_full_disk_is_counted_and_harms_nobody() {
    let lines = Lines::start("test", &LogTarget::File(PathBuf::from("/dev/full")), None).unwrap();
    for _ in 0..10 {
        lines.send(line("lost"));
    }
    assert!(lines.flush(PATIENCE));
    assert_eq!(lines.counters().failed(), 10);
}

#[test]
fn too_many_bytes_are_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    let lines = Lines::start("test", &LogTarget::File(path.clone()), None).unwrap();
    lines.send(vec![b'x'; MAX_BYTES + 1]);
    assert_eq!(lines.counters().dropped(), 1);
    lines.send(line("small"));
    assert!(lines.flush(PATIENCE));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "small\n");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the writer's end cannot be waited for")]
fn what_waits_is_written_after_the_near_end_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    let lines = Lines::start("test", &LogTarget::File(path.clone()), None).unwrap();
    let weak = Arc::downgrade(&lines.shared);
    lines.send(line("last"));
    drop(lines);
    for _ in 0..1_000 {
        if weak.strong_count() == 0 {
            break;
        }
        thread::sleep(GATHER);
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "last\n");
}
