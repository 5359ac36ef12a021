//! What hard purges took out of service leaves its room, without being asked for.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;

use super::sweep::Pauses;
use super::tests::*;
use super::*;
use crate::purge::{Mode, Scope, Tags, Target};
use crate::{KeyBuilder, MethodClass};

const BODY: usize = 20_000;
const OBJECTS: usize = 150;

fn key(path: &str) -> CacheKey {
    let mut key = KeyBuilder::new("shop", MethodClass::Read);
    key.path(path.as_bytes());
    key.into_key()
}

async fn is_hit(storage: &'static MokaStorage, path: &str) -> bool {
    if storage.lookup(&key(path), &span()).await.unwrap().is_some() {
        return true;
    }
    let mut meta = meta_with(&[(CONTENT_LENGTH, "20000")]);
    let tag = path.trim_start_matches('/').split('-').next().unwrap_or_default();
    let tags = Tags::of(&http::HeaderMap::new(), &[], [tag]);
    meta.extensions_mut().insert(Label { mark: storage.purges().mark(), tags });
    let mut miss = storage.get_miss_handler(&key(path), &meta, &span()).await.unwrap();
    miss.write_body(Bytes::from(vec![b'x'; BODY]), true).await.unwrap();
    miss.finish().await.unwrap();
    storage.settle();
    false
}

async fn hits(storage: &'static MokaStorage, name: &str) -> usize {
    let mut hits = 0;
    for number in 0..OBJECTS {
        hits += usize::from(is_hit(storage, &format!("/{name}-{number}")).await);
    }
    hits
}

fn item(target: Target) -> Item {
    Item { scope: Scope::Distribution("shop".to_owned()), target }
}

async fn sweep(storage: &'static MokaStorage) {
    let pauses = Pauses { step: Duration::from_millis(1), round: Duration::from_millis(1) };
    storage.begin_sweep_with(pauses).expect("none is at work").run().await;
}

#[tokio::test]
async fn what_is_purged_leaves_its_room_to_what_is_new() {
    let prefix = |text: &str| Target::Prefix(text.to_owned());
    for target in [prefix(""), prefix("/old"), Target::Tag("old".to_owned())] {
        // Room for all of one kind, and not for those of two.
        let storage = MokaStorage::leak(4 << 20, 1 << 20);
        for _ in 0..30 {
            hits(storage, "old").await;
        }
        assert_eq!(storage.entry_count(), OBJECTS as u64);
        storage.purges().purge(&[item(target.clone())], Mode::Hard, at(1_500));
        sweep(storage).await;
        assert_eq!((storage.entry_count(), storage.stats().removed), (0, OBJECTS as u64), "{target:?}");
        hits(storage, "new").await;
        assert_eq!(hits(storage, "new").await, OBJECTS, "{target:?}: as in an empty cache");
    }
}

#[tokio::test]
async fn what_is_softly_purged_or_not_purged_stays() {
    let storage = MokaStorage::leak(64 << 20, 1 << 20);
    hits(storage, "soft").await;
    hits(storage, "kept").await;
    hits(storage, "gone").await;
    storage.purges().purge(&[item(Target::Prefix("/soft".to_owned()))], Mode::Soft, at(1_500));
    storage.purges().purge(&[item(Target::Prefix("/gone".to_owned()))], Mode::Hard, at(1_500));
    sweep(storage).await;
    assert_eq!(storage.entry_count(), 2 * OBJECTS as u64);
    assert!(storage.lookup(&key("/soft-0"), &span()).await.unwrap().is_some());
    assert!(storage.lookup(&key("/kept-0"), &span()).await.unwrap().is_some());
}

#[tokio::test]
async fn one_sweep_sees_to_the_purges_that_come_while_it_is_at_work() {
    let storage = MokaStorage::leak(64 << 20, 1 << 20);
    for name in ["a", "b", "c", "d", "e"] {
        hits(storage, name).await;
    }
    let pauses = Pauses { step: Duration::from_millis(400), round: Duration::from_millis(1) };
    storage.purges().purge(&[item(Target::Prefix("/a".to_owned()))], Mode::Hard, at(1_500));
    let first = storage.begin_sweep_with(pauses).expect("none is at work");
    let first = tokio::spawn(first.run());
    // Its first step is done, and what it has looked at is purged now.
    tokio::time::sleep(Duration::from_millis(50)).await;
    storage.purges().purge(&[item(Target::Prefix("/".to_owned()))], Mode::Hard, at(1_600));
    assert!(storage.begin_sweep_with(pauses).is_none(), "there is one at a time");
    first.await.unwrap();
    assert_eq!(storage.entry_count(), 0);
    drop(storage.begin_sweep_with(pauses).expect("the last one has ended"));
    assert!(storage.begin_sweep_with(pauses).is_some(), "one that was cut off is no longer at work");
}
