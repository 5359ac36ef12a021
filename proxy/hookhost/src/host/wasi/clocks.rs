//! Clocks, and waiting for them. The wall clock is the contract's `clock`, frozen during a call; the monotonic one counts
//! whole milliseconds from the start of the call. Waiting is part of the hook's time.

use std::time::Duration;

use tokio::time::Instant;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource};

use super::refuses;
use crate::Fact;
use crate::fault::Refusal;
use crate::state::CallState;

/// `wasi:io/poll.pollable`: a moment, or [`READY`].
pub(crate) struct Pollable;

/// What is always ready: streams.
pub(super) const READY: u32 = u32::MAX;

/// Most moments that a call can wait for.
const MAX_POLLABLES: usize = 64;
/// What both clocks tell apart, in nanoseconds.
const RESOLUTION: u32 = 1_000_000;

/// Moments by the number of their resource.
pub(super) struct Pollables {
    start: Instant,
    moments: Vec<Option<Duration>>,
}

impl Default for Pollables {
    fn default() -> Self {
        Self { start: Instant::now(), moments: Vec::new() }
    }
}

/// `wasi:clocks/wall-clock.datetime`.
#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

type Store<'a> = StoreContextMut<'a, CallState>;
type Moment = Resource<Pollable>;

pub(super) fn define(linker: &mut LinkerInstance<'_, CallState>, interface: &str, name: &str) -> wasmtime::Result<()> {
    match (interface, name) {
        ("wasi:clocks/wall-clock", "now") => linker.func_wrap(name, |mut store: Store<'_>, (): ()| {
            let milliseconds = store.data_mut().frozen_now();
            let nanoseconds = u32::try_from(milliseconds % 1000).unwrap_or(0) * 1_000_000;
            Ok((Datetime { seconds: milliseconds / 1000, nanoseconds },))
        }),
        ("wasi:clocks/wall-clock", "resolution") => {
            let resolution = Datetime { seconds: 0, nanoseconds: RESOLUTION };
            linker.func_wrap(name, move |_: Store<'_>, (): ()| Ok((resolution,)))
        }
        ("wasi:clocks/monotonic-clock", "now") => linker.func_wrap(name, |mut store: Store<'_>, (): ()| {
            let state = store.data_mut();
            state.read(Fact::Clock);
            Ok((nanos(state.elapsed()),))
        }),
        ("wasi:clocks/monotonic-clock", "resolution") => {
            linker.func_wrap(name, |_: Store<'_>, (): ()| Ok((u64::from(RESOLUTION),)))
        }
        ("wasi:clocks/monotonic-clock", "subscribe-instant") => linker
            .func_wrap(name, |mut store: Store<'_>, (when,): (u64,)| {
                Ok((store.data_mut().moment(Duration::from_nanos(when))?,))
            }),
        ("wasi:clocks/monotonic-clock", "subscribe-duration") => {
            linker.func_wrap(name, |mut store: Store<'_>, (when,): (u64,)| {
                let state = store.data_mut();
                let at = state.running().saturating_add(Duration::from_nanos(when));
                Ok((state.moment(at)?,))
            })
        }
        ("wasi:io/poll", "[method]pollable.ready") => {
            linker.func_wrap(name, |mut store: Store<'_>, (one,): (Moment,)| {
                let state = store.data_mut();
                Ok((state.at(&one)? <= state.running(),))
            })
        }
        ("wasi:io/poll", "[method]pollable.block") => {
            linker.func_wrap_async(name, |mut store: Store<'_>, (one,): (Moment,)| {
                Box::new(async move {
                    let (start, at) = (store.data_mut().start(), store.data_mut().at(&one)?);
                    wait(start, at).await;
                    Ok(())
                })
            })
        }
        ("wasi:io/poll", "poll") => linker.func_wrap_async(name, |mut store: Store<'_>, (list,): (Vec<Moment>,)| {
            Box::new(async move {
                let state = store.data_mut();
                let moments: Vec<Duration> = list.iter().map(|one| state.at(one)).collect::<Result<_, _>>()?;
                // WASI: an empty list traps.
                let first = moments.iter().min().copied().ok_or(Refusal("poll: nothing to wait for"))?;
                wait(state.start(), first).await;
                let now = state.running().max(first);
                let ready = (0_u32..).zip(&moments).filter(|(_, at)| **at <= now).map(|(number, _)| number);
                Ok((ready.collect::<Vec<u32>>(),))
            })
        }),
        _ => refuses(linker, name, "the edge has no such clock"),
    }
}

/// Until so long after the start of the call. The hook's timeout ends it before, if it is sooner.
async fn wait(start: Instant, at: Duration) {
    if let Some(deadline) = start.checked_add(at) {
        tokio::time::sleep_until(deadline).await;
    } else {
        std::future::pending::<()>().await;
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl CallState {
    fn pollables(&mut self) -> &mut Pollables {
        &mut self.wasi.get_or_insert_default().pollables
    }

    /// When the call first looked at a clock.
    fn start(&mut self) -> Instant {
        self.pollables().start
    }

    fn running(&mut self) -> Duration {
        self.start().elapsed()
    }

    /// In whole milliseconds: finer clocks are for measuring what a hook must not know.
    fn elapsed(&mut self) -> Duration {
        Duration::from_millis(u64::try_from(self.running().as_millis()).unwrap_or(u64::MAX))
    }

    fn moment(&mut self, at: Duration) -> wasmtime::Result<Moment> {
        let moments = &mut self.pollables().moments;
        let free = moments.iter().position(Option::is_none).unwrap_or(moments.len());
        if free == MAX_POLLABLES {
            return Err(Refusal("a call can wait for 64 moments at once").into());
        }
        if free == moments.len() {
            moments.push(None);
        }
        if let Some(slot) = moments.get_mut(free) {
            *slot = Some(at);
        }
        Ok(Moment::new_own(u32::try_from(free).unwrap_or(READY)))
    }

    /// When a pollable is ready, from the start on.
    fn at(&mut self, one: &Moment) -> wasmtime::Result<Duration> {
        if one.rep() == READY {
            return Ok(Duration::ZERO);
        }
        let found = usize::try_from(one.rep()).ok().and_then(|at| self.pollables().moments.get(at).copied().flatten());
        found.ok_or_else(|| Refusal("there is no such pollable").into())
    }

    /// A pollable was dropped.
    pub(crate) fn forget_moment(&mut self, rep: u32) {
        if let Some(wasi) = &mut self.wasi
            && let Some(slot) = usize::try_from(rep).ok().and_then(|at| wasi.pollables.moments.get_mut(at))
        {
            *slot = None;
        }
    }
}
