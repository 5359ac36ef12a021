//! What certificates are valid for: the names in them, as viewers compare them (RFC 9525, section 6).

use std::net::IpAddr;
use std::sync::Arc;

use x509_parser::extensions::GeneralName;

/// Of a handshake: of each certificate that it may have been shown, most often one.
pub type Shared = Box<[Arc<Names>]>;

/// The names in a certificate, in lower case and in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    exact: Vec<Box<str>>,
    /// What follows the `*` of wildcards, such as `.example.com`.
    wildcards: Vec<Box<str>>,
    addresses: Vec<IpAddr>,
}

impl Names {
    /// Those of a certificate in DER. Only alternative names count: a common name is none (RFC 9525, section 6.3).
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let mut names = Self::default();
        let Ok((_, leaf)) = x509_parser::parse_x509_certificate(certificate) else { return names };
        let Ok(Some(alternatives)) = leaf.subject_alternative_name() else { return names };
        for name in &alternatives.value.general_names {
            match name {
                GeneralName::DNSName(name) => {
                    let name = name.to_ascii_lowercase();
                    match name.strip_prefix('*') {
                        Some(parent) => names.wildcards.push(parent.into()),
                        None => names.exact.push(name.into()),
                    }
                }
                GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
                _ => {}
            }
        }
        names.exact.sort_unstable();
        names.wildcards.sort_unstable();
        names
    }

    /// Whether a host, in lower case and without port, is one of them. A wildcard stands for one label.
    #[must_use]
    pub fn cover(&self, host: &str) -> bool {
        if self.exact.binary_search_by(|name| (**name).cmp(host)).is_ok() {
            return true;
        }
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = literal.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        let parent = host.find('.').filter(|&at| at > 0).and_then(|at| host.get(at..));
        parent.is_some_and(|parent| self.wildcards.binary_search_by(|name| (**name).cmp(parent)).is_ok())
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label_and_a_common_name_for_nothing() {
        let mut params = rcgen::CertificateParams::new(
            ["Shop.test", "*.shop.test", "192.0.2.1", "2001:db8::1"].map(str::to_owned).to_vec(),
        )
        .unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "common.test");
        let key = rcgen::KeyPair::generate().unwrap();
        let names = Names::of(params.self_signed(&key).unwrap().der());
        for host in ["shop.test", "a.shop.test", "192.0.2.1", "[2001:db8::1]", "[2001:db8:0::1]"] {
            assert!(names.cover(host), "{host}");
        }
        for host in [
            "",
            ".",
            "test",
            ".shop.test",
            "a.b.shop.test",
            "xshop.test",
            "common.test",
            "192.0.2.2",
            "[2001:db8::2]",
            "*.test",
        ] {
            assert!(!names.cover(host), "{host}");
        }
        assert_eq!(Names::of(b"no certificate"), Names::default());
    }
}
