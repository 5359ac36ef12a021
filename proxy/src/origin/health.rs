//! Health checks: a task for each origin that has them asks each of its addresses again and again.

use std::collections::HashMap;
use std::sync::Arc;

use edgeweir_config::HealthCheck;
use parking_lot::Mutex;
use tokio::task::{JoinHandle, JoinSet};

use super::{Endpoint, Origin};
use crate::fetch::{self, Connections};

/// The tasks that run, by the name of their origin. They end with it.
#[derive(Debug, Default)]
pub struct Checks {
    running: Mutex<HashMap<String, Running>>,
}

#[derive(Debug)]
struct Running {
    origin: Arc<Origin>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Checks {
    /// Makes these origins the ones that are checked. A task whose origin is as it was runs on.
    pub fn keep(&self, origins: &[Arc<Origin>], connections: &Arc<Connections>) {
        let mut running = self.running.lock();
        let mut kept = HashMap::new();
        for origin in origins {
            let Some(check) = &origin.config.health_check else {
                // What was found before is not looked at again.
                origin.endpoints_unchecked();
                continue;
            };
            let old = running.remove(&origin.config.name).filter(|old| old.origin.is_same(origin));
            let one = old.unwrap_or_else(|| Running {
                origin: Arc::clone(origin),
                task: tokio::spawn(run(Arc::clone(origin), check.clone(), Arc::clone(connections))),
            });
            kept.insert(origin.config.name.clone(), one);
        }
        *running = kept;
    }
}

async fn run(origin: Arc<Origin>, check: HealthCheck, connections: Arc<Connections>) {
    loop {
        // Without an address there is nothing to check, and requests say so.
        if let Ok(endpoints) = origin.endpoints().await {
            // They end with this task.
            let mut asked = JoinSet::new();
            for endpoint in endpoints.iter() {
                let (origin, endpoint) = (Arc::clone(&origin), Arc::clone(endpoint));
                let (check, connections) = (check.clone(), Arc::clone(&connections));
                asked.spawn(async move {
                    let result = ask(&origin, &endpoint, &check, &connections).await;
                    note(&origin, &endpoint, &check, result.as_ref().map_err(String::as_str).copied());
                });
            }
            while asked.join_next().await.is_some() {}
        }
        tokio::time::sleep(check.interval).await;
    }
}

/// One check; the error says why it failed.
async fn ask(
    origin: &Origin,
    endpoint: &Endpoint,
    check: &HealthCheck,
    connections: &Connections,
) -> Result<(), String> {
    let mut peer = origin.peer_at(endpoint.address);
    peer.options.connection_timeout = Some(check.timeout);
    peer.options.total_connection_timeout = Some(check.timeout);
    let asked = fetch::status(connections, origin, peer, &check.path);
    match tokio::time::timeout(check.timeout, asked).await {
        Err(_elapsed) => Err("no answer in time".to_owned()),
        Ok(Err(why)) => Err(why),
        Ok(Ok(status)) if passes(status, check) => Ok(()),
        Ok(Ok(status)) => Err(format!("status {status}")),
    }
}

fn passes(status: u16, check: &HealthCheck) -> bool {
    if check.statuses.is_empty() { (200..400).contains(&status) } else { check.statuses.contains(&status) }
}

fn note(origin: &Origin, endpoint: &Endpoint, check: &HealthCheck, result: Result<(), &str>) {
    if let Some(metrics) = &origin.metrics {
        metrics.checked(result.is_ok());
    }
    if !endpoint.checked(result.is_ok(), check) {
        return;
    }
    let (origin, address) = (&origin.config.name, endpoint.address);
    match result {
        Ok(()) => tracing::info!(origin, %address, "an address passes its health checks again"),
        Err(why) => tracing::warn!(origin, %address, why, "an address is left out: its health checks fail"),
    }
}
