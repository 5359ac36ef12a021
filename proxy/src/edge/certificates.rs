//! Keeps the certificates of listeners as they should be: changed files are read, what was fetched is shown, and it is told
//! in time what expires. Off the data path.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use edgeweir_config::{Config, Problem};

use super::Env;
use super::core::Core;
use super::listeners::Listeners;
use crate::acme::Access;
use crate::fault::chain;
use crate::snapshot::build;
use crate::telemetry::metrics::CertificateGauge;
use crate::tls::slot::Source;
use crate::tls::{Look, Slot, unix};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is told what expires, in seconds.
const WARNING: i64 = 86_400;

/// Runs until it is aborted.
pub(super) async fn watch(core: Arc<Core>, listeners: Arc<Listeners>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // What expires was told at the start.
    let mut warned = unix(core.clock.wall());
    loop {
        ticks.tick().await;
        let slots: Vec<Arc<Slot>> = listeners.certificates().into_iter().map(|(_, slot)| slot).collect();
        if slots.is_empty() {
            continue;
        }
        show_fetched(&core, &slots);
        let now = core.clock.wall();
        if unix(now) >= warned + WARNING {
            warned = unix(now);
            warn(&slots, now);
        }
        let looking = Arc::clone(&core);
        // Only a panic ends this early, and then the next turn tries again.
        let _done = tokio::task::spawn_blocking(move || slots.iter().for_each(|slot| look(&looking, slot))).await;
    }
}

/// Here and not where they are fetched: a reload may just have made the listeners anew.
fn show_fetched(core: &Core, slots: &[Arc<Slot>]) {
    let snapshot = core.snapshot.load();
    let Some(acme) = &snapshot.config.acme else { return };
    let access = Access { registry: &core.acme, directory: &acme.directory_url };
    for slot in slots.iter().filter(|slot| !slot.names.is_empty()) {
        if let Some(fetched) = access.known(&slot.names)
            && !Arc::ptr_eq(&fetched, &slot.shown())
        {
            slot.show(fetched);
        }
    }
}

fn look(core: &Core, slot: &Slot) {
    match slot.look() {
        Look::Same => {}
        Look::Replaced => {
            core.metrics.certificate_loaded(&slot.name, true);
            tracing::info!(certificate = &*slot.name, "certificate read again");
            warn_of(slot, core.clock.wall());
        }
        Look::Failed(error) => {
            core.metrics.certificate_loaded(&slot.name, false);
            let error = chain(&error);
            tracing::error!(certificate = &*slot.name, %error, "certificate not renewed: the old one stays");
        }
    }
}

/// Tells which of them are not valid now, or not for long.
pub(super) fn warn(slots: &[Arc<Slot>], now: SystemTime) {
    slots.iter().for_each(|slot| warn_of(slot, now));
}

fn warn_of(slot: &Slot, now: SystemTime) {
    let shown = slot.shown();
    if shown.source != Source::StandIn
        && let Some(warning) = shown.validity.warning(&format!("the certificate `{}`", slot.name), unix(now))
    {
        tracing::warn!("{warning}");
    }
}

/// For a scrape.
pub(super) fn gauges(listeners: &Listeners) -> Vec<CertificateGauge> {
    let gauge = |(listener, slot): (std::net::SocketAddr, Arc<Slot>)| {
        let shown = slot.shown();
        CertificateGauge {
            listener: listener.to_string(),
            certificate: slot.name.to_string(),
            source: shown.source.as_str(),
            not_after: u64::try_from(shown.validity.not_after).unwrap_or_default(),
        }
    };
    listeners.certificates().into_iter().map(gauge).collect()
}

/// What keeps certificates from being fetched and can be known before: files and secrets of the authority.
pub(super) fn check_authority(config: &Config, env: &Env) -> Vec<Problem> {
    let Some(acme) = &config.acme else { return Vec::new() };
    let mut problems = Vec::new();
    if let Some(Err(error)) = acme.ca_file.as_deref().map(|file| crate::acme::roots(Some(file))) {
        let place = config.source.place(&["acme", "ca_file"]);
        problems.push(Problem::error("unusable", place, chain(&error)));
    }
    if let Some(external) = &acme.external_account
        && let Err(problem) = build::secret(&external.hmac_key, env)
    {
        let place = config.source.place(&["acme", "external_account", "hmac_key"]);
        problems.push(Problem::error("unusable", place, format!("external account: {problem}")));
    }
    problems
}
