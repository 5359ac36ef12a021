//! Of tables, and of where slots are in them while tables change.

use super::*;
use crate::keys::{MAX_PRESENTED_KEY, presented};
use crate::plans::{PlanId, PlanSet, Reach};
use crate::throttle::Throttle;
use crate::ticket::{LevelKind, Levels};
use proptest::prelude::*;

/// The slot that is known before the key's usage is looked at.
fn known(found: &Found<'_>) -> Option<SlotRef> {
    let other = found.place.other.load_full().map(SlotRef::alone);
    found.row.find(found.at, |_| true).or(other)
}

fn key(name: &str, value: &str) -> Arc<Key> {
    Arc::new(Key::new(KeyHash::of(value.as_bytes()), name, name, PlanSet::default()))
}

#[test]
fn keys_are_found_by_what_is_presented() {
    let table = KeyTable::new([key("a", "key-of-a"), key("b", "key-of-b")]).unwrap();
    let find = |value: &[u8]| table.get(&presented(value)?).map(|key| key.name.to_string());
    assert_eq!(find(b"key-of-a").as_deref(), Some("a"));
    for unknown in [&b"key-of-A"[..], b"key-of-a ", b"", &[b'k'; MAX_PRESENTED_KEY + 1]] {
        assert_eq!(find(unknown), None);
    }
    assert!(presented(&[b'k'; MAX_PRESENTED_KEY]).is_some());
    assert_eq!((table.len(), KeyTable::default().is_empty()), (2, true));
}

#[test]
fn hashes_that_begin_alike_are_told_apart() {
    let hash = |last: u8| {
        let mut bytes = [0xff; 32];
        bytes[31] = last;
        KeyHash::from_bytes(bytes)
    };
    let of = |last: u8| Arc::new(Key::new(hash(last), &last.to_string(), "", PlanSet::default()));
    // All of them want the last place.
    let table = KeyTable::new((0..20).map(of)).unwrap();
    for last in 0..20 {
        assert_eq!(*table.get(&hash(last)).unwrap().id, *last.to_string());
    }
    assert!(table.get(&hash(20)).is_none());
    let table = table.changed(&[hash(3), hash(30)], vec![of(30)]);
    assert!(table.get(&hash(3)).is_none() && table.get(&hash(30)).is_some());
    assert_eq!((table.len(), table.iter().count()), (20, 20));
}

#[test]
fn a_table_gives_the_slot_that_is_in_force() {
    let plan = |id, rate| {
        let throttle = Throttle::new(rate, 10).ok();
        UsagePlan::new(PlanId(id), "p".into(), throttle, None, Reach::All)
    };
    let hash = KeyHash::of(b"1");
    let table = KeyTable::new([key("a", "1")]).unwrap();
    let slot = |table: &KeyTable, plan: &UsagePlan, snapshot| {
        table.find(&hash).unwrap().slot(plan, snapshot, Nanos::ZERO, |_made| {})
    };
    let first = slot(&table, &plan(0, 1.0), 1);
    assert!(first.is(&slot(&table, &plan(0, 1.0), 2)), "the same terms");
    // Another plan in between, and a table that was changed.
    let other = slot(&table, &plan(1, 1.0), 2);
    let changed = table.changed(&[], vec![key("b", "2")]);
    assert!(first.is(&slot(&changed, &plan(0, 1.0), 2)));
    assert!(other.is(&slot(&changed, &plan(1, 1.0), 2)));
    // Other terms: both tables know, whichever is asked first, and so does who asks with the terms of before.
    let second = slot(&changed, &plan(0, 2.0), 3);
    assert!(!first.is(&second));
    for table in [&table, &changed, &table] {
        assert!(second.is(&slot(table, &plan(0, 2.0), 3)));
        assert!(second.is(&slot(table, &plan(0, 1.0), 2)));
    }
}

#[test]
fn the_same_key_twice_is_an_error() {
    let error = KeyTable::new([key("a", "same"), key("x", "x"), key("b", "same")]);
    assert_eq!(error.unwrap_err().to_string(), "keys `a` and `b` have the same value");
}

#[test]
fn entries_do_not_show_the_whole_hash() {
    let shown = format!("{:?}", KeyTable::new([key("a", "abc")]).unwrap());
    assert!(shown.contains("ba78") && !shown.contains("ba7816"), "{shown}");
}

#[test]
fn a_key_that_goes_over_to_another_plan_is_found_with_its_slot_there() {
    let plan = |id| UsagePlan::new(PlanId(id), "p".into(), Throttle::new(1.0, 1).ok(), None, Reach::All);
    let of = |plan: u32| Key::new(KeyHash::of(b"value"), "k", "k", [PlanId(plan)].into_iter().collect());
    let slot = |table: &KeyTable, plan: &UsagePlan| {
        let found = table.find(&KeyHash::of(b"value")).unwrap();
        let slot = found.slot(plan, 1, Nanos::ZERO, |_| {});
        (slot, known(&found).map(|known| known.plan()))
    };
    let before = Arc::new(of(1));
    let table = KeyTable::new([Arc::clone(&before)]).unwrap();
    slot(&table, &plan(1));
    let after = Arc::new(of(2).that_continues(&before));
    slot(&KeyTable::new([Arc::clone(&after)]).unwrap(), &plan(2));
    let again = KeyTable::new([after]).unwrap();
    let (found, known) = slot(&again, &plan(2));
    assert_eq!((found.plan(), known), (PlanId(2), Some(PlanId(2))));
}

proptest! {
    #[test]
    fn every_key_finds_itself_and_nothing_else(
        keys in prop::collection::hash_set("[ -~]{1,40}", 1..40),
        other in "[ -~]{1,40}",
    ) {
        let keys: Vec<String> = keys.into_iter().collect();
        let table = KeyTable::new(keys.iter().map(|value| key(value, value))).unwrap();
        for value in &keys {
            let found = table.get(&presented(value.as_bytes()).unwrap()).unwrap();
            prop_assert_eq!(&*found.name, value.as_str());
        }
        prop_assert_eq!(table.get(&presented(other.as_bytes()).unwrap()).is_some(), keys.contains(&other));
    }
}

fn plan(id: u32, burst: u32) -> UsagePlan {
    UsagePlan::new(PlanId(id), "p".into(), Throttle::new(1e-9, burst).ok(), None, Reach::All)
}

fn in_plan(value: usize, id: &str) -> Key {
    Key::new(KeyHash::of(&value.to_be_bytes()), id, id, [PlanId(0)].into_iter().collect())
}

fn slot(table: &KeyTable, value: usize) -> SlotRef {
    let found = table.find(&KeyHash::of(&value.to_be_bytes())).unwrap();
    found.slot(&plan(0, 9), 1, Nanos::ZERO, |_made| {})
}

fn spend(slot: &SlotRef) {
    Levels::new().with_slot(LevelKind::Key, slot).reserve(Nanos::ZERO, 1).unwrap().commit();
}

fn left(slot: &SlotRef) -> u32 {
    let (measure, cell) = slot.with_tokens().unwrap().parts().unwrap();
    measure.remaining(cell, Nanos::ZERO)
}

/// So many keys, each with its number as id.
fn table_of(keys: usize) -> KeyTable {
    KeyTable::new((0..keys).map(|value| Arc::new(in_plan(value, &value.to_string())))).unwrap()
}

#[test]
fn a_slot_has_the_seat_of_its_key_and_a_seat_has_one_key_ever() {
    let table = table_of(40);
    let row = Arc::clone(table.row.as_ref().unwrap());
    let spent = slot(&table, 7);
    spend(&spent);
    let seat = spent.place().map(|(row, at)| (Arc::clone(row), at)).unwrap();
    assert!(
        Arc::ptr_eq(&seat.0, &row) && table.position(&KeyHash::of(&7_usize.to_be_bytes())) == Some(seat.1 as usize)
    );
    // The key goes, another one with its value comes: not the same key, so not its tokens, and not its seat.
    let hash = KeyHash::of(&7_usize.to_be_bytes());
    let changed = table.changed(&[hash], vec![Arc::new(in_plan(7, "new"))]);
    assert!(Arc::ptr_eq(changed.row.as_ref().unwrap(), &row), "there was room");
    let new = slot(&changed, 7);
    assert!(left(&new) == 9 && new.place().unwrap().1 != seat.1);
    // A request that still has the old table.
    spend(&slot(&table, 7));
    assert_eq!((left(&spent), left(&new)), (7, 9));
    // Another name, and the key is where it was.
    let key = changed.get(&KeyHash::of(&8_usize.to_be_bytes())).unwrap();
    let before = slot(&changed, 8);
    let renamed = Key::new(key.hash, "8", "a new name", key.plans.clone()).that_continues(key);
    let changed = changed.changed(&[key.hash], vec![Arc::new(renamed)]);
    let after = slot(&changed, 8);
    assert!(after.is(&before) && after.place().is_some());
    assert_eq!((&**after.meter.key_name(), changed.len()), ("a new name", 40));
}

#[test]
fn a_table_that_is_made_anew_tells_where_slots_are() {
    let table = table_of(40);
    let (used, unused) = (slot(&table, 3), 4);
    spend(&used);
    let more = (100..200).map(|value| Arc::new(in_plan(value, &value.to_string()))).collect();
    let grown = table.changed(&[], more);
    assert!(!Arc::ptr_eq(grown.row.as_ref().unwrap(), table.row.as_ref().unwrap()));
    let found = grown.find(&KeyHash::of(&3_usize.to_be_bytes())).unwrap();
    assert!(known(&found).unwrap().is(&used));
    // First used by a request that has the old table.
    let first = slot(&table, unused);
    spend(&first);
    assert!(slot(&grown, unused).is(&first));
    // Two values in one table.
    let key = grown.get(&KeyHash::of(&3_usize.to_be_bytes())).unwrap();
    let second = Arc::new(in_plan(300, "3").that_continues(key));
    let grown = grown.changed(&[], vec![second]);
    assert!(slot(&grown, 300).is(&used) && slot(&grown, 300).client() == used.client());
    assert_eq!((grown.len(), grown.iter().count()), (141, 141));
}

#[test]
fn rows_that_nobody_needs_go_and_few_are_needed() {
    let mut table = KeyTable::default();
    let mut rows = Vec::new();
    for round in 0..10 {
        // As many more as make it anew, and one of them is used.
        let first = table.len();
        let come = (first..first * 2 + 8).map(|value| Arc::new(in_plan(value, &value.to_string()))).collect();
        table = table.changed(&[], come);
        rows.push(Arc::downgrade(table.row.as_ref().unwrap()));
        spend(&slot(&table, first));
        let kept = rows.iter().filter(|row| row.strong_count() > 0).count();
        assert!(kept <= ROWS + 2, "{kept} rows in round {round}");
    }
    let gone: Vec<_> = {
        let mut hashes: Vec<_> = table.iter().map(|key| key.hash).collect();
        hashes.sort_unstable_by_key(|hash| hash.into_bytes());
        hashes
    };
    let none = table.changed(&gone, Vec::new());
    drop(table);
    assert!(none.is_empty() && none.find(&KeyHash::of(&0_usize.to_be_bytes())).is_none());
    let kept: Vec<_> = rows.iter().map(std::sync::Weak::strong_count).collect();
    assert_eq!(kept, [0; 10]);
}

/// What may happen to keys with the values 0 to 9.
#[derive(Debug, Clone)]
enum Step {
    /// A value comes, as that of a new key.
    New(usize),
    /// A value comes or changes, as that of the key that another one has.
    Continue(usize, usize),
    Gone(usize),
    /// So many others come, and those before go.
    Others(usize),
    /// A request with the table of now.
    Spend(usize),
    /// A request that has looked a value up and not been charged yet.
    Later(usize),
    /// It is charged.
    Now,
}

fn step() -> impl Strategy<Value = Step> {
    let value = || 0..10_usize;
    prop_oneof![
        value().prop_map(Step::New),
        (value(), value()).prop_map(|(new, of)| Step::Continue(new, of)),
        value().prop_map(Step::Gone),
        (0..60_usize).prop_map(Step::Others),
        value().prop_map(Step::Spend),
        value().prop_map(Step::Spend),
        value().prop_map(Step::Later),
        Just(Step::Now),
    ]
}

proptest! {
    /// Against a plain model: which key has a value, and what each key has spent.
    #[test]
    fn whatever_changes_each_key_has_spent_what_it_has(steps in prop::collection::vec(step(), 1..120)) {
        let hash = |value: usize| KeyHash::of(&value.to_be_bytes());
        let whole = |id: usize| plan(0, 1000 + id as u32 % 2);
        let seen = |table: &KeyTable, value: usize, id: usize| {
            Some(table.find(&hash(value))?.slot(&whole(id), 1, Nanos::ZERO, |_made| {}))
        };
        let (mut table, mut owners, mut spent) = (KeyTable::default(), [None; 10], Vec::new());
        let (mut others, mut later) = (Vec::new(), Vec::new());
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::New(value) => {
                    owners[value] = Some(spent.len());
                    table = table.changed(&[hash(value)], vec![Arc::new(in_plan(value, &spent.len().to_string()))]);
                    spent.push(0);
                }
                Step::Continue(value, of) => {
                    let Some(before) = table.get(&hash(of)).map(Arc::clone) else { continue };
                    owners[value] = owners[of];
                    let key = in_plan(value, &before.id).that_continues(&before);
                    table = table.changed(&[hash(value)], vec![Arc::new(key)]);
                }
                Step::Gone(value) => {
                    owners[value] = None;
                    table = table.changed(&[hash(value)], Vec::new());
                }
                Step::Others(count) => {
                    let mut gone: Vec<KeyHash> = std::mem::take(&mut others);
                    gone.sort_unstable_by_key(|hash| hash.into_bytes());
                    let come: Vec<_> = (0..count).map(|n| Arc::new(in_plan(1000 + at * 100 + n, "other"))).collect();
                    others = come.iter().map(|key| key.hash).collect();
                    table = table.changed(&gone, come);
                }
                Step::Spend(value) => {
                    let Some(id) = owners[value] else { continue };
                    spend(&seen(&table, value, id).unwrap());
                    spent[id] += 1;
                }
                Step::Later(value) => {
                    let Some(id) = owners[value] else { continue };
                    later.push((id, seen(&table, value, id).unwrap()));
                }
                Step::Now => {
                    let Some((id, slot)) = later.pop() else { continue };
                    spend(&slot);
                    spent[id] += 1;
                }
            }
        }
        for (value, owner) in owners.iter().enumerate() {
            let Some(id) = *owner else {
                prop_assert!(table.find(&hash(value)).is_none());
                continue;
            };
            let slot = seen(&table, value, id).unwrap();
            prop_assert_eq!(left(&slot), whole(id).throttle().unwrap().burst() - spent[id]);
        }
    }
}
