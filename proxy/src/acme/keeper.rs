//! Sees to it that there is a certificate for what the configuration wants: orders, keeps, renews. A task of its own; whoever
//! shows certificates takes them from the registry.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use edgeweir_config::Config;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use super::order::{self, OrderError};
use super::store::Failures;
use super::{Access, Registry, id, names, plan};
use crate::edge::{Core, Env};
use crate::fault::chain;
use crate::snapshot::build;
use crate::tls::{Shown, unix};

/// How often the plans are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Orders at the same time.
const AT_ONCE: usize = 4;
/// After a word about too many orders, there are none for so many seconds.
const RATE_LIMIT_PAUSE: i64 = 3_600;

/// What is planned for a certificate.
struct Plan {
    names: Vec<String>,
    /// When it is ordered, in seconds since 1970.
    due: i64,
    failures: Failures,
    at_work: bool,
}

/// An order that has ended.
struct Done {
    id: String,
    outcome: Result<Shown, OrderError>,
}

/// Runs until it is aborted.
pub(crate) async fn keep(core: Arc<Core>, env: Arc<Env>) {
    let registry = Arc::clone(&core.acme);
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut work = JoinSet::new();
    let mut plans = HashMap::new();
    let mut number = 0;
    loop {
        tokio::select! {
            Some(done) = work.join_next() => {
                // A panic leaves its plan at work: it is not tried again before the next start.
                if let Ok(done) = done {
                    settle(&core, &mut plans, done);
                }
                continue;
            }
            _ = ticks.tick() => {}
        }
        let snapshot = core.snapshot.load_full();
        if snapshot.number != number {
            number = snapshot.number;
            renew(&registry, &snapshot.config, &mut plans);
        }
        let Some(acme) = &snapshot.config.acme else { continue };
        let now = unix(core.clock.wall());
        for (id, plan) in &mut plans {
            if plan.at_work || plan.due > now || work.len() >= AT_ONCE {
                continue;
            }
            plan.at_work = true;
            let (registry, acme, env) = (Arc::clone(&registry), acme.clone(), Arc::clone(&env));
            let (id, names) = (id.clone(), plan.names.clone());
            work.spawn(async move {
                let outcome = order(&registry, &acme, &id, &names, &*env).await;
                Done { id, outcome }
            });
        }
    }
}

/// Makes plans for what another configuration wants; those that stay, stay.
fn renew(registry: &Registry, config: &Config, plans: &mut HashMap<String, Plan>) {
    let directory = config.acme.as_ref().map_or("", |acme| &acme.directory_url);
    let certificates = config.listeners.iter().flat_map(|listener| &listener.certificates);
    let fetched = certificates.filter(|certificate| certificate.acme);
    let wanted: Vec<(String, Vec<String>)> = fetched
        .map(|certificate| {
            let names = names(&certificate.hosts);
            (id(directory, &names), names)
        })
        .collect();
    plans.retain(|known, _| wanted.iter().any(|(id, _)| id == known));
    registry.retain(&wanted);
    for (id, names) in wanted {
        plans.entry(id).or_insert_with_key(|id| {
            let failures = registry.store.failures(id);
            let shown = Access { registry, directory }.fetched(&names);
            let due = shown.map_or(0, |shown| renewal(&shown)).max(failures.not_before);
            Plan { names, due, failures, at_work: false }
        });
    }
}

async fn order(
    registry: &Arc<Registry>,
    acme: &edgeweir_config::Acme,
    id: &str,
    names: &[String],
    env: &Env,
) -> Result<Shown, OrderError> {
    let external = acme.external_account.as_ref();
    let secret = external.map(|external| build::secret(&external.hmac_key, env)).transpose();
    let issued = order::fetch(registry, acme, names, secret.map_err(OrderError::Secret)?).await?;
    let (registry, id) = (Arc::clone(registry), id.to_owned());
    let kept = tokio::task::spawn_blocking(move || registry.store.take_certificate(&id, &issued.key, &issued.chain));
    let (shown, problem) = kept.await.map_err(|_stopped| OrderError::Stopped)??;
    if let Some(error) = problem {
        tracing::error!(names = names.join(","), %error, "a certificate was fetched and cannot be kept in the state folder");
    }
    Ok(shown)
}

/// Puts what came of an order into the registry and plans the next.
fn settle(core: &Core, plans: &mut HashMap<String, Plan>, done: Done) {
    core.metrics.certificate_ordered(done.outcome.is_ok());
    // The configuration may not want it any more.
    let Some(plan) = plans.get_mut(&done.id) else { return };
    plan.at_work = false;
    let names = plan.names.join(",");
    match done.outcome {
        Ok(shown) => {
            plan.failures = Failures::default();
            plan.due = renewal(&shown);
            tracing::info!(names, "certificate fetched");
            core.acme.keep(&done.id, &Arc::new(shown));
        }
        Err(error) => {
            let now = unix(core.clock.wall());
            plan.failures.count += 1;
            let pause =
                plan::pause(plan.failures.count, spread(format!("{}{}", done.id, plan.failures.count).as_bytes()));
            let pause = if error.is_rate_limit() { pause.max(RATE_LIMIT_PAUSE) } else { pause };
            plan.due = now.saturating_add(pause);
            plan.failures.not_before = plan.due;
            let error = chain(&error);
            tracing::error!(names, %error, failures = plan.failures.count, again_in_seconds = pause, "no certificate");
        }
    }
    if let Err(error) = core.acme.store.keep_failures(&done.id, plan.failures) {
        tracing::warn!(names, %error, "it cannot be kept when the next order is due");
    }
}

fn renewal(shown: &Shown) -> i64 {
    plan::renewal(shown.validity, shown.key.cert.first().map_or(0, |leaf| spread(leaf)))
}

/// A number that is as good as random, and always the same for the same thing.
fn spread(bytes: &[u8]) -> u16 {
    let digest = Sha256::digest(bytes);
    u16::from_be_bytes([digest[0], digest[1]])
}
