//! Groups of origins: who is asked next where one fails.

use std::sync::Arc;

use super::Origin;
use crate::telemetry::metrics::GroupMetrics;

/// A group of a snapshot.
#[derive(Debug)]
pub struct OriginGroup {
    /// Its name.
    pub name: Arc<str>,
    /// In order.
    pub members: Vec<Arc<Origin>>,
    /// Statuses of an answer for which the next member is asked.
    pub statuses: Vec<u16>,
    /// Counters.
    pub metrics: Arc<GroupMetrics>,
}

impl OriginGroup {
    /// Whether no connection came about to any member lately.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.members.iter().all(|member| member.is_down())
    }
}
