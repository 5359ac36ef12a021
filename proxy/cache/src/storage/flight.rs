//! One response being written, and those who read it meanwhile.
//!
//! As long as it may be stored all its pieces are kept. Once it may not (too large, no room, purged), or once it is, only
//! those that some reader has not had yet are kept; of what is not stored, within a window. What is neither to be stored nor
//! read by anybody ends at once. It must not know where it is stored.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Window;
use super::flights::Budget;
use super::object::Meta;
use crate::compress::Coding;

/// At most so much is given to a reader at once when it is behind in a window: more than comes in one turn of the writer, which
/// has as many, and little enough for a slow viewer to take in the time that it has.
const CATCH_UP: usize = 1 << 20;

/// Writes after a delayed one that are not. pingora takes up to four parts in a turn, in which no reader has one; and while a
/// write waits as many come, which pingora takes rather than write to its own viewer (seven times of eight): so the next turn
/// does not wait either, and after that there is nothing but the viewer to see to.
const REST_OF_TURN: u8 = 7;

/// Doublings of a write's delay until its window is half full.
const SOON: u32 = 6;
/// And from then on: so little comes in the time that a reader has to show a sign of life that the window holds it.
const LATE: u32 = 11;

/// A response being written.
pub(super) struct Flight {
    meta: Arc<Meta>,
    max_object: u64,
    window: Window,
    budget: Arc<Budget>,
    progress: Mutex<Progress>,
    /// Coded forms of it, written while it is.
    pub(super) coded: Mutex<Coded>,
    /// Wakes readers: there is more, or the end.
    grown: Notify,
    /// Wakes the writer: a reader went on.
    drained: Notify,
}

/// Which pieces are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// All: they are still to be stored.
    All,
    /// Those not read yet.
    Unread,
}

/// Why a response is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotStored {
    TooLarge,
    OverBudget,
    Purged,
    WrongLength,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Complete,
    Failed(&'static str),
}

struct Progress {
    pieces: VecDeque<Bytes>,
    /// Pieces that were dropped in front of `pieces`.
    dropped: usize,
    held: u64,
    /// What of `held` is in the budget, and what is beside it.
    counted: (u64, u64),
    written: u64,
    /// Bytes that may wait without any delay, once it is not to be stored: what waited then, or less if less waits by now.
    free: u64,
    /// How long writes were held back since a piece was last given up because all had had it.
    waited: Duration,
    /// Writes to come that are not delayed.
    rest_of_turn: u8,
    keep: Keep,
    refused: Option<NotStored>,
    end: End,
    /// The next piece of each reader; `None` is a free place.
    readers: Vec<Option<usize>>,
    /// The reader that has its turn between the writer's, and goes no further while the writer waits.
    in_turn: Option<usize>,
}

impl Progress {
    /// From now on the response will not be stored; the first reason stays.
    fn refuse(&mut self, why: NotStored) {
        if self.keep == Keep::All {
            self.keep = Keep::Unread;
            self.refused = Some(why);
        }
    }

    /// Whether there were readers, and none is left, of what will not be stored.
    fn is_abandoned(&self) -> bool {
        self.refused.is_some() && !self.readers.is_empty() && self.readers.iter().all(Option::is_none)
    }

    /// Bytes that wait for those whom it helps to wait for.
    fn waiting(&self) -> u64 {
        let Some(own) = self.in_turn else { return self.held };
        let others = self.readers.iter().enumerate().filter(|(at, _)| *at != own).filter_map(|(_, next)| *next);
        let slowest = others.filter_map(|next| next.checked_sub(self.dropped)).min();
        slowest.map_or(0, |from| self.pieces.iter().skip(from).map(|piece| piece.len() as u64).sum())
    }

    fn drop_front(&mut self) {
        if let Some(piece) = self.pieces.pop_front() {
            self.held -= piece.len() as u64;
        }
        self.dropped += 1;
    }
}

/// The coded forms of a response that is being written.
#[derive(Default)]
pub(super) struct Coded {
    pub(super) flights: [Option<Arc<Flight>>; Coding::COUNT],
    /// A bit for each coding that was begun.
    pub(super) begun: u8,
}

/// What a reader finds.
enum Next {
    Piece(Bytes),
    Wait,
    End,
    Failed(&'static str),
}

impl Flight {
    pub(super) fn new(meta: Arc<Meta>, max_object: u64, window: Window, budget: &Arc<Budget>) -> Self {
        let too_large = meta.declared_length().is_some_and(|length| length > max_object);
        let mut progress = Progress {
            pieces: VecDeque::new(),
            dropped: 0,
            held: 0,
            counted: (0, 0),
            written: 0,
            free: u64::MAX,
            waited: Duration::ZERO,
            rest_of_turn: 0,
            keep: Keep::All,
            refused: None,
            end: End::Open,
            readers: Vec::new(),
            in_turn: None,
        };
        if too_large {
            progress.refuse(NotStored::TooLarge);
        }
        Self {
            meta,
            max_object,
            window,
            budget: Arc::clone(budget),
            progress: Mutex::new(progress),
            coded: Mutex::default(),
            grown: Notify::new(),
            drained: Notify::new(),
        }
    }

    pub(super) fn meta(&self) -> &Arc<Meta> {
        &self.meta
    }

    /// Whether others than the request that fills the cache may join: what is not stored stays with its request.
    pub(super) fn is_followable(&self) -> bool {
        self.progress.lock().keep == Keep::All
    }

    /// Writes the next piece, and waits if it is too far ahead of its readers. An error says that nobody reads what
    /// nobody will store.
    pub(super) async fn write(&self, piece: Bytes) -> Result<(), &'static str> {
        if piece.is_empty() {
            return Ok(());
        }
        let windowed = {
            let mut progress = self.progress.lock();
            let bytes = piece.len() as u64;
            progress.written += bytes;
            progress.held += bytes;
            progress.pieces.push_back(piece);
            if progress.written > self.max_object {
                progress.refuse(NotStored::TooLarge);
            }
            if !self.count(&mut progress) {
                progress.refuse(NotStored::OverBudget);
            }
            self.drop_read(&mut progress);
            if progress.is_abandoned() {
                return Err("nobody is left to read what is not stored");
            }
            progress.keep == Keep::Unread
        };
        self.grown.notify_waiters();
        if windowed { self.hold_back().await } else { Ok(()) }
    }

    /// Brings the budget up to what is held. A window is on top of it: of what is not stored only what is beyond that counts.
    /// False if there was no room for more.
    fn count(&self, progress: &mut Progress) -> bool {
        let beside = if progress.refused.is_some() { progress.held.min(self.window.most()) } else { 0 };
        let target = (progress.held - beside, beside);
        let before = std::mem::replace(&mut progress.counted, target);
        self.budget.count(before, target)
    }

    /// Keeps the response from being stored.
    pub(super) fn refuse(&self) {
        let mut progress = self.progress.lock();
        progress.refuse(NotStored::Purged);
        self.drop_read(&mut progress);
    }

    /// Whether the response was refused meanwhile.
    pub(super) fn is_refused(&self) -> bool {
        self.progress.lock().refused.is_some()
    }

    /// This reader is written to between the writer's turns: to wait for it would only keep it from what it waits for.
    pub(super) fn take_turns(&self, reader: usize) {
        self.progress.lock().in_turn = Some(reader);
    }

    /// Whether anybody reads it.
    pub(super) fn has_readers(&self) -> bool {
        self.progress.lock().readers.iter().any(Option::is_some)
    }

    /// Whether more is to come.
    pub(super) fn is_open(&self) -> bool {
        self.progress.lock().end == End::Open
    }

    /// All pieces, if the response may be stored now that it is written to the end.
    pub(super) fn pieces(&self) -> Result<Vec<Bytes>, NotStored> {
        let progress = self.progress.lock();
        if self.meta.declared_length().is_some_and(|length| length != progress.written) {
            return Err(NotStored::WrongLength);
        }
        match progress.refused {
            None => Ok(progress.pieces.iter().cloned().collect()),
            Some(why) => Err(why),
        }
    }

    /// Ends the response: readers get what is left and then the end.
    pub(super) fn complete(&self) {
        self.end(End::Complete);
    }

    /// Ends the response badly: readers get what is left and then an error.
    pub(super) fn fail(&self, why: &'static str) {
        self.end(End::Failed(why));
    }

    fn end(&self, end: End) {
        let mut progress = self.progress.lock();
        if progress.end == End::Open {
            progress.end = end;
        }
        // The store has its own hold on the pieces, or will not have any.
        progress.keep = Keep::Unread;
        self.drop_read(&mut progress);
        drop(progress);
        self.grown.notify_waiters();
    }

    /// Adds a reader and gives its place; `None` when the beginning is gone already.
    pub(super) fn join(&self) -> Option<usize> {
        let mut progress = self.progress.lock();
        if progress.dropped > 0 {
            return None;
        }
        if let Some(free) = progress.readers.iter().position(Option::is_none) {
            progress.readers[free] = Some(0);
            return Some(free);
        }
        progress.readers.push(Some(0));
        Some(progress.readers.len() - 1)
    }

    pub(super) fn leave(&self, reader: usize) {
        let mut progress = self.progress.lock();
        progress.readers[reader] = None;
        progress.in_turn = progress.in_turn.filter(|own| *own != reader);
        self.drop_read(&mut progress);
        drop(progress);
        self.drained.notify_one();
    }

    /// The next piece for a reader; `None` at the end. Can be cancelled without loss.
    pub(super) async fn read(&self, reader: usize) -> Result<Option<Bytes>, &'static str> {
        loop {
            // Made before looking, so that no wake-up is missed in between.
            let grown = self.grown.notified();
            match self.next(reader) {
                Next::Piece(piece) => return Ok(Some(piece)),
                Next::End => return Ok(None),
                Next::Failed(why) => return Err(why),
                Next::Wait => grown.await,
            }
        }
    }

    fn next(&self, reader: usize) -> Next {
        let mut progress = self.progress.lock();
        let Some(at) = progress.readers[reader] else { return Next::Failed("reader has left") };
        let Some(ahead) = at.checked_sub(progress.dropped) else { return Next::Failed("reader fell behind") };
        let Some(piece) = progress.pieces.get(ahead).cloned() else {
            return match progress.end {
                End::Open => Next::Wait,
                End::Complete => Next::End,
                End::Failed(why) => Next::Failed(why),
            };
        };
        let (pieces, joined) =
            if progress.refused.is_none() { (1, piece) } else { catch_up(&progress.pieces, ahead, piece) };
        progress.readers[reader] = Some(at + pieces);
        self.drop_read(&mut progress);
        drop(progress);
        self.drained.notify_one();
        Next::Piece(joined)
    }

    /// Drops what every reader has had, if nothing has to be kept for the store.
    fn drop_read(&self, progress: &mut Progress) {
        if progress.keep == Keep::All {
            return;
        }
        let end = progress.dropped + progress.pieces.len();
        // Who fell behind gets an error, so nothing is kept for them.
        let keeping_up = progress.readers.iter().flatten().filter(|next| **next >= progress.dropped);
        let slowest = keeping_up.copied().min().unwrap_or(end);
        if progress.dropped < slowest {
            progress.waited = Duration::ZERO;
        }
        while progress.dropped < slowest {
            progress.drop_front();
        }
        progress.free = progress.free.min(progress.held).max(self.window.free);
        self.count(progress);
    }

    /// Delays the writer by how full the window is; see the parent module on why it may not simply wait.
    async fn hold_back(&self) -> Result<(), &'static str> {
        let Some(delay) = self.delay() else { return Ok(()) };
        {
            let mut progress = self.progress.lock();
            if let Some(left) = progress.rest_of_turn.checked_sub(1) {
                progress.rest_of_turn = left;
                return Ok(());
            }
            progress.rest_of_turn = REST_OF_TURN;
        }
        let room = async {
            while self.delay().is_some() {
                self.drained.notified().await;
            }
        };
        let still_full = tokio::time::timeout(delay, room).await.is_err();
        if still_full && self.is_stuck(delay) { self.drop_laggards() } else { Ok(()) }
    }

    /// The delay of a write now.
    fn delay(&self) -> Option<Duration> {
        let ahead = {
            let progress = self.progress.lock();
            progress.waiting().checked_sub(progress.free.saturating_add(1))?
        };
        let (steps, most) = (u32::try_from(ahead / self.window.step).unwrap_or(u32::MAX), self.window.steps);
        // Who waits here does not write to its own viewer, nor see it leave: never for long.
        let doublings = if steps < most { steps.min(SOON) } else { most.min(LATE) };
        Some(self.window.delay * (1 << doublings))
    }

    /// Whether the slowest reader has not moved for so long, now that one more delay has passed. Time in which nothing was
    /// written does not count: the writer's own viewer is written to between its turns.
    fn is_stuck(&self, delay: Duration) -> bool {
        let mut progress = self.progress.lock();
        progress.waited += delay;
        progress.waited >= self.window.delay * (1 << self.window.steps)
    }

    /// Empties the window down to its free part. Who still needed that gets an error; so does the writer, if there is
    /// no other reader. Whoever takes turns with the writer does not lag.
    fn drop_laggards(&self) -> Result<(), &'static str> {
        let mut progress = self.progress.lock();
        let own = progress.in_turn.and_then(|own| progress.readers[own]).unwrap_or(usize::MAX);
        while progress.held > self.window.free && progress.dropped < own {
            progress.drop_front();
        }
        progress.waited = Duration::ZERO;
        self.count(&mut progress);
        let others = progress.readers.iter().flatten().any(|next| *next >= progress.dropped);
        drop(progress);
        self.grown.notify_waiters();
        if others { Ok(()) } else { Err("no reader keeps up with a response that is not stored") }
    }
}

/// Joins pieces for a reader that is behind.
fn catch_up(pieces: &VecDeque<Bytes>, from: usize, first: Bytes) -> (usize, Bytes) {
    let (mut count, mut size) = (0, 0);
    for piece in pieces.range(from..) {
        if count > 0 && size + piece.len() > CATCH_UP {
            break;
        }
        count += 1;
        size += piece.len();
    }
    if count == 1 {
        return (1, first);
    }
    let mut joined = BytesMut::with_capacity(size);
    pieces.range(from..from + count).for_each(|piece| joined.extend_from_slice(piece));
    (count, joined.freeze())
}

impl Drop for Flight {
    fn drop(&mut self) {
        let counted = self.progress.get_mut().counted;
        self.budget.count(counted, (0, 0));
    }
}
