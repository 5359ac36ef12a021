//! CloudFront's signed URLs and signed cookies ("Serve private content with signed URLs and signed cookies"): what one says,
//! whether its policy allows a request, and whose signature it has. Knows neither requests nor configurations.

mod encoding;
mod keys;
mod policy;
mod sign;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

pub use encoding::{decode, encode};
pub use keys::{Hash, KeyError, PublicKey};
pub use policy::{Policy, Url, canned};
pub use sign::PrivateKey;

/// Parameters of the query that are CloudFront's; cookies have the same names after [`COOKIE_PREFIX`].
pub const PARAMETERS: [&str; 5] = ["Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"];
/// Starts the names of signed cookies.
pub const COOKIE_PREFIX: &str = "CloudFront-";

const EXPIRES: usize = 0;
const POLICY: usize = 1;
const SIGNATURE: usize = 2;
const KEY_PAIR_ID: usize = 3;
const HASH_ALGORITHM: usize = 4;

/// Public keys by their id. They are few, and looked at in turn.
#[derive(Debug, Default)]
pub struct Keyring(pub Vec<(Box<str>, Arc<PublicKey>)>);

impl Keyring {
    fn find(&self, id: &str) -> Option<&PublicKey> {
        self.0.iter().find(|(known, _)| **known == *id).map(|(_, key)| &**key)
    }
}

/// Why a request is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No key is named: most likely nothing is signed.
    Missing,
    /// Not a signature of a trusted key over this, or nothing that can be read.
    Invalid,
    /// It was good until some time ago.
    Expired,
    /// The policy is about another time, address or resource.
    Denied,
}

/// What a signed URL or a set of signed cookies says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Signed<'a>([Option<Cow<'a, str>>; PARAMETERS.len()]);

impl<'a> Signed<'a> {
    /// Of a query. None if it has none of the parameters.
    ///
    /// # Errors
    /// If one of them is there twice: it would be unclear what is signed.
    pub fn of_query(query: &'a str) -> Result<Option<Self>, Refusal> {
        let mut found = Self::default();
        for pair in query.split('&') {
            let Some(at) = reserved(pair) else { continue };
            let value = pair.split_once('=').map_or("", |(_, value)| value);
            if found.0.get_mut(at).and_then(|place| place.replace(unescaped(value))).is_some() {
                return Err(Refusal::Invalid);
            }
        }
        Ok((found != Self::default()).then_some(found))
    }

    /// Of the cookies of a request, each as `name=value`. The first of two with one name counts: browsers send that of the
    /// longer path first (RFC 6265, 5.4).
    #[must_use]
    pub fn of_cookies(cookies: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut found = Self::default();
        for cookie in cookies {
            let Some((at, value)) = reserved_cookie(cookie) else { continue };
            if let Some(place) = found.0.get_mut(at)
                && place.is_none()
            {
                *place = Some(Cow::Borrowed(value.trim_matches('"')));
            }
        }
        (found != Self::default()).then_some(found)
    }

    fn get(&self, at: usize) -> Option<&str> {
        self.0.get(at)?.as_deref().filter(|value| !value.is_empty())
    }

    /// Whether it lets a viewer at `client` have `url` at `now`, in seconds since 1970. What is cheap is asked first.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, url: &Url<'_>, client: IpAddr, now: u64, keys: &Keyring) -> Result<(), Refusal> {
        let id = self.get(KEY_PAIR_ID).ok_or(Refusal::Missing)?;
        let key = keys.find(id).ok_or(Refusal::Invalid)?;
        let hash = match self.get(HASH_ALGORITHM) {
            None => Hash::Sha1,
            Some(name) => Hash::parse(name).ok_or(Refusal::Invalid)?,
        };
        let signature = self.get(SIGNATURE).and_then(decode).ok_or(Refusal::Invalid)?;
        let text = match (self.get(POLICY), self.get(EXPIRES)) {
            (Some(custom), _) => {
                let text = decode(custom).ok_or(Refusal::Invalid)?;
                // First: comparing with wildcards is the work of whoever wrote them.
                if !key.verify(hash, &text, &signature) {
                    return Err(Refusal::Invalid);
                }
                return Policy::parse(&text).ok_or(Refusal::Invalid)?.check(url, client, now);
            }
            (None, Some(expires)) => {
                let until: u64 = expires.parse().map_err(|_not_a_time| Refusal::Invalid)?;
                if now >= until {
                    return Err(Refusal::Expired);
                }
                canned(&url.text(), until).into_bytes()
            }
            (None, None) => return Err(Refusal::Invalid),
        };
        if key.verify(hash, &text, &signature) { Ok(()) } else { Err(Refusal::Invalid) }
    }
}

/// The parameter that a pair of the query is, if it is one of CloudFront's.
fn reserved(pair: &str) -> Option<usize> {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    PARAMETERS.iter().position(|known| *known == name)
}

fn reserved_cookie(cookie: &str) -> Option<(usize, &str)> {
    let (name, value) = cookie.split_once('=')?;
    let name = name.trim().strip_prefix(COOKIE_PREFIX)?;
    Some((PARAMETERS.iter().position(|known| *known == name)?, value.trim()))
}

/// The query without CloudFront's parameters; none if nothing is left.
#[must_use]
pub fn without_parameters(query: &str) -> Option<String> {
    let kept: Vec<&str> = query.split('&').filter(|pair| reserved(pair).is_none()).collect();
    // `?&Expires=…` has an empty pair that nobody wrote.
    (kept.iter().any(|pair| !pair.is_empty())).then(|| kept.join("&"))
}

/// The cookies without CloudFront's; none if nothing is left.
#[must_use]
pub fn without_cookies(cookies: &str) -> Option<String> {
    let kept: Vec<&str> =
        cookies.split(';').map(str::trim).filter(|each| !each.is_empty() && reserved_cookie(each).is_none()).collect();
    (!kept.is_empty()).then(|| kept.join("; "))
}

/// Some clients escape `~`.
fn unescaped(value: &str) -> Cow<'_, str> {
    if value.contains('%') { Cow::Owned(value.replace("%7E", "~").replace("%7e", "~")) } else { Cow::Borrowed(value) }
}

#[cfg(test)]
mod tests;
