//! How origins are, for metrics and status.

use serde_json::{Map, Value, json};

use crate::snapshot::Snapshot;
use crate::telemetry::metrics::OriginGauges;

/// For the metrics. Origins of which nothing is known are left out.
pub(super) fn gauges(snapshot: &Snapshot) -> Vec<OriginGauges> {
    let gauges = snapshot.origins.iter().map(|origin| {
        let watched = origin.watched_endpoints();
        OriginGauges {
            origin: origin.config.name.clone(),
            addresses: watched
                .iter()
                .flat_map(|endpoints| endpoints.iter())
                .map(|endpoint| (endpoint.address.to_string(), endpoint.is_usable()))
                .collect(),
            room: origin.room().map(|room| (room.at_work(), room.waiting())),
            idle: origin.kept().map(|kept| kept.idle()),
        }
    });
    gauges.filter(|one| !one.addresses.is_empty() || one.room.is_some() || one.idle.is_some()).collect()
}

/// For the status: each origin with the number of its addresses, and what each is where that is watched.
pub(super) fn status(snapshot: &Snapshot) -> Value {
    let origins = snapshot.origins.iter().map(|origin| {
        let watched = origin.watched_endpoints();
        let up = match &watched {
            Some(endpoints) => endpoints.iter().any(|endpoint| endpoint.is_usable()),
            None => !origin.is_down(),
        };
        let addresses: Map<String, Value> = watched
            .iter()
            .flat_map(|endpoints| endpoints.iter())
            .map(|endpoint| (endpoint.address.to_string(), endpoint.state().as_str().into()))
            .collect();
        let mut facts = json!({ "up": up, "address_count": origin.address_count() });
        if let Some(facts) = facts.as_object_mut().filter(|_| !addresses.is_empty()) {
            facts.insert("addresses".to_owned(), Value::Object(addresses));
        }
        if let (Some(room), Some(facts)) = (origin.room(), facts.as_object_mut()) {
            facts.insert("requests".to_owned(), room.at_work().into());
            facts.insert("waiting".to_owned(), room.waiting().into());
        }
        (origin.config.name.clone(), facts)
    });
    Value::Object(origins.collect())
}
