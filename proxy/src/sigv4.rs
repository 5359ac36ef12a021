//! Signature Version 4 of AWS for requests to buckets (S3 API Reference, "Authenticating Requests: Using the Authorization
//! Header"). Knows nothing of requests but method, target and fields.
//!
//! Our own and not a library's: those that are kept well bring a runtime of their own with some thirty crates for what are two
//! hashes and a list. It is held to signatures that botocore made (`tests/vectors/sigv4.py`).

use std::fmt::Write as _;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use edgeweir_limits::period;
use http::header::{AUTHORIZATION, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ring::{digest, hmac};

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// SHA-256 of nothing.
const EMPTY: HeaderValue = HeaderValue::from_static("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
/// A body that goes by is not hashed.
const UNSIGNED: HeaderValue = HeaderValue::from_static("UNSIGNED-PAYLOAD");

/// Who signs, and what else a viewer may ask of the bucket.
pub struct Signer {
    access_key: String,
    secret_key: String,
    session_token: Option<HeaderValue>,
    region: String,
    service: String,
    /// Let through methods other than GET and HEAD.
    write: bool,
    /// Names of parameters of the query that go along.
    query: Vec<String>,
    /// Derived from the secret for a day.
    key: ArcSwapOption<(String, hmac::Key)>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("region", &self.region).field("service", &self.service).finish_non_exhaustive()
    }
}

/// Who signs.
#[derive(Clone)]
pub struct Credentials {
    /// Id of the key.
    pub access_key: String,
    /// The key.
    pub secret_key: String,
    /// Of temporary credentials.
    pub session_token: Option<HeaderValue>,
}

/// Why a request is not sent to a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It would change the bucket.
    #[error("only GET and HEAD are let through")]
    Method,
    /// It is about the bucket itself: S3 would list it.
    #[error("the request names no object")]
    NoObject,
    /// Its head cannot carry the signature.
    #[error("the request has no host")]
    Head,
}

impl Signer {
    /// For a bucket.
    #[must_use]
    pub fn new(credentials: Credentials, region: &str, service: &str, write: bool, query: &[String]) -> Self {
        let Credentials { access_key, secret_key, session_token } = credentials;
        let session_token = session_token.map(|mut token| {
            token.set_sensitive(true);
            token
        });
        Self {
            access_key,
            secret_key,
            session_token,
            region: region.to_owned(),
            service: service.to_owned(),
            write,
            query: query.to_vec(),
            key: ArcSwapOption::empty(),
        }
    }

    /// Takes out of a viewer's request what the bucket would take for its own: credentials, `x-amz-*`, parameters of the query
    /// that are calls of the API.
    ///
    /// # Errors
    /// If it may not be sent at all.
    pub fn clean(&self, method: &Method, headers: &mut HeaderMap) -> Result<(), Refused> {
        if !self.write && method != Method::GET && method != Method::HEAD {
            return Err(Refused::Method);
        }
        let foreign: Vec<HeaderName> =
            headers.keys().filter(|name| name.as_str().starts_with("x-amz-")).cloned().collect();
        for name in foreign.iter().chain([&AUTHORIZATION, &COOKIE]) {
            headers.remove(name);
        }
        Ok(())
    }

    /// Of the query of a viewer, what goes along.
    #[must_use]
    pub fn kept_query(&self, query: &str) -> Option<String> {
        let kept = query.split('&').filter(|pair| {
            let name = decoded(pair.split('=').next().unwrap_or_default());
            self.query.iter().any(|known| known.as_bytes() == name)
        });
        let kept: Vec<&str> = kept.collect();
        (!kept.is_empty()).then(|| kept.join("&"))
    }

    /// Signs a request for `now`, in seconds since 1970, and gives its target in the spelling that is signed. `bucket` is the
    /// part of the path that names the bucket.
    ///
    /// # Errors
    /// If it names no object.
    pub fn sign(
        &self,
        method: &Method,
        (path, query): (&str, Option<&str>),
        bucket: &str,
        headers: &mut HeaderMap,
        now: u64,
    ) -> Result<String, Refused> {
        if path.strip_prefix(bucket).unwrap_or(path).trim_matches('/').is_empty() {
            return Err(Refused::NoObject);
        }
        // A server that resolves them after it has checked the signature would leave the bucket.
        if decoded(path).split(|&byte| byte == b'/').any(|segment| matches!(segment, b"." | b"..")) {
            return Err(Refused::NoObject);
        }
        let path = spelled(path, true);
        let query = query.filter(|query| !query.is_empty()).map(parameters);
        let day = period::date(now / period::DAY).replace('-', "");
        let of_day = now % period::DAY;
        let time = format!("{day}T{:02}{:02}{:02}Z", of_day / 3_600, of_day / 60 % 60, of_day % 60);
        let payload = if matches!(*method, Method::GET | Method::HEAD) { EMPTY } else { UNSIGNED };
        headers.insert(X_AMZ_DATE, HeaderValue::try_from(&time).map_err(|_invalid| Refused::Head)?);
        headers.insert(X_AMZ_CONTENT_SHA256, payload.clone());
        if let Some(token) = &self.session_token {
            headers.insert(X_AMZ_SECURITY_TOKEN, token.clone());
        }
        let (names, lines) = signed_headers(headers)?;
        let payload = String::from_utf8_lossy(payload.as_bytes());
        let sorted = query.as_deref().map(canonical_query).unwrap_or_default();
        let canonical = format!("{method}\n{path}\n{sorted}\n{lines}\n{names}\n{payload}");
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let signed = hmac::sign(&self.key(&day).1, format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}").as_bytes());
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            self.access_key,
            hex(signed.as_ref())
        );
        let mut value = HeaderValue::try_from(value).map_err(|_invalid| Refused::Head)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(match query {
            Some(query) => format!("{path}?{query}"),
            None => path,
        })
    }

    /// The key of a day: it stays the same for all requests of it.
    fn key(&self, day: &str) -> Arc<(String, hmac::Key)> {
        if let Some(known) = self.key.load_full().filter(|known| known.0 == day) {
            return known;
        }
        let step = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
        let of_day = step(format!("AWS4{}", self.secret_key).as_bytes(), day);
        let of_region = step(of_day.as_ref(), &self.region);
        let of_service = step(of_region.as_ref(), &self.service);
        let key = hmac::Key::new(hmac::HMAC_SHA256, step(of_service.as_ref(), "aws4_request").as_ref());
        let made = Arc::new((day.to_owned(), key));
        self.key.store(Some(Arc::clone(&made)));
        made
    }
}

/// Names and lines of what is signed: `host` and all `x-amz-*`. What may change on the way is not (`Range`, conditions, `Via`).
fn signed_headers(headers: &HeaderMap) -> Result<(String, String), Refused> {
    if !headers.contains_key(HOST) {
        return Err(Refused::Head);
    }
    let is_signed = |name: &&HeaderName| **name == HOST || name.as_str().starts_with("x-amz-");
    let mut names: Vec<&HeaderName> = headers.keys().filter(is_signed).collect();
    names.sort_unstable_by_key(|name| name.as_str());
    let mut lines = String::new();
    for name in &names {
        let values: Vec<String> = headers
            .get_all(*name)
            .iter()
            // Runs of blanks are one.
            .map(|value| {
                let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
                text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
            })
            .collect();
        // Writing to a string does not fail.
        let _always = writeln!(lines, "{name}:{}", values.join(","));
    }
    let names: Vec<&str> = names.into_iter().map(HeaderName::as_str).collect();
    Ok((names.join(";"), lines))
}

/// Each parameter in the spelling that is signed, in the order that it came.
fn parameters(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        format!("{}={}", spelled(name, false), spelled(value, false))
    });
    pairs.collect::<Vec<_>>().join("&")
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    pairs.sort_unstable();
    pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// S3's spelling of a text: everything but unreserved characters is escaped, once; `/` stays in paths.
fn spelled(text: &str, path: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in decoded(text) {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (path && byte == b'/') {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _always = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Escapes resolved; what is none stays.
fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _always = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn signer(token: Option<&str>) -> Signer {
        let credentials = Credentials {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: token.map(|token| token.parse().unwrap()),
        };
        Signer::new(credentials, "eu-central-1", "s3", true, &["versionId".to_owned()])
    }

    #[test]
    fn the_same_as_botocore() {
        let vectors: Vec<Value> = serde_json::from_str(include_str!("../../tests/vectors/sigv4.json")).unwrap();
        assert_eq!(vectors.len(), 7);
        // 2026-11-21T15:30:00Z
        let now = 1_795_275_000;
        for vector in vectors {
            let (_, rest) = vector["url"].as_str().unwrap().split_once("://").unwrap();
            let (host, rest) = rest.split_once('/').unwrap();
            let target = format!("/{rest}");
            let (path, query) = target.split_once('?').map_or((&*target, None), |(path, query)| (path, Some(query)));
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            for (name, value) in vector["headers"].as_object().unwrap() {
                let name: HeaderName = name.parse().unwrap();
                headers.insert(name, value.as_str().unwrap().parse().unwrap());
            }
            // What changes on the way.
            headers.insert(http::header::RANGE, "bytes=0-1".parse().unwrap());
            let method: Method = vector["method"].as_str().unwrap().parse().unwrap();
            let signer = signer(vector["token"].as_str());
            // botocore also signs what lists a bucket.
            let signed = match signer.sign(&method, (path, query), "", &mut headers, now) {
                Err(Refused::NoObject) if path == "/" => continue,
                signed => signed.unwrap(),
            };
            assert_eq!(signed.split('?').next(), Some(path));
            assert_eq!(headers["x-amz-date"], vector["date"].as_str().unwrap());
            assert_eq!(headers["authorization"], vector["authorization"].as_str().unwrap(), "{vector}");
        }
    }

    #[test]
    fn the_target_is_sent_as_it_is_signed() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "b.test".parse().unwrap());
        let mut sign = |path, query| signer(None).sign(&Method::GET, (path, query), "/b", &mut headers, 0);
        assert_eq!(sign("/b/a+b(1).txt", None).as_deref(), Ok("/b/a%2Bb%281%29.txt"));
        assert_eq!(sign("/b/%7ea%c3%a4", Some("b&a=%2f")).as_deref(), Ok("/b/~a%C3%A4?b=&a=%2F"));
        for bare in ["/b", "/b/", "/b//"] {
            assert_eq!(sign(bare, None), Err(Refused::NoObject), "{bare}");
        }
    }

    #[test]
    fn what_viewers_may_not_say() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("authorization", "x"), ("x-amz-acl", "public-read"), ("cookie", "a=1"), ("range", "bytes=0-")]
        {
            headers.insert(name, value.parse().unwrap());
        }
        signer(None).clean(&Method::PUT, &mut headers).unwrap();
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["range"]);
        let reader = Signer { write: false, ..signer(None) };
        assert_eq!(reader.clean(&Method::PUT, &mut headers), Err(Refused::Method));
        assert_eq!(reader.clean(&Method::HEAD, &mut headers), Ok(()));
        assert_eq!(reader.kept_query("acl&versionId=1&list-type=2").as_deref(), Some("versionId=1"));
        assert_eq!(reader.kept_query("%61cl"), None);
    }
}
