//! The store and its purges: what is in it, what is on its way, what is revalidated.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;

use super::tests::*;
use super::*;
use crate::purge::{Item, Label, Mode, Scope, Tags, Target};
use crate::{KeyBuilder, MethodClass};

fn key(path: &str) -> CacheKey {
    let mut key = KeyBuilder::new("shop", MethodClass::Read);
    key.path(path.as_bytes());
    key.into_key()
}

fn labelled(storage: &MokaStorage) -> CacheMeta {
    let mut meta = meta_with(&[(CONTENT_LENGTH, "4")]);
    let label = Label { mark: storage.purges().mark(), tags: Tags::default() };
    meta.extensions_mut().insert(label);
    meta
}

async fn put(storage: &'static MokaStorage, path: &str) {
    let mut miss = storage.get_miss_handler(&key(path), &labelled(storage), &span()).await.unwrap();
    miss.write_body(Bytes::from_static(b"body"), true).await.unwrap();
    miss.finish().await.unwrap();
}

async fn find(storage: &'static MokaStorage, path: &str) -> Option<(CacheMeta, HitHandler)> {
    storage.lookup(&key(path), &span()).await.unwrap()
}

fn item(path: &str) -> Item {
    Item { scope: Scope::Distribution("shop".to_owned()), target: Target::Exact(path.to_owned()) }
}

fn generation(found: &Option<(CacheMeta, HitHandler)>) -> Option<u64> {
    found.as_ref().and_then(|(_, hit)| hit.as_any().downcast_ref::<MokaHit>()).map(MokaHit::generation)
}

#[tokio::test]
async fn a_hard_purge_frees_what_is_asked_for() {
    let storage = store();
    put(storage, "/a").await;
    put(storage, "/b").await;
    assert_eq!(storage.would_purge(&[item("/a")]).objects, 1);
    assert_eq!(storage.purges().purge(&[item("/a")], Mode::Hard, at(1_500)), 1);
    assert_eq!(storage.would_purge(&[item("/a")]), Held::default(), "what is purged is not counted again");
    assert!(find(storage, "/a").await.is_none());
    assert_eq!(generation(&find(storage, "/b").await), Some(0));
    storage.settle();
    assert_eq!(storage.entry_count(), 1);
    put(storage, "/a").await;
    assert_eq!(generation(&find(storage, "/a").await), Some(1));
}

#[tokio::test]
async fn a_soft_purge_makes_stale_with_its_windows() {
    let storage = store();
    put(storage, "/a").await;
    storage.purges().purge(&[item("/a")], Mode::Soft, at(1_500));
    let (meta, _) = find(storage, "/a").await.unwrap();
    assert_eq!((meta.fresh_until(), meta.stale_while_revalidate_sec()), (at(1_500), 7));
    // Confirmed by the origin after the purge it is fresh again; before, it is not.
    let (old, new) = (meta_with(&[(CONTENT_LENGTH, "4")]), labelled(storage));
    assert!(storage.update_meta(&key("/a"), &old, &span()).await.unwrap());
    assert_eq!(find(storage, "/a").await.unwrap().0.fresh_until(), at(1_500));
    assert!(storage.update_meta(&key("/a"), &new, &span()).await.unwrap());
    assert_eq!(find(storage, "/a").await.unwrap().0.fresh_until(), at(2_000));
}

#[tokio::test]
async fn what_is_on_its_way_while_a_purge_comes_is_not_stored() {
    for mode in [Mode::Hard, Mode::Soft] {
        let storage = store();
        let mut meta = labelled(storage);
        meta.response_header_mut().remove_header(&CONTENT_LENGTH);
        let mut miss = storage.get_miss_handler(&key("/a"), &meta, &span()).await.unwrap();
        let tag = miss.streaming_write_tag().map(<[u8]>::to_vec);
        let (_, own) = storage.lookup_streaming_write(&key("/a"), tag.as_deref(), &span()).await.unwrap().unwrap();
        miss.write_body(Bytes::from_static(b"old"), false).await.unwrap();
        assert!(find(storage, "/a").await.is_some(), "followed until the purge");
        storage.purges().purge(&[item("/a")], mode, at(1_500));
        assert!(find(storage, "/a").await.is_none(), "not followed after it");
        put(storage, "/a").await;
        miss.finish().await.unwrap();
        assert_eq!(read_all(own).await.unwrap(), b"old");
        let (_, hit) = find(storage, "/a").await.unwrap();
        assert_eq!(read_all(hit).await.unwrap(), b"body", "what came after the purge stays");
        assert_eq!(storage.stats().purged, 1);
    }
}

#[tokio::test]
async fn rfc9111_4_4_what_an_unsafe_method_touched_is_gone_in_all_its_variants() {
    let storage = store();
    let variant = |cookie: &str| {
        let mut key = KeyBuilder::new("shop", MethodClass::Read);
        key.path(b"/a").extra("variant", cookie.as_bytes());
        key.into_key()
    };
    let keys = [key("/a"), variant("b"), variant("c")];
    for key in keys.iter().chain([&key("/other")]) {
        let mut miss = storage.get_miss_handler(key, &labelled(storage), &span()).await.unwrap();
        miss.write_body(Bytes::from_static(b"body"), true).await.unwrap();
        miss.finish().await.unwrap();
        assert!(storage.lookup(key, &span()).await.unwrap().is_some());
    }
    let begun = storage.get_miss_handler(&variant("d"), &labelled(storage), &span()).await.unwrap();
    storage.purges().touch(storage.purges().place(key("/a").primary_key()));
    for key in &keys {
        assert!(storage.lookup(key, &span()).await.unwrap().is_none());
    }
    assert!(find(storage, "/other").await.is_some());
    assert!(storage.lookup(&variant("d"), &span()).await.unwrap().is_none(), "begun before, not followed after");
    drop(begun);
    put(storage, "/a").await;
    assert!(find(storage, "/a").await.is_some(), "fetched since");
}
