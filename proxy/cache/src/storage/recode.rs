//! Coded forms of responses that are still being written: one for each coding that some reader wants, made once for all its
//! readers, and kept beside the object at the end.
//!
//! The coded form is a flight of its own, whose writer is a task that reads the plain one. It gets what comes in no less
//! than `FLUSH_AFTER`, so a page that comes slowly is shown as it comes. Best effort, as everywhere with compression: where
//! there is no room for one more, readers get the plain form.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::MokaStorage;
use super::flight::Flight;
use super::object::Body;
use crate::compress::{self, Coder, Coding, Wanted};

/// What has come is sent on, also if it could be compressed better with more, when nothing more has come for so long.
const FLUSH_AFTER: Duration = Duration::from_millis(20);
/// Larger pieces are compressed beside the runtime's workers: they take about a millisecond and more.
const INLINE: usize = 16 << 10;

/// A plain flight on its way into a coded one.
struct Recoding {
    storage: &'static MokaStorage,
    key: u128,
    plain: Arc<Flight>,
    reader: usize,
    coded: Arc<Flight>,
    coding: Coding,
    _permit: OwnedSemaphorePermit,
}

impl MokaStorage {
    /// The coded form of what is being written, begun if it was not yet; none if it cannot be had.
    pub(super) fn recoded(&'static self, key: u128, plain: &Arc<Flight>, wanted: &Wanted) -> Option<Arc<Flight>> {
        let Wanted { coding, now } = *wanted;
        if !plain.meta().is_fresh(now) || !compress::eligible(plain.meta().header()) {
            return None;
        }
        let mut all = plain.coded.lock();
        if all.begun & 1 << coding as u8 != 0 {
            return all.flights[coding as usize].clone();
        }
        if !plain.is_followable() || self.compressors.available_permits() == 0 {
            return None;
        }
        let permit = Arc::clone(&self.recoders).try_acquire_owned().ok()?;
        let coder = Coder::new(coding, plain.meta().declared_length()?).ok()?;
        let meta = Arc::new(plain.meta().coded(coding, None));
        let coded = Arc::new(Flight::new(meta, self.limits.max_object, self.limits.window, self.flights.budget()));
        let reader = plain.join()?;
        all.begun |= 1 << coding as u8;
        all.flights[coding as usize] = Some(Arc::clone(&coded));
        let (storage, plain) = (self, Arc::clone(plain));
        let recoding = Recoding { storage, key, plain, reader, coded: Arc::clone(&coded), coding, _permit: permit };
        tokio::spawn(recoding.run(coder));
        Some(coded)
    }
}

impl Recoding {
    async fn run(self, coder: Coder) {
        match self.copy(coder).await {
            Ok(()) => self.keep(),
            Err(why) => self.coded.fail(why),
        }
    }

    async fn copy(&self, mut coder: Coder) -> Result<(), &'static str> {
        let mut pending = false;
        loop {
            let read = self.plain.read(self.reader);
            let piece = if pending {
                match tokio::time::timeout(FLUSH_AFTER, read).await {
                    Ok(piece) => piece?,
                    Err(_elapsed) => {
                        let (again, flushed) = self.code(coder, 0, Coder::flush).await?;
                        (coder, pending) = (again, false);
                        self.coded.write(flushed).await?;
                        continue;
                    }
                }
            } else {
                read.await?
            };
            let Some(piece) = piece else { break };
            let length = piece.len();
            let (again, out) = self.code(coder, length, move |coder| coder.write(&piece)).await?;
            (coder, pending) = (again, true);
            self.coded.write(out).await?;
            if self.plain.is_refused() && !self.coded.has_readers() {
                return Err("nobody reads what is not stored");
            }
        }
        let rest = coder.finish().map_err(|_error| BROKEN)?;
        self.coded.write(rest).await
    }

    /// Uses the coder, here or beside the workers, and never on more processors than there are.
    async fn code(
        &self,
        mut coder: Coder,
        length: usize,
        step: impl FnOnce(&mut Coder) -> io::Result<Bytes> + Send + 'static,
    ) -> Result<(Coder, Bytes), &'static str> {
        if length <= INLINE {
            let out = step(&mut coder).map_err(|_error| BROKEN)?;
            return Ok((coder, out));
        }
        let _turn = self.storage.compressors.acquire().await.map_err(|_closed| BROKEN)?;
        let done = tokio::task::spawn_blocking(move || step(&mut coder).map(|out| (coder, out))).await;
        done.map_err(|_panicked| BROKEN)?.map_err(|_error| BROKEN)
    }

    /// Puts what came out beside the object, if that was stored and this is smaller; then lets readers see the end.
    fn keep(&self) {
        if let Ok(pieces) = self.coded.pieces() {
            let body = Body::pack(&pieces);
            if self.is_smaller(body.len()) {
                self.storage.keep(self.key, self.plain.meta().id(), self.coding, &body);
            }
        }
        self.coded.complete();
    }

    fn is_smaller(&self, length: usize) -> bool {
        self.plain.meta().declared_length().is_some_and(|plain| (length as u64) < plain)
    }
}

impl Drop for Recoding {
    fn drop(&mut self) {
        self.plain.leave(self.reader);
        // Only if it was cancelled: an end stays what it was.
        self.coded.fail("the response was not compressed to its end");
    }
}

const BROKEN: &str = "the response could not be compressed";
