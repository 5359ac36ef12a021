//! Reads an object: a stored one, in ranges if asked, or one that is still being written.

use std::any::Any;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::Result;
use pingora::cache::storage::HandleHit;
use pingora::cache::trace::SpanHandle;
use pingora::cache::{CacheKey, Storage};

use super::failed;
use super::flight::Flight;
use super::object::{Meta, Object, ObjectId, Stored};
use crate::compress::Coding;
use crate::purge::Mark;

/// The reader of an object; what pingora's `HitHandler` holds.
pub struct MokaHit {
    source: Source,
    /// When it was looked up.
    seen: Mark,
    /// In which form.
    coding: Option<Coding>,
}

enum Source {
    Stored {
        object: Arc<Object>,
        at: usize,
        end: usize,
    },
    /// `None` once it has left.
    Following {
        flight: Arc<Flight>,
        reader: Option<usize>,
    },
}

impl MokaHit {
    pub(super) fn stored(object: Arc<Object>, seen: Mark) -> Self {
        let end = object.body.len();
        Self { source: Source::Stored { object, at: 0, end }, seen, coding: None }
    }

    /// A form that the store made of what it stored.
    pub(super) fn form(object: Arc<Object>, seen: Mark, coding: Option<Coding>) -> Self {
        let mut hit = Self::stored(object, seen);
        hit.coding = coding;
        hit
    }

    /// The coding that the edge put this into.
    pub fn coding(&self) -> Option<Coding> {
        self.coding
    }

    pub(super) fn following(flight: Arc<Flight>, seen: Mark, coding: Option<Coding>) -> Option<Self> {
        let reader = flight.join()?;
        Some(Self { source: Source::Following { flight, reader: Some(reader) }, seen, coding })
    }

    /// The generation of purges before the fetch began that brought or confirmed this response.
    pub fn generation(&self) -> u64 {
        match &self.source {
            Source::Stored { object, .. } => object.meta.mark().generation,
            Source::Following { flight, .. } => flight.meta().mark().generation,
        }
    }

    /// When this was looked up: the mark of a fetch that takes its place.
    pub fn seen(&self) -> Mark {
        self.seen
    }

    /// When this very response came from the origin. The metadata's `created` may be that of an earlier one.
    pub fn stored_at(&self) -> SystemTime {
        self.meta().created()
    }

    /// Names the body, so that what a revalidation says is not written to another one.
    pub fn object_id(&self) -> ObjectId {
        self.meta().id()
    }

    /// Whether it was stale from its first moment, as what says `no-cache` is, and may not answer while it is fetched again
    /// either: each request has to have it checked, so none gains by waiting for another's check.
    pub fn is_never_fresh(&self) -> bool {
        self.meta().is_never_fresh()
    }

    /// The object, if it is stored.
    pub fn object(&self) -> Option<Stored> {
        match &self.source {
            Source::Stored { object, .. } => Some(Stored(Arc::clone(object))),
            Source::Following { .. } => None,
        }
    }

    fn meta(&self) -> &Meta {
        match &self.source {
            Source::Stored { object, .. } => &object.meta,
            Source::Following { flight, .. } => flight.meta(),
        }
    }

    /// Whether the object is still being written.
    pub fn is_in_flight(&self) -> bool {
        matches!(self.source, Source::Following { .. })
    }

    /// Whether more of it is to come from the origin.
    pub fn is_awaited(&self) -> bool {
        matches!(&self.source, Source::Following { flight, .. } if flight.is_open())
    }

    /// Whether it is on its way as the origin sends it, and will not be stored.
    pub fn is_refused(&self) -> bool {
        matches!(&self.source, Source::Following { flight, .. } if self.coding.is_none() && flight.is_refused())
    }

    /// From now on the writer is at work between the reads of this one only, in the same task.
    pub fn takes_turns_with_writer(&self) {
        if let Source::Following { flight, reader: Some(reader) } = &self.source {
            flight.take_turns(*reader);
        }
    }

    /// Nothing more is read: nothing is kept for this reader, and nobody waits for it.
    pub fn leave(&mut self) {
        if let Source::Following { flight, reader } = &mut self.source
            && let Some(reader) = reader.take()
        {
            flight.leave(reader);
        }
    }
}

#[async_trait]
impl HandleHit for MokaHit {
    async fn read_body(&mut self) -> Result<Option<Bytes>> {
        match &mut self.source {
            Source::Stored { object, at, end } => {
                let piece = object.body.piece(*at, *end);
                *at += piece.as_ref().map_or(0, Bytes::len);
                Ok(piece)
            }
            Source::Following { flight, reader: Some(reader) } => flight.read(*reader).await.or_else(failed),
            Source::Following { reader: None, .. } => failed("a reader that has left"),
        }
    }

    async fn finish(self: Box<Self>, _: &'static (dyn Storage + Sync), _: &CacheKey, _: &SpanHandle) -> Result<()> {
        Ok(())
    }

    /// Only stored objects: of one in flight the wanted range may be far away. Then the whole response is sent, as a
    /// server may (RFC 9110 §14.2).
    fn can_seek(&self) -> bool {
        !self.is_in_flight()
    }

    fn seek(&mut self, start: usize, end: Option<usize>) -> Result<()> {
        let Source::Stored { object, at, end: stop } = &mut self.source else {
            return failed("cannot seek in a response that is being written");
        };
        let len = object.body.len();
        if start >= len {
            return failed("cannot seek past the end of an object");
        }
        *at = start;
        *stop = end.unwrap_or(len).min(len);
        Ok(())
    }

    /// There is no eviction manager: moka counts accesses itself.
    fn should_count_access(&self) -> bool {
        false
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn as_any_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        self
    }
}

impl Drop for MokaHit {
    fn drop(&mut self) {
        self.leave();
    }
}
