//! Where certificates come from: two files, or an authority that can prove the names.

use std::net::IpAddr;
use std::ops::Range;

use crate::decode::Field;
use crate::model::AcmeChallenge;
use crate::report::{Problem, Report};
use crate::schema::{Acme, Certificate, File};

/// Most names of one certificate: what Let's Encrypt takes.
const MAX_HOSTS: usize = 100;

pub(super) fn check(file: &File, out: &mut Report) {
    let mut wanted = None;
    let mut plain = false;
    for listener in file.listeners.value().iter().flat_map(|list| &list.items) {
        let certificates = listener.get_ref().certificates.value();
        plain |= listener.get_ref().certificates.is_absent() || certificates.is_some_and(|list| list.items.is_empty());
        for certificate in certificates.iter().flat_map(|list| &list.items) {
            files(certificate.get_ref(), certificate.span(), out);
            if let Some(acme) = certificate.get_ref().acme.given().filter(|acme| *acme.get_ref()) {
                hosts(certificate.get_ref(), certificate.span(), out);
                wanted.get_or_insert(acme.span());
            }
        }
    }
    match (&file.acme, wanted) {
        (Field::Absent, Some(span)) => out.push(
            Problem::error("missing-key", span, "no authority to fetch the certificate from")
                .help("add a table `[acme]` with `email = \"…\"` and `agree_to_terms = true`"),
        ),
        (Field::Given(acme), None) => out.push(
            Problem::warning("no-effect", acme.span(), "`acme` does nothing: no certificate is fetched")
                .help("add `acme = true` to a certificate of a listener, or remove the table"),
        ),
        (Field::Given(written), Some(_)) => {
            let challenge = written.get_ref().challenge.value().copied().unwrap_or_default();
            if challenge == AcmeChallenge::Http01 && !plain && !written.get_ref().challenge.is_broken() {
                out.push(
                    Problem::warning("no-plain-listener", written.span(), "no listener speaks plain HTTP")
                        .label("the authority asks port 80 of each name")
                        .help("add a listener without certificates, or use `challenge = \"tls-alpn-01\"`"),
                );
            }
        }
        _ => {}
    }
    if let Some(written) = file.acme.value() {
        authority(written, out);
    }
}

/// Two files, or an authority.
fn files(certificate: &Certificate, span: Range<usize>, out: &mut Report) {
    let acme = certificate.acme.is_broken() || certificate.acme.value() == Some(&true);
    for (key, here, other) in [
        ("certificate", certificate.certificate.is_absent(), certificate.key.is_absent()),
        ("key", certificate.key.is_absent(), certificate.certificate.is_absent()),
    ] {
        if here && !(acme && other) {
            let help = if other { "or add `acme = true`, which fetches it from the authority in `[acme]`" } else { "" };
            let problem = Problem::error("missing-key", span.clone(), format!("missing key `{key}`"))
                .label(format!("`{key}` is required here"));
            out.push(if help.is_empty() { problem } else { problem.help(help) });
        }
    }
}

/// Names that can be proven.
fn hosts(certificate: &Certificate, span: Range<usize>, out: &mut Report) {
    let Some(hosts) = certificate.hosts.given().filter(|hosts| !hosts.get_ref().items.is_empty()) else {
        if !certificate.hosts.is_broken() && !certificate.hosts.value().is_some_and(|hosts| hosts.broken) {
            let message = "a certificate that is fetched needs `hosts`";
            out.push(Problem::error("bad-acme", span, message).help("write the names it is for"));
        }
        return;
    };
    for host in &hosts.get_ref().items {
        let name = host.get_ref().0.as_str();
        if name.contains('*') {
            let message =
                format!("`{name}` cannot be proven: only the DNS challenge, which the edge does not speak, can");
            let help = "write the names one by one, or fetch the certificate by other means and name its files";
            out.push(Problem::error("bad-acme", host.span(), message).help(help));
        } else if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            let message = format!("`{name}` is an address: certificates are fetched for names");
            out.push(Problem::error("bad-acme", host.span(), message));
        }
    }
    if hosts.get_ref().items.len() > MAX_HOSTS {
        let message =
            format!("{} names in a certificate that is fetched, at most {MAX_HOSTS}", hosts.get_ref().items.len());
        out.push(Problem::error("too-many", hosts.span(), message).help("make several certificates of them"));
    }
}

fn authority(acme: &Acme, out: &mut Report) {
    if let Some(agreed) = acme.agree_to_terms.given().filter(|agreed| !*agreed.get_ref()) {
        out.push(
            Problem::error("bad-acme", agreed.span(), "no certificate is given without agreement to the terms")
                .help("read the authority's terms of service, then write `true`"),
        );
    }
    if let Some(url) = acme.directory_url.given() {
        let text = url.get_ref().0.as_str();
        let good = text.strip_prefix("https://").is_some_and(|rest| {
            !rest.is_empty()
                && !rest.starts_with('/')
                && rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@')
        });
        if !good {
            let message = "the directory is at an `https://` URL";
            out.push(Problem::error("bad-value", url.span(), message).help(
                "for example `\"https://acme-v02.api.letsencrypt.org/directory\"` (RFC 8555, section 6.1, wants https)",
            ));
        }
    }
    if let Some(email) = acme.email.given() {
        let text = email.get_ref().0.as_str();
        let (name, host) = text.split_once('@').unwrap_or_default();
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b",?&%".contains(&byte));
        if name.is_empty() || host.is_empty() || host.contains('@') || !plain {
            let message = "this is not one e-mail address";
            out.push(Problem::error("bad-value", email.span(), message).help("as in `\"ops@example.com\"`"));
        }
    }
}
