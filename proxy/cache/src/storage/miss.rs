//! Writes a response: into its flight, and at the end into the store. Dropped before the end, the write has failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use pingora::cache::storage::{HandleMiss, MissFinishType};
use pingora::{Error, ErrorSource, ErrorType, Result};

use super::flight::{Flight, NotStored};
use super::object::{Body, Meta, Object};
use super::{MokaStorage, failed};

/// The writer of a response.
pub(super) struct MokaMiss {
    storage: &'static MokaStorage,
    key: u128,
    write_id: u64,
    tag: [u8; 8],
    flight: Arc<Flight>,
    finished: bool,
}

impl MokaMiss {
    pub(super) fn new(storage: &'static MokaStorage, key: u128, write_id: u64, flight: Arc<Flight>) -> Self {
        Self { storage, key, write_id, tag: write_id.to_be_bytes(), flight, finished: false }
    }

    /// Stores the response and lets readers of the flight see its end after that, so that whoever saw the end finds
    /// the object.
    fn store(&self, pieces: &[Bytes]) -> usize {
        let body = Body::pack(pieces);
        let size = body.len();
        let codings = self.flight.coded.lock().begun;
        let object = Object::coded_in(Meta::with_length(self.flight.meta(), size), body, codings);
        self.storage.objects.insert(self.key, Arc::new(object));
        if self.flight.is_refused() {
            // Purged between the last look and the insert.
            self.storage.objects.remove(&self.key);
        }
        size
    }

    fn count(&self, why: NotStored) {
        let counts = &self.storage.counts;
        let counter = match why {
            NotStored::TooLarge => &counts.too_large,
            NotStored::OverBudget => &counts.over_budget,
            NotStored::WrongLength => &counts.wrong_length,
            NotStored::Purged => &counts.purged,
        };
        add_one(counter);
    }
}

fn add_one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[async_trait]
impl HandleMiss for MokaMiss {
    async fn write_body(&mut self, data: Bytes, _eof: bool) -> Result<()> {
        // Whether the body is whole is judged in `finish`: pingora always calls it at a good end.
        // That nobody reads it is no fault of the edge's.
        let left = |why: &'static str| {
            Error::create(ErrorType::ConnectionClosed, ErrorSource::Downstream, Some(why.into()), None)
        };
        self.flight.write(data).await.map_err(left)
    }

    async fn finish(mut self: Box<Self>) -> Result<MissFinishType> {
        if !self.storage.is_current(self.flight.meta()) {
            // Begun before a purge: what came since may be stored already, and this must not take its place.
            self.flight.refuse();
        }
        let size = match self.flight.pieces() {
            Ok(pieces) => self.store(&pieces),
            Err(why) => {
                self.count(why);
                if why == NotStored::WrongLength {
                    self.finished = true;
                    self.flight.fail("body does not have the length its header says");
                    return failed("body does not have the length its header says");
                }
                0
            }
        };
        self.finished = true;
        self.flight.complete();
        Ok(MissFinishType::Created(size))
    }

    fn streaming_write_tag(&self) -> Option<&[u8]> {
        Some(&self.tag)
    }
}

impl Drop for MokaMiss {
    fn drop(&mut self) {
        if !self.finished {
            add_one(&self.storage.counts.aborted);
            self.flight.fail("the origin's response ended early");
        }
        self.storage.flights.remove(self.key, self.write_id);
    }
}
