//! Room for a call: kept instances of hooks have places in the pool that calls may need. Who finds none has one of them given
//! up, and tries again.

use parking_lot::Mutex;
use wasmtime::{Error, PoolConcurrencyLimitError};

use super::Inner;
use crate::state::CallState;

/// Most times that a call tries again: while it does, others may take the place that was made for it, and keep theirs.
const MOST: u32 = 64;
/// Of these, most times without that there was anything kept: then as many calls are at work as there are places.
const MOST_IN_VAIN: u32 = 32;
/// Most times of a component: the instances of it that were made before one failed stay as long as the call.
const MOST_OF_COMPONENT: u32 = 4;

/// One at a time makes room: whoever comes second would find that there is nothing to give up, though it is just being given up.
#[derive(Default)]
pub(crate) struct Turn(Mutex<()>);

/// How often a call may still try.
pub(crate) struct Room {
    left: u32,
    in_vain: u32,
}

impl Room {
    /// For one instance, or for the stack of a call.
    pub(crate) fn for_one() -> Self {
        Self { left: MOST, in_vain: MOST_IN_VAIN }
    }

    /// For the instances of a component.
    pub(crate) fn for_component() -> Self {
        Self { left: MOST_OF_COMPONENT, in_vain: MOST_OF_COMPONENT }
    }

    /// Whether it is worth to try again what failed. It has to have failed before any code of the hook ran: only making an
    /// instance and finding a stack for a call fail for want of a place.
    pub(crate) fn again(&mut self, error: &Error, state: &CallState) -> bool {
        let engine = state.hook.engine();
        if self.left == 0 || self.in_vain == 0 || !error.is::<PoolConcurrencyLimitError>() {
            return false;
        }
        self.left -= 1;
        self.in_vain -= u32::from(!engine.make_room());
        true
    }
}

impl Inner {
    /// Gives up an instance that is kept, of a hook that keeps most; whether there was any.
    fn make_room(&self) -> bool {
        let _turn = self.turn.0.lock();
        // Not with the lock: the last owner of a program takes it apart.
        let programs: Vec<_> = self.programs.lock().values().filter_map(std::sync::Weak::upgrade).collect();
        let most = programs.iter().max_by_key(|program| program.kept());
        most.is_some_and(|program| program.give_up())
    }
}
