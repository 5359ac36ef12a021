//! What the calls of a hook need of it, and what the instances that its program keeps may keep alive.

use std::sync::Arc;

use super::HookLimits;
use crate::data::Held;
use crate::engine::Inner;
use crate::keys::Keys;
use crate::services::{Counters, HostServices};

/// What a hook's calls need of it. Not its program: that keeps instances, with what they need.
pub(crate) struct HookContext {
    pub(super) name: Box<str>,
    pub(super) limits: HookLimits,
    pub(super) held: Arc<Held>,
    pub(super) engine: Arc<Inner>,
    pub(super) counters: Arc<dyn Counters>,
}

impl HookContext {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn limits(&self) -> HookLimits {
        self.limits
    }

    pub(crate) fn services(&self) -> &dyn HostServices {
        &*self.engine.services
    }

    pub(crate) fn counters(&self) -> &dyn Counters {
        &*self.counters
    }

    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.engine.keys
    }

    pub(crate) fn engine(&self) -> &Inner {
        &self.engine
    }
}
