//! A stored object: its header, parsed, and its body in blocks. It must not know moka or writes in flight.

use std::hash::{BuildHasherDefault, Hasher};
use std::mem::size_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LAST_MODIFIED, TRANSFER_ENCODING};
use pingora::cache::key::{CacheHashKey, HashBinary};
use pingora::cache::{CacheKey, CacheMeta};
use pingora::http::ResponseHeader;

use super::forms::Forms;
use super::header;
use super::room::{ARC, allocated};
use crate::compress::{self, Coding};
use crate::purge::{Identity, Judgement, Label, Mark, Place, Purges};

/// Keys are hashes already: hashing them again would be waste.
pub(super) type KeyHasher = BuildHasherDefault<FoldHasher>;

/// Folds a 128-bit key to 64 bits.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct FoldHasher(u64);

impl Hasher for FoldHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        let [low, high] = [key as u64, (key >> 64) as u64];
        self.0 = low ^ high;
    }
}

/// Which slot of a cache key an object lies in: the first variant takes the primary one, further ones have their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Primary,
    Variant,
}

impl Slot {
    pub(super) fn of(key: &CacheKey) -> Self {
        if key.variance_bin().is_some() { Self::Variant } else { Self::Primary }
    }
}

/// Names a body in the store. Put among a `CacheMeta`'s extensions it says which body that metadata is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectId(pub(super) u64);

/// What pingora keeps in a `CacheMeta`, which cannot be cloned: taken apart here and put together for each hit.
#[derive(Debug)]
pub(super) struct Meta {
    id: ObjectId,
    header: ResponseHeader,
    fresh_until: SystemTime,
    created: SystemTime,
    provenance: SystemTime,
    epoch: SystemTime,
    stale_while_revalidate: u32,
    stale_if_error: u32,
    variance: Option<HashBinary>,
    identity: Arc<Identity>,
    place: Place,
    label: Label,
}

/// Header fields that a 304 does not change and that differ between most bodies.
const SAME_BODY: [HeaderName; 4] = [CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_TYPE, LAST_MODIFIED];

impl Meta {
    pub(super) fn of(meta: &CacheMeta, key: &CacheKey, id: ObjectId, purges: &Purges) -> Self {
        let bytes = key.primary_key();
        Self::under(meta, Arc::new(Identity::of_key(bytes)), purges.place(bytes), id)
    }

    fn under(meta: &CacheMeta, identity: Arc<Identity>, place: Place, id: ObjectId) -> Self {
        Self {
            id,
            identity,
            place,
            label: meta.extensions().get::<Label>().cloned().unwrap_or_default(),
            header: header::compact(meta.response_header()),
            fresh_until: meta.fresh_until(),
            created: meta.created(),
            provenance: meta.provenance(),
            epoch: meta.epoch(),
            stale_while_revalidate: meta.stale_while_revalidate_sec(),
            stale_if_error: meta.stale_if_error_sec(),
            variance: meta.variance(),
        }
    }

    /// Pingora's form. It has no way to set the provenance, the time before which a variant is too old for its
    /// primary object, except as `created`; and of a primary object pingora asks only the provenance, of a variant
    /// only `created`. So each slot gets the one it is asked for. The age does not depend on it: the epoch is set.
    ///
    /// What was softly purged went stale then, if not before.
    pub(super) fn rebuild(&self, slot: Slot, purged: Option<SystemTime>) -> CacheMeta {
        let mut meta = CacheMeta::new(
            purged.map_or(self.fresh_until, |purged| purged.min(self.fresh_until)),
            self.created_in(slot),
            self.stale_while_revalidate,
            self.stale_if_error,
            self.header.clone(),
        );
        meta.set_epoch_override(self.epoch);
        if let Some(variance) = self.variance {
            meta.set_variance(variance);
        }
        meta
    }

    /// When the fetch began that brought or confirmed this.
    pub(super) fn mark(&self) -> Mark {
        self.label.mark
    }

    /// Whether its URL was invalidated since then.
    pub(super) fn is_touched(&self, purges: &Purges) -> bool {
        purges.is_touched(self.place, self.label.mark)
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn tags(&self) -> &crate::purge::Tags {
        &self.label.tags
    }

    /// What purges since `since` say of this.
    pub(super) fn judge(&self, purges: &Purges, since: u64) -> Judgement {
        purges.judge(&self.identity, &self.label.tags, since)
    }

    /// With the length that turned out, if the header names none: hits need no chunks then, and can be cut into ranges.
    pub(super) fn with_length(meta: &Arc<Self>, length: usize) -> Arc<Self> {
        if matches!(meta.header.status.as_u16(), 204 | 304) || meta.header.headers.contains_key(CONTENT_LENGTH) {
            return Arc::clone(meta);
        }
        let mut header = meta.header.clone();
        drop(header.remove_header(&TRANSFER_ENCODING));
        // Fails for more fields than pingora takes, and one has just gone.
        let _always = header.insert_header(CONTENT_LENGTH, length);
        let (identity, label) = (Arc::clone(&meta.identity), meta.label.clone());
        Arc::new(Self { header, identity, label, ..**meta })
    }

    pub(super) fn header(&self) -> &ResponseHeader {
        &self.header
    }

    pub(super) fn is_fresh(&self, now: SystemTime) -> bool {
        now < self.fresh_until
    }

    /// The same for a coded form of the body; without a length while that is not known.
    pub(super) fn coded(&self, coding: Coding, length: Option<usize>) -> Self {
        let mut header = self.header.clone();
        match length {
            Some(length) => compress::describe(&mut header, coding, length),
            None => compress::describe_unsized(&mut header, coding),
        }
        let (identity, label) = (Arc::clone(&self.identity), self.label.clone());
        Self { header, identity, label, ..*self }
    }

    pub(super) fn created(&self) -> SystemTime {
        self.created
    }

    pub(super) fn id(&self) -> ObjectId {
        self.id
    }

    /// Whether it was stale from its first moment, and may not answer while it is fetched again: it is there to be checked on
    /// each use.
    pub(super) fn is_never_fresh(&self) -> bool {
        self.fresh_until <= self.epoch && self.stale_while_revalidate == 0
    }

    /// The length the header promises; `None` when it does not or when the status has no body.
    pub(super) fn declared_length(&self) -> Option<u64> {
        declared_length(&self.header)
    }

    /// Whether `meta`, made from this one by a revalidation, still describes this object's body.
    pub(super) fn describes_same_body(&self, meta: &CacheMeta) -> bool {
        if let Some(id) = meta.extensions().get::<ObjectId>() {
            return *id == self.id && self.variance == meta.variance();
        }
        let created = [self.created_in(Slot::Primary), self.created_in(Slot::Variant)];
        let same = |name| self.header.headers.get_all(name).iter().eq(meta.headers().get_all(name).iter());
        created.contains(&meta.created()) && self.variance == meta.variance() && SAME_BODY.iter().all(same)
    }

    /// Whether `meta` is about the same form: if a coded one was revalidated, its header is not that of the plain body.
    pub(super) fn has_coding_of(&self, meta: &CacheMeta) -> bool {
        let of = |headers: &http::HeaderMap| headers.get(CONTENT_ENCODING).cloned();
        of(&self.header.headers) == of(meta.headers())
    }

    fn created_in(&self, slot: Slot) -> SystemTime {
        match slot {
            Slot::Primary => self.provenance,
            Slot::Variant => self.created,
        }
    }

    /// Bytes that it takes, with the header's fields and the names for purges.
    fn weight(&self) -> usize {
        let itself = allocated(ARC + size_of::<Self>()) + allocated(ARC + size_of::<Identity>());
        itself + header::weight(&self.header) + allocated(self.identity.weight()) + allocated(self.label.tags.weight())
    }
}

/// See [`Meta::declared_length`]. 204 and 304 end with their header whatever it says (RFC 9112 §6.3).
pub(super) fn declared_length(header: &ResponseHeader) -> Option<u64> {
    if matches!(header.status.as_u16(), 204 | 304) {
        return None;
    }
    header.headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// A header with its body. Both are shared: an object replaced by a fresher one stays whole for those who read it.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) meta: Arc<Meta>,
    pub(super) body: Body,
    /// The generation up to which no purge was about it.
    checked: AtomicU64,
    /// Invalidations by unsafe methods up to when none was about it.
    untouched: AtomicU64,
    /// Until when it answers although it is stale, in nanoseconds of the edge's clock; zero if nothing says so.
    pub(super) answers_until: AtomicU64,
    pub(super) forms: Forms,
}

/// A stored object, to be looked at.
#[derive(Debug)]
pub struct Stored(pub(super) Arc<Object>);

impl Stored {
    /// Its header.
    pub fn header(&self) -> &ResponseHeader {
        &self.0.meta.header
    }

    /// Which variant it is.
    pub fn variance(&self) -> Option<HashBinary> {
        self.0.meta.variance
    }

    /// Names its body.
    pub fn id(&self) -> ObjectId {
        self.0.meta.id
    }

    /// When its fetch began.
    pub fn mark(&self) -> Mark {
        self.0.meta.mark()
    }

    /// Lets it answer until then although it is stale: the origin just failed to say something newer. In nanoseconds of a
    /// clock that never goes back. What takes its place, also by a revalidation, knows nothing of this.
    pub fn answer_until(&self, nanos: u64) {
        self.0.answers_until.store(nanos, Ordering::Relaxed);
    }

    /// Until when it answers although it is stale; zero if nothing says so.
    pub fn answers_until(&self) -> u64 {
        self.0.answers_until.load(Ordering::Relaxed)
    }

    /// Makes metadata be about this very object.
    pub fn claim(&self, meta: &mut CacheMeta) {
        meta.extensions_mut().insert(self.0.meta.id);
        if let Some(variance) = self.0.meta.variance {
            meta.set_variance(variance);
        }
    }
}

/// What an entry costs in moka: its nodes, its place in the map, and what is free between all these, as measured with
/// `examples/memory.rs`.
const ENTRY: usize = 320;

impl Object {
    pub(super) fn new(meta: Arc<Meta>, body: Body) -> Self {
        let checked = AtomicU64::new(meta.mark().generation);
        // None is as many as there will never be: the first look-up looks.
        Self {
            meta,
            body,
            checked,
            untouched: AtomicU64::new(u64::MAX),
            answers_until: AtomicU64::new(0),
            forms: Forms::default(),
        }
    }

    /// A new object, of which these codings are being made.
    pub(super) fn coded_in(meta: Arc<Meta>, body: Body, codings: u8) -> Self {
        Self { forms: Forms::being_made(codings), ..Self::new(meta, body) }
    }

    /// The same with other coded forms.
    pub(super) fn with_forms(&self, forms: Forms) -> Self {
        Self { forms, ..Self::new(Arc::clone(&self.meta), self.body.clone()) }
    }

    /// The same body under a header that a revalidation made. It keeps the tags it had.
    pub(super) fn refreshed(&self, meta: &CacheMeta) -> Self {
        let fresh = Meta::under(meta, Arc::clone(&self.meta.identity), self.meta.place, self.meta.id);
        let mut label = fresh.label.clone();
        label.tags = self.meta.label.tags.joined(&label.tags);
        let fresh = Meta { created: self.meta.created, provenance: self.meta.provenance, label, ..fresh };
        let forms = self.forms.refreshed(&fresh);
        Self { forms, ..Self::new(Arc::new(fresh), self.body.clone()) }
    }

    /// The same, stale since `now` at the latest. A `retired` one never answers stale any more.
    pub(super) fn expired(&self, now: SystemTime, retired: bool) -> Self {
        let meta = &*self.meta;
        let (header, identity, label) = (meta.header.clone(), Arc::clone(&meta.identity), meta.label.clone());
        let mut meta = Meta { header, identity, label, fresh_until: meta.fresh_until.min(now), ..*meta };
        if retired {
            (meta.stale_while_revalidate, meta.stale_if_error) = (0, 0);
        }
        Self { forms: self.forms.refreshed(&meta), ..Self::new(Arc::new(meta), self.body.clone()) }
    }

    /// Whether a purge or an unsafe method took it out of service: two comparisons, unless there was one since it was last
    /// looked at.
    pub(super) fn judge(&self, purges: &Purges, generation: u64) -> Judgement {
        let touches = purges.touches();
        if self.untouched.load(Ordering::Relaxed) != touches {
            if self.meta.is_touched(purges) {
                return Judgement::Gone;
            }
            self.untouched.store(touches, Ordering::Relaxed);
        }
        let checked = self.checked.load(Ordering::Relaxed);
        if checked == generation {
            return Judgement::Untouched(generation);
        }
        let judgement = self.meta.judge(purges, checked);
        if let Judgement::Untouched(until) = judgement {
            self.checked.store(until, Ordering::Relaxed);
        }
        judgement
    }

    /// Bytes for moka. The limits keep a body under 4 GiB.
    pub(super) fn weight(&self) -> u32 {
        let itself = ENTRY + allocated(ARC + size_of::<Self>());
        u32::try_from(itself + self.meta.weight() + self.body.weight() + self.forms.weight()).unwrap_or(u32::MAX)
    }
}

/// A body in blocks of its own memory.
#[derive(Debug, Clone)]
pub(super) struct Body {
    blocks: Arc<[Block]>,
    len: usize,
}

#[derive(Debug)]
struct Block {
    /// Where in the body the block ends.
    end: usize,
    bytes: Bytes,
}

/// What shares a block once it was read.
const BLOCK_OWNER: usize = 32;
/// Bodies up to this size are one block: one write to the viewer.
const ONE_BLOCK: usize = 256 << 10;
/// Smaller pieces are copied together; larger ones are kept as they came.
const SMALL_PIECE: usize = 16 << 10;

impl Body {
    /// Packs the pieces of a response. Small ones are copied into blocks: they are often slices that would hold a read
    /// buffer many times their size.
    pub(super) fn pack(pieces: &[Bytes]) -> Self {
        let len: usize = pieces.iter().map(Bytes::len).sum();
        let small = if len <= ONE_BLOCK { usize::MAX } else { SMALL_PIECE };
        let mut packed = Vec::new();
        let mut pending = BytesMut::new();
        for (at, piece) in pieces.iter().enumerate() {
            if piece.len() < small {
                if pending.is_empty() {
                    pending.reserve(run_length(&pieces[at..], small));
                }
                pending.extend_from_slice(piece);
                if pending.len() >= ONE_BLOCK {
                    packed.push(pending.split().freeze());
                }
                continue;
            }
            if !pending.is_empty() {
                packed.push(pending.split().freeze());
            }
            packed.push(piece.clone());
        }
        if !pending.is_empty() {
            packed.push(pending.freeze());
        }
        let mut end = 0;
        let blocks = packed.into_iter().map(|bytes| {
            end += bytes.len();
            Block { end, bytes }
        });
        let blocks: Arc<[Block]> = blocks.collect();
        Self { blocks, len }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that it takes. What is read often has an owner for each block.
    fn weight(&self) -> usize {
        let blocks = self.blocks.iter().map(|block| allocated(block.bytes.len()) + BLOCK_OWNER).sum::<usize>();
        blocks + allocated(ARC + self.blocks.len() * size_of::<Block>())
    }

    /// All of it, uncopied.
    pub(super) fn pieces(&self) -> Vec<Bytes> {
        self.blocks.iter().map(|block| block.bytes.clone()).collect()
    }

    /// The next piece of the bytes from `at` to `end`; `None` at the end.
    pub(super) fn piece(&self, at: usize, end: usize) -> Option<Bytes> {
        if at >= end {
            return None;
        }
        let block = self.blocks.get(self.blocks.partition_point(|block| block.end <= at))?;
        let start = block.end - block.bytes.len();
        if start == at && block.end <= end {
            return Some(block.bytes.clone());
        }
        Some(block.bytes.slice(at - start..end.min(block.end) - start))
    }
}

/// Bytes of the small pieces at the front, as far as they make one block.
fn run_length(pieces: &[Bytes], small: usize) -> usize {
    let mut sum = 0;
    for piece in pieces {
        if piece.len() >= small || sum >= ONE_BLOCK {
            break;
        }
        sum += piece.len();
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(sizes: &[usize]) -> (Vec<Bytes>, Vec<u8>) {
        let whole: Vec<u8> = (0..sizes.iter().sum::<usize>()).map(|at| (at / 7) as u8).collect();
        let mut rest = Bytes::from(whole.clone());
        (sizes.iter().map(|size| rest.split_to(*size)).collect(), whole)
    }

    fn read(body: &Body, mut at: usize, end: usize) -> Vec<u8> {
        let mut read = Vec::new();
        while let Some(piece) = body.piece(at, end) {
            assert!(!piece.is_empty());
            at += piece.len();
            read.extend_from_slice(&piece);
        }
        read
    }

    #[test]
    fn small_bodies_are_one_block_and_large_pieces_are_not_copied() {
        let (small, whole) = pieces(&[100, 0, 20_000, 3]);
        let body = Body::pack(&small);
        assert_eq!((body.blocks.len(), read(&body, 0, body.len())), (1, whole));
        let (large, _) = pieces(&[300 << 10, 5, 6, 64 << 10]);
        let body = Body::pack(&large);
        assert_eq!(body.blocks.len(), 3);
        assert_eq!(body.blocks[0].bytes.as_ptr(), large[0].as_ptr());
        assert_eq!(Body::pack(&[]).piece(0, 0), None);
    }

    proptest! {
        #[test]
        fn any_range_of_any_pieces_reads_back(
            sizes in prop::collection::vec(0usize..40_000, 0..24), start in 0usize..500_000, length in 0usize..500_000,
        ) {
            let (pieces, whole) = pieces(&sizes);
            let body = Body::pack(&pieces);
            prop_assert_eq!(body.len(), whole.len());
            let start = start.min(whole.len());
            let end = (start + length).min(whole.len());
            prop_assert_eq!(read(&body, start, end), &whole[start..end]);
            let allocated: usize = body.blocks.iter().map(|block| block.bytes.len()).sum();
            prop_assert_eq!(allocated, whole.len());
        }
    }
}
