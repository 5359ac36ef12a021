use edgeweir_limits::{Counts, Quota};

use super::super::record::Secret;
use super::*;

fn ask(plan: &str, key: &str, number: u32) -> Ask {
    let quota = Quota { limit: 10, offset: 0, period: Period::Day, lease: 4, counts: Counts::default() };
    Ask { plan: plan.into(), key: key.into(), number, quota, left: 0, owed: 0, returned: 0 }
}

fn changed(version: u64, id: &str, values: &[&str]) -> KeyRecord {
    KeyRecord { version, ..record(id, values) }
}

fn record(id: &str, values: &[&str]) -> KeyRecord {
    KeyRecord {
        id: id.into(),
        name: format!("name of {id}"),
        description: String::new(),
        metadata: [("owner".to_owned(), "me".to_owned())].into(),
        plans: vec!["p".into()],
        enabled: true,
        created: 1,
        updated: 2,
        expires: None,
        secrets: values.iter().map(|value| Secret::of(value.as_bytes())).collect(),
        version: 0,
    }
}

#[test]
fn leases_survive_and_two_processes_share_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut one = Embedded::open(folder.path()).unwrap();
    let mut other = Embedded::open(folder.path()).unwrap();
    let granted = |store: &mut Embedded, ask: Ask| store.lease(&[ask]).unwrap()[0].granted;
    assert_eq!(granted(&mut one, ask("p", "k", 7)), 4);
    assert_eq!(granted(&mut other, ask("p", "k", 7)), 3);
    drop(one);
    let mut one = Embedded::open(folder.path()).unwrap();
    assert_eq!(granted(&mut one, ask("p", "k", 7)), 2);
    assert_eq!(granted(&mut other, ask("p", "k", 7)), 1);
    assert_eq!((granted(&mut one, ask("p", "k", 7)), granted(&mut one, ask("p", "l", 7))), (0, 4));
    assert_eq!((granted(&mut one, ask("q", "k", 7)), granted(&mut one, ask("p", "k", 8))), (4, 4));
    let back = Return { plan: "p".into(), key: "k".into(), period: Period::Day, number: 8, count: 3 };
    other.give_back(&[back]).unwrap();
    assert_eq!(one.lease(&[ask("p", "k", 8)]).unwrap()[0].leased, 5);
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_ledger_adds_up_and_is_read_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Embedded::open(folder.path()).unwrap();
    let row = |day, key: &str, requests, refused| Row { day, plan: "p".into(), key: key.into(), requests, refused };
    store.book("batch", &[row(5, "a", 1, 0), row(5, "b", 2, 1)]).unwrap();
    store.book("batch", &[row(5, "a", 3, 1), row(6, "a", 1, 0), row(9, "a", 1, 0)]).unwrap();
    let all = [row(5, "a", 4, 1), row(5, "b", 2, 1), row(6, "a", 1, 0), row(9, "a", 1, 0)];
    assert_eq!(store.ledger((0, 100), None, 100).unwrap(), all);
    assert_eq!(store.ledger((5, 6), None, 2).unwrap(), all[..2]);
    assert_eq!(store.ledger((5, 6), Some(&all[1]), 2).unwrap(), all[2..3]);
    store.forget(6).unwrap();
    assert_eq!(store.ledger((0, 100), None, 100).unwrap(), all[2..]);
}

#[test]
fn keys_change_as_a_whole_and_others_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Embedded::open(folder.path()).unwrap();
    assert_eq!(store.changes(0).unwrap(), Changes::default());
    store.change_keys(&[record("a", &["1"]), record("b", &["2"])], &[]).unwrap();
    let seen = store.changes(0).unwrap();
    assert!(seen.all && seen.revision == 2);
    // Somebody else's value: nothing of it is done.
    let error = store.change_keys(&[record("c", &["3"]), record("d", &["1"])], &[]).unwrap_err();
    assert!(matches!(&error, StoreError::Taken { id } if id == "a") && !error.is_failure(), "{error}");
    assert_eq!(store.key("c").unwrap(), None);
    let one = Secret::of(b"1").sha256;
    assert_eq!(store.key_with(&one).unwrap().as_deref(), Some("a"));
    // A rotation, a removal and a new key.
    store.change_keys(&[changed(1, "a", &["1", "4"])], &[]).unwrap();
    store.change_keys(&[changed(2, "a", &["4"]), record("e", &["1"])], &["b".into()]).unwrap();
    let changes = store.changes(2).unwrap();
    assert_eq!((changes.revision, changes.all), (6, false));
    assert_eq!(changes.gone, [Secret::of(b"2").sha256, one.clone()]);
    assert_eq!(changes.put, [changed(2, "a", &["4"]), record("e", &["1"])]);
    assert_eq!(store.keys("a", 10).unwrap(), [record("e", &["1"])]);
    assert_eq!(store.keys("", 1).unwrap(), [changed(2, "a", &["4"])]);
}

#[test]
fn a_change_never_goes_over_somebody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let mut one = Embedded::open(folder.path()).unwrap();
    let mut other = Embedded::open(folder.path()).unwrap();
    one.change_keys(&[record("a", &["1"])], &[]).unwrap();
    let disabled = KeyRecord { enabled: false, ..changed(1, "a", &["1"]) };
    one.change_keys(std::slice::from_ref(&disabled), &[]).unwrap();
    // Made from the version that was there before.
    for late in [changed(1, "a", &["1", "2"]), record("a", &["1"])] {
        let error = other.change_keys(&[record("b", &["3"]), late], &[]).unwrap_err();
        assert!(matches!(&error, StoreError::Changed { id } if id == "a") && !error.is_failure(), "{error}");
    }
    assert_eq!((other.key("a").unwrap(), other.key("b").unwrap()), (Some(disabled), None));
    one.change_keys(&[], &["a".into()]).unwrap();
    let error = other.change_keys(&[changed(2, "a", &["1"])], &[]).unwrap_err();
    assert!(matches!(error, StoreError::Changed { .. }), "what was removed stays away: {error}");
}

#[test]
fn what_is_no_database_is_told_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), vec![7; 10_000]).unwrap();
    assert!(Embedded::open(folder.path()).is_err());
    let error = Embedded::open(&folder.path().join("none")).err().unwrap();
    assert!(error.to_string().contains("none/state.redb"), "{error}");
}

#[test]
fn an_empty_file_is_one_that_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    drop(Embedded::open(folder.path()).unwrap());
    let names =
        || std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(names(), [FILE], "what it was made in is gone");
    std::fs::write(folder.path().join(FILE), "").unwrap();
    let error = Embedded::open(folder.path()).err().unwrap();
    assert!(error.to_string().ends_with("put a copy of it in its place, or remove it to begin anew"), "{error}");
    std::fs::remove_file(folder.path().join(FILE)).unwrap();
    Embedded::open(folder.path()).unwrap().check().unwrap();
}

#[test]
fn a_key_that_goes_takes_its_counters_along() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Embedded::open(folder.path()).unwrap();
    store.change_keys(&[record("k", &["one"]), record("kk", &["two"])], &[]).unwrap();
    for (plan, key) in [("a", "k"), ("b", "k"), ("b", "kk"), ("b", "config:k"), ("c d", "k")] {
        store.lease(&[ask(plan, key, 7)]).unwrap();
    }
    store.change_keys(&[], &["k".to_owned()]).unwrap();
    let transaction = store.database.begin_read().unwrap();
    let table = transaction.open_table(QUOTAS).unwrap();
    let names: Vec<String> = table.range::<&str>(..).unwrap().map(|row| row.unwrap().0.value().to_owned()).collect();
    assert_eq!(names, ["b\0config:k\0DAY", "b\0kk\0DAY"]);
}

#[test]
fn counters_of_earlier_versions_count() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Embedded::open(folder.path()).unwrap();
    let transaction = store.database.begin_write().unwrap();
    transaction.open_table(COUNTERS).unwrap().insert("p\0k\0DAY", (3, 7, 8, 6, 9)).unwrap();
    transaction.commit().unwrap();
    let leased = |store: &mut Embedded, number| store.lease(&[ask("p", "k", number)]).unwrap()[0].leased;
    assert_eq!([leased(&mut store, 7), leased(&mut store, 6), leased(&mut store, 5)], [9, 10, 0]);
    assert_eq!(leased(&mut store, 7), 10);
}
