//! What else of the limits a reload keeps: the buckets of clients, and who is at work. Must not know buckets of one level.

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::sync::Arc;

use super::{BucketRegistry, Draft, DraftError};
use crate::clients::ClientBuckets;
use crate::in_flight::{ClientGauges, Gauge};
use crate::throttle::Throttle;
use crate::time::Nanos;

/// By name.
#[derive(Debug, Default)]
pub(super) struct Shared {
    clients: BTreeMap<String, Arc<ClientBuckets>>,
    gauges: BTreeMap<String, Gauge>,
    client_gauges: BTreeMap<String, ClientGauges>,
}

impl Shared {
    fn len(&self) -> usize {
        self.clients.len() + self.gauges.len() + self.client_gauges.len()
    }

    /// Takes the place of what is in force.
    pub(super) fn commit(self, in_force: &mut Self, now: Nanos) {
        for (id, table) in &self.clients {
            if let Some(old) = in_force.clients.get(id).filter(|old| !Arc::ptr_eq(old, table)) {
                table.inherit(old, now);
            }
        }
        *in_force = self;
    }
}

impl BucketRegistry {
    /// How often clients took over buckets that were not full, in all tables in force.
    #[must_use]
    pub fn taken_over(&self) -> u64 {
        self.shared.lock().clients.values().map(|table| table.taken_over()).sum()
    }
}

impl Draft<'_> {
    /// The table called `id`: the one in force if it is the same, else a new one that takes over what each client spent when
    /// the draft is committed.
    ///
    /// # Errors
    /// [`DraftError`] if there are too many, or the draft has that name with other parameters.
    pub fn clients(&mut self, id: &str, throttle: Throttle, clients: usize) -> Result<Arc<ClientBuckets>, DraftError> {
        if let Some(table) = self.shared.clients.get(id) {
            if table.throttle() == throttle {
                return Ok(Arc::clone(table));
            }
            return Err(DraftError::Conflict { id: id.to_owned() });
        }
        self.room()?;
        let in_force = self.registry.shared.lock().clients.get(id).cloned();
        let new = ClientBuckets::new(throttle, clients, self.now, self.registry.hasher.clone());
        let same = in_force.filter(|old| old.throttle() == throttle && old.capacity() == new.capacity());
        let table = same.unwrap_or_else(|| Arc::new(new));
        self.shared.clients.insert(id.to_owned(), Arc::clone(&table));
        Ok(table)
    }

    /// The gauge called `id`, with who is inside of the one in force.
    ///
    /// # Errors
    /// [`DraftError`] if there are too many, or the draft has that name with another limit.
    pub fn gauge(&mut self, id: &str, limit: u32) -> Result<Gauge, DraftError> {
        if let Some(gauge) = self.shared.gauges.get(id) {
            return if gauge.limit() == limit {
                Ok(gauge.clone())
            } else {
                Err(DraftError::Conflict { id: id.to_owned() })
            };
        }
        self.room()?;
        let in_force = self.registry.shared.lock().gauges.get(id).map(|gauge| gauge.with_limit(limit));
        let gauge = in_force.unwrap_or_else(|| Gauge::new(limit));
        self.shared.gauges.insert(id.to_owned(), gauge.clone());
        Ok(gauge)
    }

    /// As [`Draft::gauge`], for each client.
    ///
    /// # Errors
    /// As there.
    pub fn client_gauges(&mut self, id: &str, limit: u32) -> Result<ClientGauges, DraftError> {
        if let Some(gauges) = self.shared.client_gauges.get(id) {
            return if gauges.limit() == limit {
                Ok(gauges.clone())
            } else {
                Err(DraftError::Conflict { id: id.to_owned() })
            };
        }
        self.room()?;
        let in_force = self.registry.shared.lock().client_gauges.get(id).map(|gauges| gauges.with_limit(limit));
        let gauges = in_force.unwrap_or_else(|| ClientGauges::new(limit, RandomState::new()));
        self.shared.client_gauges.insert(id.to_owned(), gauges.clone());
        Ok(gauges)
    }

    fn room(&self) -> Result<(), DraftError> {
        let capacity = self.registry.capacity;
        if self.shared.len() >= capacity { Err(DraftError::Full { capacity }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Nanos = Nanos::ZERO;

    fn throttle(burst: u32) -> Throttle {
        Throttle::new(1.0, burst).unwrap()
    }

    #[test]
    fn tables_and_gauges_outlive_a_reload() {
        let registry = BucketRegistry::new(9);
        let mut draft = registry.draft(START);
        let table = draft.clients("a", throttle(5), 100).unwrap();
        let gauge = draft.gauge("g", 2).unwrap();
        let gauges = draft.client_gauges("c", 1).unwrap();
        draft.commit(START);
        let client = table.client(b"x");
        assert_eq!(registry.draft(START).clients("b", throttle(5), 8).unwrap().client(b"x"), client, "in all tables");
        let _kept = table.reserve(client, START, 3).unwrap();
        let _inside = gauge.enter().unwrap();
        let _client_inside = gauges.enter(gauges.client(b"x")).unwrap();

        let mut draft = registry.draft(START);
        assert!(Arc::ptr_eq(&draft.clients("a", throttle(5), 100).unwrap(), &table));
        let narrow = draft.gauge("g", 1).unwrap();
        let same = draft.client_gauges("c", 1).unwrap();
        draft.commit(START);
        assert!(narrow.enter().is_none(), "the request before the reload counts");
        assert!(same.enter(same.client(b"x")).is_none());

        let mut draft = registry.draft(START);
        let wider = draft.clients("a", throttle(9), 100).unwrap();
        let _while_drafting = table.reserve(client, START, 1).unwrap();
        draft.commit(START);
        assert_eq!(wider.remaining(client, START), 1);
    }

    #[test]
    fn one_name_means_one_thing() {
        let registry = BucketRegistry::new(2);
        let mut draft = registry.draft(START);
        let _table = draft.clients("a", throttle(5), 8).unwrap();
        let conflict = DraftError::Conflict { id: "a".into() };
        assert_eq!(draft.clients("a", throttle(6), 8).unwrap_err(), conflict);
        let _gauge = draft.gauge("a", 1).unwrap();
        assert_eq!(draft.gauge("a", 2).unwrap_err(), conflict);
        assert_eq!(draft.client_gauges("a", 2).unwrap_err(), DraftError::Full { capacity: 2 });
    }
}
