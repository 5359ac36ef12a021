use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG, HeaderName, LAST_MODIFIED};
use pingora::ErrorSource;
use pingora::cache::key::CompactCacheKey;
use pingora::cache::trace::Span;

use super::*;

const MB: u64 = 1 << 20;

pub(super) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn key(path: &str) -> CacheKey {
    CacheKey::new(path, "")
}

pub(super) fn meta_with(fields: &[(HeaderName, &str)]) -> CacheMeta {
    let mut header = ResponseHeader::build(200, None).unwrap();
    for (name, value) in fields {
        header.append_header(name.clone(), *value).unwrap();
    }
    CacheMeta::new(at(2_000), at(1_000), 7, 8, header)
}

pub(super) fn span() -> SpanHandle {
    Span::inactive().handle()
}

pub(super) fn store() -> &'static MokaStorage {
    MokaStorage::leak(4 * MB, MB)
}

async fn begin(storage: &'static MokaStorage, path: &str, meta: &CacheMeta) -> (MissHandler, HitHandler) {
    let miss = storage.get_miss_handler(&key(path), meta, &span()).await.unwrap();
    let (_, own) =
        storage.lookup_streaming_write(&key(path), miss.streaming_write_tag(), &span()).await.unwrap().unwrap();
    (miss, own)
}

async fn put(storage: &'static MokaStorage, path: &str, body: &[u8]) {
    let (mut miss, _own) = begin(storage, path, &meta_with(&[])).await;
    miss.write_body(Bytes::copy_from_slice(body), true).await.unwrap();
    miss.finish().await.unwrap();
}

async fn find(storage: &'static MokaStorage, path: &str) -> Option<(CacheMeta, HitHandler)> {
    storage.lookup(&key(path), &span()).await.unwrap()
}

pub(super) async fn read_all(mut hit: HitHandler) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = hit.read_body().await? {
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn is_in_flight(hit: &HitHandler) -> bool {
    hit.as_any().downcast_ref::<MokaHit>().unwrap().is_in_flight()
}

#[tokio::test]
async fn a_stored_object_is_found_with_its_meta() {
    let storage = store();
    let mut meta = meta_with(&[(ETAG, "\"a\""), (CONTENT_LENGTH, "5")]);
    meta.set_variance([9; 16]);
    meta.set_epoch_override(at(990));
    let (mut miss, own) = begin(storage, "/a", &meta).await;
    miss.write_body(Bytes::from_static(b"hel"), false).await.unwrap();
    miss.write_body(Bytes::from_static(b"lo"), true).await.unwrap();
    miss.finish().await.unwrap();
    assert_eq!(storage.stats().in_flight_bytes, 5);
    assert_eq!(read_all(own).await.unwrap(), b"hello");

    let (found, hit) = find(storage, "/a").await.unwrap();
    assert_eq!(found.headers(), meta.headers());
    assert_eq!((found.created(), found.epoch(), found.fresh_until()), (at(1_000), at(990), at(2_000)));
    assert_eq!((found.stale_while_revalidate_sec(), found.stale_if_error_sec()), (7, 8));
    assert_eq!(found.variance(), Some([9; 16]));
    assert!(!is_in_flight(&hit));
    assert_eq!(read_all(hit).await.unwrap(), b"hello");
    assert!(find(storage, "/b").await.is_none());
    let stats = storage.stats();
    assert_eq!((stats.in_flight, stats.in_flight_bytes, stats.aborted), (0, 0, 0));
}

#[tokio::test]
async fn readers_stream_along_with_the_writer() {
    let storage = store();
    let (mut miss, own) = begin(storage, "/a", &meta_with(&[])).await;
    miss.write_body(Bytes::from_static(b"one,"), false).await.unwrap();
    let (_, mut early) = find(storage, "/a").await.unwrap();
    assert!(is_in_flight(&early) && !early.can_seek());
    assert_eq!(early.read_body().await.unwrap().unwrap(), "one,");

    let early = tokio::spawn(read_all(early));
    let own = tokio::spawn(read_all(own));
    tokio::task::yield_now().await;
    assert!(!early.is_finished());
    miss.write_body(Bytes::from_static(b"two,"), false).await.unwrap();
    let (_, late) = find(storage, "/a").await.unwrap();
    miss.write_body(Bytes::from_static(b"three"), true).await.unwrap();
    miss.finish().await.unwrap();

    assert_eq!(early.await.unwrap().unwrap(), b"two,three");
    assert_eq!(own.await.unwrap().unwrap(), b"one,two,three");
    assert_eq!(read_all(late).await.unwrap(), b"one,two,three");
    assert!(!is_in_flight(&find(storage, "/a").await.unwrap().1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_on_other_threads_get_the_whole_body() {
    let storage = store();
    let (mut miss, own) = begin(storage, "/a", &meta_with(&[])).await;
    let mut readers = vec![tokio::spawn(read_all(own))];
    let mut expected = Vec::new();
    for at in 0..200u8 {
        if at % 10 == 0 {
            readers.push(tokio::spawn(read_all(find(storage, "/a").await.unwrap().1)));
        }
        let piece = vec![at; 1 + usize::from(at)];
        expected.extend_from_slice(&piece);
        miss.write_body(Bytes::from(piece), false).await.unwrap();
    }
    miss.finish().await.unwrap();
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap(), expected);
    }
    assert_eq!(storage.stats().in_flight_bytes, 0);
}

#[tokio::test]
async fn an_aborted_write_is_an_error_for_its_readers() {
    let storage = store();
    let (mut miss, own) = begin(storage, "/a", &meta_with(&[])).await;
    let (_, mut other) = find(storage, "/a").await.unwrap();
    miss.write_body(Bytes::from_static(b"half"), false).await.unwrap();
    let waiting = tokio::spawn(read_all(own));
    tokio::task::yield_now().await;
    drop(miss);
    assert!(waiting.await.unwrap().is_err());
    assert_eq!(other.read_body().await.unwrap().unwrap(), "half");
    assert!(other.read_body().await.is_err());
    assert!(find(storage, "/a").await.is_none());
    assert_eq!(storage.stats().aborted, 1);
    drop(other);
    assert_eq!(storage.stats().in_flight_bytes, 0);
}

#[tokio::test]
async fn rfc9111_3_3_a_body_of_the_wrong_length_is_not_stored() {
    let storage = store();
    for body in ["four", "sixsix"] {
        let (mut miss, own) = begin(storage, "/a", &meta_with(&[(CONTENT_LENGTH, "5")])).await;
        miss.write_body(Bytes::from(body), true).await.unwrap();
        assert!(miss.finish().await.is_err());
        assert!(read_all(own).await.is_err());
        assert!(find(storage, "/a").await.is_none());
    }
    assert_eq!(storage.stats().wrong_length, 2);
}

#[tokio::test]
async fn an_empty_body_is_stored() {
    let storage = store();
    let (mut miss, own) = begin(storage, "/a", &meta_with(&[(CONTENT_LENGTH, "0")])).await;
    miss.write_body(Bytes::new(), true).await.unwrap();
    miss.finish().await.unwrap();
    assert_eq!(read_all(own).await.unwrap(), b"");
    let (_, mut hit) = find(storage, "/a").await.unwrap();
    assert!(hit.seek(0, None).is_err());
    assert_eq!(hit.read_body().await.unwrap(), None);
}

#[tokio::test]
async fn stored_objects_can_be_read_in_ranges() {
    let storage = store();
    let body: Vec<u8> = (0..700_000u32).map(|at| (at % 251) as u8).collect();
    let (mut miss, _own) = begin(storage, "/a", &meta_with(&[])).await;
    for piece in body.chunks(33_333) {
        miss.write_body(Bytes::copy_from_slice(piece), false).await.unwrap();
    }
    miss.finish().await.unwrap();
    let (_, mut hit) = find(storage, "/a").await.unwrap();
    for (start, end) in
        [(0, Some(1)), (33_332, Some(33_334)), (5, None), (699_999, Some(9_999_999)), (0, Some(700_000))]
    {
        hit.seek(start, end).unwrap();
        let mut read = Vec::new();
        while let Some(piece) = hit.read_body().await.unwrap() {
            read.extend_from_slice(&piece);
        }
        assert!(read == body[start..end.unwrap_or(body.len()).min(body.len())], "{start} {end:?}");
    }
    assert!(hit.seek(700_000, None).is_err());
}

#[tokio::test]
async fn what_grows_too_large_goes_on_to_its_reader_and_is_not_stored() {
    let storage = MokaStorage::leak(4 * MB, 1_000);
    let (mut miss, mut own) = begin(storage, "/a", &meta_with(&[])).await;
    let mut read = 0;
    for _ in 0..100 {
        miss.write_body(Bytes::from(vec![1; 100]), false).await.unwrap();
        read += own.read_body().await.unwrap().unwrap().len();
        assert!(storage.stats().in_flight_bytes <= 1_100);
    }
    // Nobody new may follow: the beginning is gone.
    assert!(find(storage, "/a").await.is_none());
    assert_eq!(storage.stats().in_flight_bytes, 0);
    miss.finish().await.unwrap();
    assert_eq!((read, own.read_body().await.unwrap()), (10_000, None));
    assert!(find(storage, "/a").await.is_none());
    assert_eq!(storage.stats().too_large, 1);
}

#[tokio::test]
async fn what_is_known_to_be_too_large_still_streams() {
    let storage = MokaStorage::leak(4 * MB, 1_000);
    let meta = meta_with(&[(CONTENT_LENGTH, "2000")]);
    assert!(!storage.fits(meta.response_header()));
    let (mut miss, own) = begin(storage, "/a", &meta).await;
    assert!(find(storage, "/a").await.is_none());
    miss.write_body(Bytes::from(vec![1; 2_000]), true).await.unwrap();
    miss.finish().await.unwrap();
    assert_eq!(read_all(own).await.unwrap().len(), 2_000);
    assert!(storage.fits(meta_with(&[(CONTENT_LENGTH, "1000")]).response_header()));
    assert!(storage.fits(meta_with(&[]).response_header()));
}

#[tokio::test]
async fn what_nobody_reads_and_nobody_stores_is_freed_at_once() {
    let storage = MokaStorage::leak(4 * MB, 1_000);
    let (mut miss, own) = begin(storage, "/a", &meta_with(&[])).await;
    miss.write_body(Bytes::from(vec![1; 900]), false).await.unwrap();
    assert_eq!(storage.stats().in_flight_bytes, 900);
    drop(own);
    assert_eq!(storage.stats().in_flight_bytes, 900, "it may still be stored");
    assert!(miss.write_body(Bytes::from(vec![1; 900]), false).await.is_err(), "it goes on for nobody");
    assert_eq!(storage.stats().in_flight_bytes, 0);
}

#[tokio::test]
async fn what_is_refused_gives_its_room_to_others() {
    let window = Window { free: 1_000, step: 100, delay: Duration::from_millis(1), steps: 3 };
    let storage = MokaStorage::leak_with(Limits { window, in_flight: 5_000, ..Limits::new(4 * MB, 10_000) });
    let (mut large, mut own) = begin(storage, "/a", &meta_with(&[])).await;
    for _ in 0..5 {
        large.write_body(Bytes::from(vec![1; 1_000]), false).await.unwrap();
    }
    // Nobody has read anything of it yet: one more does not fit.
    large.write_body(Bytes::from(vec![1; 1_000]), false).await.unwrap();
    assert_eq!(storage.stats().in_flight_bytes, 6_000, "it is told whole");
    // What is in its window leaves room.
    put(storage, "/b", &[2; 400]).await;
    assert!(find(storage, "/b").await.is_some());
    // Who leaves takes all that is kept for him along, and the write ends.
    let reader = own.as_any_mut().downcast_mut::<MokaHit>().unwrap();
    assert!(reader.is_refused() && reader.is_awaited());
    reader.leave();
    assert_eq!(storage.stats().in_flight_bytes, 0);
    let error = large.write_body(Bytes::from(vec![1; 1_000]), false).await.unwrap_err();
    assert_eq!((error.etype(), error.esource()), (&ErrorType::ConnectionClosed, &ErrorSource::Downstream));
}

#[tokio::test]
async fn a_reader_far_behind_when_its_response_is_refused_gets_all_of_it() {
    let window = Window { free: 1_000, step: 500, delay: Duration::from_millis(1), steps: 5 };
    let storage = MokaStorage::leak_with(Limits { window, ..Limits::new(4 * MB, 20_000) });
    let (mut miss, mut own) = begin(storage, "/a", &meta_with(&[])).await;
    for _ in 0..20 {
        miss.write_body(Bytes::from(vec![1; 1_000]), false).await.unwrap();
    }
    let reader = tokio::spawn(async move {
        let mut read = 0;
        // In pieces that fit its own pace: half a mebibyte at most is given at once, here all that there is.
        while let Some(piece) = own.read_body().await.unwrap() {
            read += piece.len();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        read
    });
    for _ in 0..60 {
        miss.write_body(Bytes::from(vec![1; 1_000]), false).await.unwrap();
    }
    miss.finish().await.unwrap();
    assert_eq!(reader.await.unwrap(), 80_000);
}

#[tokio::test]
async fn writes_in_flight_share_a_budget() {
    let limits = Limits { in_flight: 1_500, ..Limits::new(4 * MB, 1_000) };
    let storage = MokaStorage::leak_with(limits);
    let (mut first, _own) = begin(storage, "/a", &meta_with(&[])).await;
    let (mut second, other) = begin(storage, "/b", &meta_with(&[])).await;
    first.write_body(Bytes::from(vec![1; 900]), false).await.unwrap();
    second.write_body(Bytes::from(vec![2; 900]), false).await.unwrap();
    first.finish().await.unwrap();
    second.finish().await.unwrap();
    assert_eq!(read_all(other).await.unwrap().len(), 900);
    assert!(find(storage, "/a").await.is_some());
    assert!(find(storage, "/b").await.is_none());
    assert_eq!(storage.stats().over_budget, 1);
}

/// A window whose longest delay is 8 ms.
fn small_window() -> &'static MokaStorage {
    let window = Window { free: 1_000, step: 500, delay: Duration::from_millis(1), steps: 3 };
    MokaStorage::leak_with(Limits { window, ..Limits::new(4 * MB, 100) })
}

#[tokio::test]
async fn a_reader_that_does_not_move_is_dropped_and_memory_stays_bounded() {
    let storage = small_window();
    let (mut miss, mut own) = begin(storage, "/a", &meta_with(&[])).await;
    let mut written = 0;
    while miss.write_body(Bytes::from(vec![1; 100]), false).await.is_ok() {
        written += 100;
        // What is free, what comes with one delay after the other until it is dropped, and eight writes to a delay.
        assert!(storage.stats().in_flight_bytes <= 4_000);
        assert!(written < 10_000);
    }
    assert!(own.read_body().await.is_err());
}

#[tokio::test]
async fn a_slow_reader_does_not_take_a_quick_one_with_it() {
    let storage = small_window();
    let (mut miss, mut slow) = begin(storage, "/a", &meta_with(&[])).await;
    let (_, quick) = find(storage, "/a").await.unwrap();
    let quick = tokio::spawn(read_all(quick));
    for _ in 0..100 {
        miss.write_body(Bytes::from(vec![1; 100]), false).await.unwrap();
        tokio::task::yield_now().await;
        assert!(storage.stats().in_flight_bytes <= 4_000);
    }
    miss.finish().await.unwrap();
    assert_eq!(quick.await.unwrap().unwrap().len(), 10_000);
    assert!(slow.read_body().await.is_err());
}

#[tokio::test]
async fn a_writer_that_is_held_back_goes_on_when_its_reader_does() {
    let window = Window { free: 1_000, step: 1, delay: Duration::from_secs(3_600), steps: 1 };
    let storage = MokaStorage::leak_with(Limits { window, ..Limits::new(4 * MB, 100) });
    let (mut miss, own) = begin(storage, "/a", &meta_with(&[])).await;
    let reader = tokio::spawn(read_all(own));
    for _ in 0..100 {
        miss.write_body(Bytes::from(vec![1; 600]), false).await.unwrap();
    }
    miss.finish().await.unwrap();
    assert_eq!(reader.await.unwrap().unwrap().len(), 60_000);
}

#[tokio::test]
async fn nobody_waits_for_a_reader_that_has_its_turn_after_the_wait() {
    let window = Window { free: 1_000, step: 1, delay: Duration::from_secs(3_600), steps: 1 };
    let storage = MokaStorage::leak_with(Limits { window, ..Limits::new(4 * MB, 100) });
    let (mut miss, mut own) = begin(storage, "/a", &meta_with(&[])).await;
    let (_, other) = find(storage, "/a").await.unwrap();
    own.as_any_mut().downcast_mut::<MokaHit>().unwrap().takes_turns_with_writer();
    let other = tokio::spawn(read_all(other));
    let mut read = 0;
    for _ in 0..50 {
        // The other one keeps up as soon as there is a wait.
        for _ in 0..4 {
            miss.write_body(Bytes::from(vec![1; 600]), false).await.unwrap();
        }
        while read < 2_000 {
            read += own.read_body().await.unwrap().unwrap().len();
        }
        read -= 2_000;
    }
    miss.finish().await.unwrap();
    let rest = read_all(own).await.unwrap().len();
    assert_eq!(other.await.unwrap().unwrap().len(), 120_000);
    assert!(rest > 0);
}

#[tokio::test]
async fn a_reader_that_lags_is_dropped_and_not_the_one_that_takes_turns() {
    let storage = small_window();
    let (mut miss, mut own) = begin(storage, "/a", &meta_with(&[])).await;
    let (_, mut lagging) = find(storage, "/a").await.unwrap();
    own.as_any_mut().downcast_mut::<MokaHit>().unwrap().takes_turns_with_writer();
    let mut read = 0;
    for _ in 0..30 {
        for _ in 0..4 {
            miss.write_body(Bytes::from(vec![1; 100]), false).await.unwrap();
        }
        read += own.read_body().await.unwrap().unwrap().len();
    }
    miss.finish().await.unwrap();
    assert_eq!(read + read_all(own).await.unwrap().len(), 12_000);
    assert!(lagging.read_body().await.is_err());
}

#[tokio::test]
async fn with_lru_the_second_request_hits_also_when_the_store_is_small_and_full() {
    let storage = MokaStorage::leak_with(Limits::new(200_000, 50_000).with_eviction(Eviction::Lru));
    for round in 0..50 {
        let path = format!("/{round}");
        put(storage, &path, &vec![1; 40_000]).await;
        storage.settle();
        assert!(find(storage, &path).await.is_some(), "{path}");
        assert!(storage.weighted_size() <= 200_000);
    }
    assert_eq!(storage.entry_count(), 4);
    assert!(find(storage, "/0").await.is_none());
}

#[tokio::test]
async fn headers_weigh_too() {
    let storage = store();
    let long = "x".repeat(10_000);
    let (miss, _own) = begin(storage, "/a", &meta_with(&[(ETAG, &long)])).await;
    miss.finish().await.unwrap();
    storage.settle();
    assert!((10_000..13_500).contains(&storage.weighted_size()), "{}", storage.weighted_size());
}

#[tokio::test]
async fn limits_stay_within_what_moka_can_weigh() {
    let limits = Limits::new(u64::MAX, u64::MAX);
    assert!(limits.max_object < u64::from(u32::MAX));
    assert_eq!(Limits::new(1_000, 5_000).max_object, 1_000);
}

#[tokio::test]
async fn purge_removes_what_is_stored_and_what_is_in_flight() {
    let storage = store();
    put(storage, "/a", b"old").await;
    let compact: CompactCacheKey = key("/a").to_compact();
    let trace = span();
    let purge = || storage.purge(PurgeTarget::Active(&compact), PurgeType::Invalidation, &trace);
    let (mut miss, own) = begin(storage, "/a", &meta_with(&[])).await;
    miss.write_body(Bytes::from_static(b"new"), false).await.unwrap();
    assert_eq!(purge().await.unwrap(), PurgeOutcome::Purged(None));
    assert!(find(storage, "/a").await.is_none());
    miss.finish().await.unwrap();
    assert_eq!(read_all(own).await.unwrap(), b"new");
    assert!(find(storage, "/a").await.is_none());
    assert_eq!(purge().await.unwrap(), PurgeOutcome::NotFound);
}

#[tokio::test]
async fn a_revalidation_replaces_the_meta_and_keeps_the_body() {
    let storage = store();
    let (mut miss, _own) = begin(storage, "/a", &meta_with(&[(LAST_MODIFIED, "x"), (ETAG, "\"a\"")])).await;
    miss.write_body(Bytes::from_static(b"body"), true).await.unwrap();
    miss.finish().await.unwrap();
    let (_, reading) = find(storage, "/a").await.unwrap();

    // The length was added when the body was whole.
    let header = meta_with(&[(LAST_MODIFIED, "x"), (ETAG, "W/\"a\""), (CONTENT_LENGTH, "4")]).response_header_copy();
    let mut fresh = CacheMeta::new(at(9_000), at(1_000), 0, 0, header);
    fresh.set_epoch_override(at(8_000));
    assert!(storage.update_meta(&key("/a"), &fresh, &span()).await.unwrap());
    let (found, hit) = find(storage, "/a").await.unwrap();
    assert_eq!((found.fresh_until(), found.epoch(), found.created()), (at(9_000), at(8_000), at(1_000)));
    assert_eq!(read_all(hit).await.unwrap(), b"body");
    assert_eq!(read_all(reading).await.unwrap(), b"body");
}

#[tokio::test]
async fn a_revalidation_of_another_object_changes_nothing() {
    let storage = store();
    put(storage, "/a", b"body").await;
    let update = |meta: CacheMeta| async move { storage.update_meta(&key("/a"), &meta, &span()).await.unwrap() };
    assert!(!update(meta_with(&[(LAST_MODIFIED, "x")])).await);
    let header = meta_with(&[(CONTENT_LENGTH, "4")]).response_header_copy();
    let later = CacheMeta::new(at(9_000), at(1_001), 0, 0, header);
    assert!(!update(later).await);
    let gone = storage.update_meta(&key("/gone"), &meta_with(&[]), &span()).await.unwrap();
    assert!(!gone);
    assert_eq!(find(storage, "/a").await.unwrap().0.fresh_until(), at(2_000));
}

#[tokio::test]
async fn variants_have_slots_of_their_own() {
    let storage = store();
    let mut variant = key("/a");
    variant.set_variance_key([1; 16]);
    put(storage, "/a", b"primary").await;
    let mut miss = storage.get_miss_handler(&variant, &meta_with(&[]), &span()).await.unwrap();
    miss.write_body(Bytes::from_static(b"variant"), true).await.unwrap();
    miss.finish().await.unwrap();
    let (_, hit) = storage.lookup(&variant, &span()).await.unwrap().unwrap();
    assert_eq!(read_all(hit).await.unwrap(), b"variant");
    assert_eq!(read_all(find(storage, "/a").await.unwrap().1).await.unwrap(), b"primary");
}

#[tokio::test]
async fn two_writers_of_one_key_do_not_mix() {
    let storage = store();
    let (mut first, first_own) = begin(storage, "/a", &meta_with(&[])).await;
    let (mut second, second_own) = begin(storage, "/a", &meta_with(&[])).await;
    first.write_body(Bytes::from_static(b"first"), true).await.unwrap();
    second.write_body(Bytes::from_static(b"second"), true).await.unwrap();
    first.finish().await.unwrap();
    second.finish().await.unwrap();
    assert_eq!(read_all(first_own).await.unwrap(), b"first");
    assert_eq!(read_all(second_own).await.unwrap(), b"second");
    assert_eq!(read_all(find(storage, "/a").await.unwrap().1).await.unwrap(), b"second");
}

#[tokio::test]
async fn what_is_not_let_in_is_still_read_to_its_end_by_those_who_follow_it() {
    let storage = MokaStorage::leak(200_000, 50_000);
    for _ in 0..8 {
        for number in 0..4 {
            let path = format!("/popular/{number}");
            if find(storage, &path).await.is_none() {
                put(storage, &path, &vec![1; 40_000]).await;
            }
        }
        storage.settle();
    }
    let (mut miss, own) = begin(storage, "/once", &meta_with(&[])).await;
    let (_, follower) = find(storage, "/once").await.unwrap();
    for _ in 0..4 {
        miss.write_body(Bytes::from(vec![2; 10_000]), false).await.unwrap();
    }
    miss.finish().await.unwrap();
    storage.settle();
    assert!(find(storage, "/once").await.is_none(), "asked for less often than what it would push out");
    for number in 0..4 {
        assert!(find(storage, &format!("/popular/{number}")).await.is_some());
    }
    for reader in [own, follower] {
        assert_eq!(read_all(reader).await.unwrap(), vec![2; 40_000]);
    }
}
