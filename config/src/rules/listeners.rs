//! Listeners, their certificates, and the admin address.

use std::collections::HashMap;

use crate::decode::{Field, List};
use crate::model::{AcmeChallenge, SecretSource};
use crate::report::{Problem, Report};
use crate::rules::first_or_report;
use crate::schema::{Certificate, File, Listener};

pub(super) fn check(file: &File, out: &mut Report) {
    let mut seen = HashMap::new();
    if let Some(listeners) = file.listeners.given() {
        if listeners.get_ref().items.is_empty() && !listeners.get_ref().broken {
            out.push(
                Problem::error("empty-list", listeners.span(), "no listeners")
                    .help("remove the key for one listener on 127.0.0.1:8080"),
            );
        }
        for listener in &listeners.get_ref().items {
            if let Some(address) = listener.get_ref().address.given() {
                let at = address.get_ref().0;
                // Port 0 is a new port each time.
                if at.port() != 0 {
                    first_or_report(&mut seen, at, address.span(), || format!("two listeners on {at}"), out);
                }
            }
            check_tls(listener.get_ref(), out);
            check_challenge(file, listener.get_ref(), out);
            if let Some(proxy) = listener.get_ref().proxy_protocol.given()
                && *proxy.get_ref()
                && nobody_is_trusted(file)
            {
                out.push(
                    Problem::error("nobody-trusted", proxy.span(), "nobody may connect to this listener")
                        .label("needs `trusted_proxies`")
                        .help("add `trusted_proxies = [ … ]` at the top of the file, with the balancer's address"),
                );
            }
        }
    }
    let Some(admin) = file.admin.value() else { return };
    let Some(address) = admin.address.given() else { return };
    let at = address.get_ref().0;
    if let Some(listener) = seen.get(&at) {
        out.push(
            Problem::error("duplicate", address.span(), format!("a listener for viewers is on {at} too"))
                .also(listener.clone(), "listener here"),
        );
    }
    if !at.ip().is_loopback() && admin.token.is_absent() {
        out.push(
            Problem::error("open-admin", address.span(), "an admin address that others can reach needs a token")
                .label("not a loopback address")
                .help("add `token = { file = \"…\" }`, or use 127.0.0.1"),
        );
    }
    if let Some(token) = admin.token.given()
        && let SecretSource::Inline(text) = &token.get_ref().0
        && !text.bytes().all(|b| b.is_ascii_graphic())
    {
        out.push(Problem::error(
            "bad-value",
            token.span(),
            "a bearer token has visible ASCII characters without spaces",
        ));
    }
}

fn nobody_is_trusted(file: &File) -> bool {
    match &file.trusted_proxies {
        Field::Absent => true,
        Field::Broken => false,
        Field::Given(list) => list.get_ref().items.is_empty() && !list.get_ref().broken,
    }
}

/// An authority that asks by TLS has no certificate to show.
fn check_challenge(file: &File, listener: &Listener, out: &mut Report) {
    let challenge = file.acme.value().and_then(|acme| acme.challenge.given());
    let by_tls = challenge.filter(|challenge| *challenge.get_ref() == AcmeChallenge::TlsAlpn01);
    let (Some(challenge), Some(viewers)) = (by_tls, listener.viewer_certificates.given()) else { return };
    let fetched = |certificate: &toml::Spanned<Certificate>| certificate.get_ref().acme.value() == Some(&true);
    let fetches = listener.certificates.value().is_some_and(|list| list.items.iter().any(fetched));
    if fetches && viewers.get_ref().required.value() != Some(&false) {
        out.push(
            Problem::error("conflict", viewers.span(), "no certificate can be fetched for this listener")
                .label("also asked of the authority, which has none")
                .also(challenge.span(), "the authority shakes hands here")
                .help("use `challenge = \"http-01\"`, or `required = false`"),
        );
    }
}

fn check_tls(listener: &Listener, out: &mut Report) {
    let certificates = match &listener.certificates {
        Field::Given(list) => list.get_ref(),
        Field::Broken => return,
        Field::Absent => &List { items: Vec::new(), broken: false },
    };
    if certificates.items.is_empty() && !certificates.broken {
        let min_tls = listener.min_tls.given().map(|given| ("min_tls", given.span()));
        let sni = listener.sni_must_match.given().map(|given| ("sni_must_match", given.span()));
        if let Some(viewers) = listener.viewer_certificates.given() {
            out.push(
                Problem::error("needs-tls", viewers.span(), "viewers cannot show certificates without TLS")
                    .help("add `certificates`, or remove `viewer_certificates`"),
            );
        }
        for (key, span) in min_tls.into_iter().chain(sni) {
            out.push(
                Problem::warning("no-effect", span, format!("`{key}` does nothing without certificates"))
                    .help(format!("add `certificates`, or remove `{key}`")),
            );
        }
    }
    let mut hosts = HashMap::new();
    let mut default = HashMap::new();
    for certificate in &certificates.items {
        let Certificate { hosts: names, .. } = certificate.get_ref();
        match names.given() {
            Some(names) if !names.get_ref().items.is_empty() => {
                for name in &names.get_ref().items {
                    let message = || format!("two certificates of a listener for `{}`", name.get_ref().0);
                    first_or_report(&mut hosts, name.get_ref().0.clone(), name.span(), message, out);
                }
            }
            Some(names) if names.get_ref().broken => {}
            _ => first_or_report(
                &mut default,
                (),
                certificate.span(),
                || "two certificates of a listener without hosts".to_owned(),
                out,
            ),
        }
    }
}
