//! Certificates, and the authority that they can be fetched from.

use std::path::Path;

use super::secret;
use crate::model::{Acme, Certificate, CertificateFiles, ExternalAccount};
use crate::schema::{self, File};

/// The directory of Let's Encrypt.
const DEFAULT_DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

pub(super) fn acme(file: &File, base: &Path) -> Option<Acme> {
    let written = file.acme.value()?;
    let external_account = written.external_account.value().and_then(|account| {
        Some(ExternalAccount {
            key_id: account.key_id.value()?.0.clone(),
            hmac_key: secret(&account.hmac_key.value()?.0, base),
        })
    });
    Some(Acme {
        directory_url: written.directory_url.value().map_or_else(|| DEFAULT_DIRECTORY.to_owned(), |url| url.0.clone()),
        email: written.email.value().map(|email| email.0.clone()),
        challenge: written.challenge.value().copied().unwrap_or_default(),
        ca_file: written.ca_file.value().map(|path| base.join(&path.0)),
        external_account,
    })
}

pub(super) fn certificate(written: &schema::Certificate, base: &Path) -> Certificate {
    let hosts = written.hosts.value().map_or(&[][..], |list| list.items.as_slice());
    let files = match (written.certificate.value(), written.key.value()) {
        (Some(certificate), Some(key)) => {
            Some(CertificateFiles { certificate: base.join(&certificate.0), key: base.join(&key.0) })
        }
        _ => None,
    };
    Certificate {
        // `*` is what a certificate without hosts is for.
        hosts: hosts.iter().map(|host| host.get_ref().0.clone()).collect(),
        files,
        acme: written.acme.value().copied().unwrap_or(false),
    }
}
