//! Who may do what over TCP: the `Host` check against DNS rebinding and the bearer token.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, Method};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The rules of one TCP listener.
pub(super) struct Gate {
    address: IpAddr,
    /// SHA-256 of the token: comparing digests tells nothing about the token's length.
    token: Mutex<Option<[u8; 32]>>,
}

/// What the gate says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on.
    Pass,
    /// 421: a name that an attacker could point at this listener.
    WrongHost,
    /// 401: the token is missing or wrong.
    NoToken,
    /// 403: state cannot be changed here, there is no token.
    Closed,
}

impl Gate {
    /// `address` is where the listener is bound.
    pub(super) fn new(address: IpAddr, token: Option<&str>) -> Self {
        let gate = Self { address, token: Mutex::default() };
        gate.set_token(token);
        gate
    }

    /// Another token counts from now on.
    pub(super) fn set_token(&self, token: Option<&str>) {
        *self.token.lock() = token.map(|token| Sha256::digest(token).into());
    }

    /// Checks a request.
    pub(super) fn check(&self, method: &Method, headers: &HeaderMap) -> Verdict {
        let expected = *self.token.lock();
        let authorized = expected.is_some_and(|expected| authorized(headers, &expected));
        // A page that was rebound to this address cannot know the token.
        if !authorized && !self.known_host(headers) {
            return Verdict::WrongHost;
        }
        if authorized || matches!(*method, Method::GET | Method::HEAD) {
            return Verdict::Pass;
        }
        if expected.is_some() { Verdict::NoToken } else { Verdict::Closed }
    }

    /// A loopback name or address, or the address of the listener. Names of the DNS are never believed: whoever owns
    /// one can point it here and make a browser in this network read answers.
    fn known_host(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let Ok(authority) = host.as_bytes().try_into() as Result<http::uri::Authority, _> else { return false };
        let name = authority.host();
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        // A literal address cannot be rebound; with a wildcard bind any of them may be ours.
        literal
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback() || address == self.address || self.address.is_unspecified())
    }
}

/// Whether the caller has the token (RFC 6750, Section 2.1).
fn authorized(headers: &HeaderMap, expected: &[u8; 32]) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, token)) = given.and_then(|given| given.split_once(' ')) else { return false };
    let digest: [u8; 32] = Sha256::digest(token.trim()).into();
    scheme.eq_ignore_ascii_case("bearer") && digest.ct_eq(expected).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, token: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token.parse().unwrap());
        }
        headers
    }

    #[test]
    fn hosts() {
        let loopback = Gate::new("127.0.0.1".parse().unwrap(), None);
        let lan = Gate::new("10.0.0.5".parse().unwrap(), None);
        let any = Gate::new("::".parse().unwrap(), None);
        for (gate, host, expected) in [
            (&loopback, "127.0.0.1:9090", Verdict::Pass),
            (&loopback, "localhost:9090", Verdict::Pass),
            (&loopback, "LOCALHOST", Verdict::Pass),
            (&loopback, "[::1]:9090", Verdict::Pass),
            (&loopback, "10.0.0.5", Verdict::WrongHost),
            (&loopback, "attacker.test:9090", Verdict::WrongHost),
            (&loopback, "127.0.0.1.attacker.test", Verdict::WrongHost),
            (&loopback, "localhost.attacker.test", Verdict::WrongHost),
            (&loopback, "", Verdict::WrongHost),
            (&lan, "10.0.0.5:9090", Verdict::Pass),
            (&lan, "10.0.0.6:9090", Verdict::WrongHost),
            (&any, "10.0.0.6:9090", Verdict::Pass),
            (&any, "edge.example.com", Verdict::WrongHost),
        ] {
            assert_eq!(gate.check(&Method::GET, &headers(host, None)), expected, "{host}");
        }
        assert_eq!(loopback.check(&Method::GET, &HeaderMap::new()), Verdict::WrongHost);
        let mut two = headers("localhost", None);
        two.append(HOST, "attacker.test".parse().unwrap());
        assert_eq!(loopback.check(&Method::GET, &two), Verdict::WrongHost);
    }

    #[test]
    fn tokens() {
        let open = Gate::new("127.0.0.1".parse().unwrap(), None);
        let closed = Gate::new("127.0.0.1".parse().unwrap(), Some("correct horse"));
        for (gate, token, expected) in [
            (&open, None, Verdict::Closed),
            (&open, Some("Bearer "), Verdict::Closed),
            (&closed, None, Verdict::NoToken),
            (&closed, Some("Bearer wrong"), Verdict::NoToken),
            (&closed, Some("Bearer correct horse battery"), Verdict::NoToken),
            (&closed, Some("Basic correct horse"), Verdict::NoToken),
            (&closed, Some("correct horse"), Verdict::NoToken),
            (&closed, Some("Bearer correct horse"), Verdict::Pass),
            (&closed, Some("bearer correct horse"), Verdict::Pass),
        ] {
            assert_eq!(gate.check(&Method::POST, &headers("localhost", token)), expected, "{token:?}");
            assert_eq!(gate.check(&Method::GET, &headers("localhost", token)), Verdict::Pass);
        }
        let token = headers("edge.example.com", Some("Bearer correct horse"));
        assert_eq!(closed.check(&Method::GET, &token), Verdict::Pass);
        closed.set_token(Some("battery staple"));
        assert_eq!(closed.check(&Method::POST, &token), Verdict::WrongHost);
        let token = headers("localhost", Some("Bearer battery staple"));
        assert_eq!(closed.check(&Method::POST, &token), Verdict::Pass);
        closed.set_token(None);
        assert_eq!(closed.check(&Method::POST, &token), Verdict::Closed);
    }
}
