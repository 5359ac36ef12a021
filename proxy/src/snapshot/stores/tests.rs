use super::*;
use crate::fault::chain;

fn store(path: &Path) -> Result<Store, StoreError> {
    let source = KeyValueSource::File(path.to_owned());
    Store::open(&model::KeyValueStore { name: "flags".to_owned(), source }, Arc::default())
}

fn value(store: &Store, key: &str) -> Option<String> {
    store.entries().get(key).map(|value| String::from_utf8_lossy(value).into_owned())
}

#[test]
fn what_is_no_object_of_strings_is_named_without_its_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.json");
    for (text, words) in [
        (r#"{"a": 4711}"#, "the value of \"a\" is not a string; put it in quotes at line 1"),
        (r#"{"a": null}"#, "the value of \"a\" is not a string"),
        (r#"{"a": {"b": "4711"}}"#, "the value of \"a\" is not a string"),
        (r#"["4711"]"#, "an object whose values are strings"),
        (r#"{"a": "1", "a": "2"}"#, "the key \"a\" is there twice"),
        (r#"{"": "1"}"#, "a key has 1 to 512 bytes"),
        (r#"{"a": "1"} {}"#, "trailing characters"),
        (r#"{"data": [{"key": "a", "value": 4711}]}"#, "the value of \"a\" is not a string"),
        (r#"{"data": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}"#, "the key \"a\" is there twice"),
        (r#"{"data": [{"key": "a"}]}"#, "entry 0 of \"data\" has not just"),
        (r#"{"data": [{"key": "a", "value": "4711", "x": 1}]}"#, "entry 0 of \"data\" has not just"),
        (r#"{"data": ["4711"]}"#, "entry 0 of \"data\" is not an object"),
        (r#"{"data": [], "b": "4711"}"#, "something beside the list \"data\""),
        (r#"{"b": "1", "data": []}"#, "the value of \"data\" is not a string"),
        ("", "EOF while parsing"),
        ("{\"a\": \"\u{1}\"}", "control character"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = chain(&store(&path).unwrap_err());
        assert!(error.contains("flags.json") && error.contains(words), "{text}: {error}");
        assert!(!error.contains("4711"), "{error}");
    }
    std::fs::write(&path, format!("{{\"a\": \"{}\"}}", "x".repeat(MAX_KEY_VALUE_VALUE + 1))).unwrap();
    assert!(chain(&store(&path).unwrap_err()).contains("over 1 MiB"));
    std::fs::File::create(&path).unwrap().set_len(MAX_FILE + 1).unwrap();
    assert!(chain(&store(&path).unwrap_err()).contains("over 64 MiB"));
    assert!(chain(&store(folder.path()).unwrap_err()).contains("is not a regular file"));
    assert!(chain(&store(&folder.path().join("none.json")).unwrap_err()).contains("none.json"));
}

#[test]
fn a_file_that_may_not_be_read_for_a_while_is_read_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.json");
    std::fs::write(&path, r#"{"state": "one"}"#).unwrap();
    let store = store(&path).unwrap();
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    // Neither content nor its time change: only the time of the inode says that there is something to look at.
    mode(0o000);
    let denied = std::fs::read(&path).is_err();
    match store.refresh() {
        Refreshed::Failed(StoreError::Read { .. }) => assert!(denied),
        // Nothing is denied to root, which tests may run as.
        Refreshed::Renewed(1) => assert!(!denied),
        other => panic!("{other:?}"),
    }
    assert_eq!(value(&store, "state").as_deref(), Some("one"), "what was read before stays");
    mode(0o600);
    assert!(matches!(store.refresh(), Refreshed::Renewed(1)));
    assert!(matches!(store.refresh(), Refreshed::Unchanged));
    assert_eq!(value(&store, "state").as_deref(), Some("one"));
}

#[test]
fn a_changed_file_is_read_once_and_a_broken_one_keeps_the_old_entries() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.json");
    let put = |text: &str| {
        let new = folder.path().join("new.json");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &path).unwrap();
    };
    put(r#"{"state": "one", "gone": ""}"#);
    let store = store(&path).unwrap();
    let before = store.entries();
    assert!(matches!(store.refresh(), Refreshed::Unchanged));
    put(r#"{"state": "two"}"#);
    assert!(matches!(store.refresh(), Refreshed::Renewed(1)));
    assert!(matches!(store.refresh(), Refreshed::Unchanged));
    assert_eq!((value(&store, "state").as_deref(), value(&store, "gone")), (Some("two"), None));
    assert_eq!(before.len(), 2, "whoever holds the old entries keeps them");
    put("{");
    assert!(matches!(store.refresh(), Refreshed::Failed(StoreError::Content { .. })));
    assert!(matches!(store.refresh(), Refreshed::Unchanged), "told once");
    assert_eq!(value(&store, "state").as_deref(), Some("two"));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(store.refresh(), Refreshed::Failed(StoreError::Read { .. })));
    assert!(matches!(store.refresh(), Refreshed::Unchanged));
    put(r#"{"state": "three"}"#);
    assert!(matches!(store.refresh(), Refreshed::Renewed(1)));
    assert_eq!(value(&store, "state").as_deref(), Some("three"));
    assert!(!format!("{store:?}").contains("three"));
}

#[test]
fn what_cloudfront_imports_is_taken_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.json");
    std::fs::write(&path, r#"{"data":[{"key":"a","value":"1"},{"value":"{\"x\":2}","key":"b"}]}"#).unwrap();
    let first = store(&path).unwrap();
    assert_eq!((value(&first, "a").as_deref(), value(&first, "b").as_deref()), (Some("1"), Some(r#"{"x":2}"#)));
    // A plain map may have such a key.
    std::fs::write(&path, r#"{"data": "1", "b": "2"}"#).unwrap();
    assert_eq!(value(&store(&path).unwrap(), "data").as_deref(), Some("1"));
    std::fs::write(&path, r#"{"data": []}"#).unwrap();
    assert_eq!(store(&path).unwrap().entries().len(), 0);
}
