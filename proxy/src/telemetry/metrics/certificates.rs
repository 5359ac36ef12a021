//! Certificates that are shown to viewers: when they expire, and whether new ones could be taken.

use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::encode::Page;
use super::{MAX_LABEL_SETS, Metrics, StoreMetrics, tables};

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    shown: Mutex<Vec<CertificateGauge>>,
    loads: Mutex<BTreeMap<Box<str>, Arc<StoreMetrics>>>,
    ordered: AtomicU64,
    not_ordered: AtomicU64,
}

/// A certificate that is shown now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateGauge {
    /// Where the listener listens.
    pub listener: String,
    /// Its file, or its names.
    pub certificate: String,
    /// `file`, `acme` or `stand-in`.
    pub source: &'static str,
    /// When it expires, in seconds since 1970.
    pub not_after: u64,
}

impl Metrics {
    /// Sets which certificates are shown; at most [`MAX_LABEL_SETS`] of them are told.
    pub fn set_certificates(&self, mut shown: Vec<CertificateGauge>) {
        shown.truncate(MAX_LABEL_SETS);
        *self.tables.certificates.shown.lock() = shown;
    }

    /// Changed files of a certificate were read.
    pub fn certificate_loaded(&self, certificate: &str, ok: bool) {
        let mut loads = self.tables.certificates.loads.lock();
        tables::capped(&mut loads, Box::from(certificate), "other".into(), Default::default).loaded(ok);
    }

    /// An order for a certificate has ended.
    pub fn certificate_ordered(&self, ok: bool) {
        let certificates = &self.tables.certificates;
        let counter = if ok { &certificates.ordered } else { &certificates.not_ordered };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Certificates {
    pub(super) fn encode(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let shown = self.shown.lock();
        let gauges = shown.iter().map(|shown| {
            let labels = [
                ("listener", shown.listener.clone()),
                ("certificate", shown.certificate.clone()),
                ("source", shown.source.to_owned()),
            ];
            (labels, shown.not_after)
        });
        let help = "When the certificates that are shown to viewers expire, in seconds since 1970.";
        page.gauges("edgeweir_certificate_expiry_timestamp_seconds", help, gauges)?;
        let loads = self.loads.lock();
        let loads = loads.iter().flat_map(|(certificate, metrics)| {
            [("ok", &metrics.ok), ("failed", &metrics.failed)].map(|(result, count)| {
                let labels = [("certificate", certificate.to_string()), ("result", result.to_owned())];
                (labels, count.load(Ordering::Relaxed))
            })
        });
        page.counters("edgeweir_certificate_loads", "Changed certificate files that were read.", loads)?;
        let orders = [("ok", &self.ordered), ("failed", &self.not_ordered)];
        let orders = orders.map(|(result, count)| ([("result", result.to_owned())], count.load(Ordering::Relaxed)));
        page.counters("edgeweir_acme_orders", "Orders of certificates by ACME.", orders)
    }
}
