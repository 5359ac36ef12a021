//! One certificate of a listener: what is shown now, and the files that replace it when they change.
//!
//! Handshakes take an `Arc` of it; a new certificate is swapped in with its key, so nobody ever sees half of a pair.

use std::sync::Arc;

use arc_swap::ArcSwap;
use edgeweir_config::{Certificate, CertificateFiles};
use parking_lot::Mutex;
use rustls::sign::CertifiedKey;

use super::TlsError;
use super::names::Names;
use super::pem::{self, Pair, Validity};
use crate::acme::Access;
use crate::files::Stamp;

/// Looks that a pair which does not match yet is given: whoever replaces the one file is at work on the other.
const PATIENCE: u32 = 10;

/// What is shown to viewers.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) validity: Validity,
    pub(crate) names: Arc<Names>,
    pub(crate) source: Source,
}

/// Where a certificate is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Two files of the configuration.
    Files,
    /// The authority.
    Acme,
    /// The edge has made it, until it has one of the authority.
    StandIn,
}

impl Source {
    /// As metrics name it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Files => "file",
            Self::Acme => "acme",
            Self::StandIn => "stand-in",
        }
    }
}

impl Shown {
    pub(crate) fn new(pair: Pair, source: Source) -> Self {
        Self::of(Arc::new(pair.key), pair.validity, source)
    }

    fn of(key: Arc<CertifiedKey>, validity: Validity, source: Source) -> Self {
        let names = Arc::new(key.cert.first().map(|leaf| Names::of(leaf)).unwrap_or_default());
        Self { key, validity, names, source }
    }
}

/// What became of a look at the files.
#[derive(Debug)]
pub(crate) enum Look {
    /// Nothing that is worth a word.
    Same,
    /// They changed, and are shown from now on.
    Replaced,
    /// They changed and cannot be used; what was shown stays. Told once for each change.
    Failed(TlsError),
}

/// A certificate of a listener.
#[derive(Debug)]
pub(crate) struct Slot {
    /// As logs and metrics call it: its file, or its names.
    pub(crate) name: Box<str>,
    /// The names that it is fetched for, in lower case and in order; none if it is not fetched.
    pub(crate) names: Vec<String>,
    files: Option<CertificateFiles>,
    shown: ArcSwap<Shown>,
    watched: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    /// The files as they were when they were read last.
    seen: Option<[Option<Stamp>; 2]>,
    /// What was wrong then and has not been told, and the looks since.
    problem: Option<(TlsError, u32)>,
}

impl Slot {
    /// Reads a certificate, or takes the one that was fetched, or a stand-in.
    pub(super) fn open(certificate: &Certificate, acme: Option<Access<'_>>) -> Result<Self, TlsError> {
        let names = if certificate.acme { crate::acme::names(&certificate.hosts) } else { Vec::new() };
        let mut watched = Watched::default();
        let files = match &certificate.files {
            Some(files) => {
                watched.seen = Some(stamps(files));
                let pair = pem::read_pair(&files.certificate, &files.key)?;
                Some(Arc::new(Shown::new(pair, Source::Files)))
            }
            None => None,
        };
        let fetched = acme.filter(|_acme| certificate.acme).and_then(|acme| acme.fetched(&names));
        let shown = match (fetched, files, acme) {
            (Some(shown), _, _) | (None, Some(shown), _) => shown,
            (None, None, Some(acme)) => acme.stand_in(&names)?,
            (None, None, None) => Arc::new(stand_in(&names)?),
        };
        let name = match &certificate.files {
            Some(files) => files.certificate.display().to_string(),
            None => names.join(","),
        };
        Ok(Self {
            name: name.into(),
            names,
            files: certificate.files.clone(),
            shown: ArcSwap::new(shown),
            watched: Mutex::new(watched),
        })
    }

    #[cfg(test)]
    pub(super) fn of(shown: Shown) -> Self {
        Self {
            name: "test".into(),
            names: Vec::new(),
            files: None,
            shown: ArcSwap::from_pointee(shown),
            watched: Mutex::default(),
        }
    }

    /// What is shown now.
    pub(crate) fn shown(&self) -> Arc<Shown> {
        self.shown.load_full()
    }

    /// The certificate with its key.
    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.shown.load().key)
    }

    /// Shows another certificate from now on.
    pub(crate) fn show(&self, shown: Arc<Shown>) {
        self.shown.store(shown);
    }

    /// Looks at the files, and shows what is in them if they changed. Blocks.
    pub(crate) fn look(&self) -> Look {
        let Some(files) = &self.files else { return Look::Same };
        let now = Some(stamps(files));
        let mut watched = self.watched.lock();
        if watched.seen == now {
            return match &mut watched.problem {
                Some((error, looks)) => {
                    *looks += 1;
                    let patience = if matches!(error, TlsError::Mismatch { .. }) { PATIENCE } else { 1 };
                    if *looks < patience {
                        return Look::Same;
                    }
                    watched.problem.take().map_or(Look::Same, |(error, _)| Look::Failed(error))
                }
                None => Look::Same,
            };
        }
        watched.seen = now;
        match pem::read_pair(&files.certificate, &files.key) {
            Ok(pair) => {
                watched.problem = None;
                if self.shown.load().source == Source::Acme {
                    // They were for the time before it.
                    return Look::Same;
                }
                self.show(Arc::new(Shown::new(pair, Source::Files)));
                Look::Replaced
            }
            // Told at the next look, unless they change again: a file may be half written.
            Err(error) => {
                watched.problem = Some((error, 0));
                Look::Same
            }
        }
    }
}

fn stamps(files: &CertificateFiles) -> [Option<Stamp>; 2] {
    [Stamp::at(&files.certificate), Stamp::at(&files.key)]
}

/// A certificate for these names that nobody trusts.
pub(crate) fn stand_in(names: &[String]) -> Result<Shown, TlsError> {
    let mut params = rcgen::CertificateParams::new(names.to_vec()).map_err(TlsError::Made)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Edgeweir: no certificate yet");
    let validity =
        Validity { not_before: params.not_before.unix_timestamp(), not_after: params.not_after.unix_timestamp() };
    Ok(Shown::of(pem::self_signed(&params)?, validity, Source::StandIn))
}
