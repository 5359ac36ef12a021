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

/// For the status: each origin of which something is known, with its addresses and what each is.
pub(super) fn status(snapshot: &Snapshot) -> Value {
    let origins = snapshot.origins.iter().filter_map(|origin| {
        let watched = origin.watched_endpoints();
        if watched.is_none() && origin.room().is_none() {
            return None;
        }
        let addresses: Map<String, Value> = watched
            .iter()
            .flat_map(|endpoints| endpoints.iter())
            .map(|endpoint| (endpoint.address.to_string(), endpoint.state().as_str().into()))
            .collect();
        let mut facts = json!({ "addresses": addresses });
        if let (Some(room), Some(facts)) = (origin.room(), facts.as_object_mut()) {
            facts.insert("requests".to_owned(), room.at_work().into());
            facts.insert("waiting".to_owned(), room.waiting().into());
        }
        Some((origin.config.name.clone(), facts))
    });
    Value::Object(origins.collect())
}
