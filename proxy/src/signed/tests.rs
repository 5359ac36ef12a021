//! Against signatures that botocore made (`tests/vectors/cloudfront.py`), both ways.

use serde_json::Value;

use super::*;

const RSA: &str = include_str!("../../../tests/vectors/rsa.pem");
const EC: &str = include_str!("../../../tests/vectors/ec.pem");
const NOW: u64 = 1_800_000_000;
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn keyring() -> Keyring {
    let key = |pem| Arc::new(PublicKey::parse(pem).unwrap());
    Keyring(vec![
        ("KRSA".into(), key(include_str!("../../../tests/vectors/rsa-public.pem"))),
        ("KEC".into(), key(include_str!("../../../tests/vectors/ec-public.pem"))),
    ])
}

fn vectors() -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(include_str!("../../../tests/vectors/cloudfront.json")).unwrap();
    assert_eq!(all.len(), 28);
    all
}

/// A URL in its parts, and the query with what signs it.
fn split(url: &str) -> (Url<'_>, Option<&str>) {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (host, rest) = rest.split_once('/').unwrap();
    let at = url.len() - rest.len() - 1;
    let target = url.get(at..).unwrap();
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    (Url { https: scheme == "https", host, path, normal_path: None, query: None }, query)
}

fn check(url: &str, at: (IpAddr, u64)) -> Result<(), Refusal> {
    let (url, query) = split(url);
    let left = without_parameters(query.unwrap());
    let signed = Signed::of_query(query.unwrap())?.ok_or(Refusal::Missing)?;
    signed.check(&Url { query: left.as_deref(), ..url }, at.0, at.1, &keyring())
}

#[test]
fn what_others_signed_is_good() {
    for vector in vectors() {
        let signed = vector["signed"].as_str().unwrap();
        assert_eq!(check(signed, (CLIENT, NOW)), Ok(()), "{vector}");
        assert_eq!(check(&signed.replace('~', "%7E"), (CLIENT, NOW)), Ok(()), "{vector}");
        assert_eq!(check(signed, (CLIENT, 4_102_444_800)), Err(Refusal::Expired), "{vector}");
        // One bit of the signature, another path, another key.
        let other = if signed.contains("Signature=A") { "Signature=B" } else { "Signature=A" };
        let at = signed.find("Signature=").unwrap();
        let (before, rest) = signed.split_at(at);
        let broken = format!("{before}{other}{}", rest.get(11..).unwrap());
        assert_eq!(check(&broken, (CLIENT, NOW)), Err(Refusal::Invalid), "{vector}");
        if vector["policy"].is_null() {
            assert_eq!(check(&signed.replace("site.test/", "site.test/x"), (CLIENT, NOW)), Err(Refusal::Invalid));
            assert_eq!(check(&signed.replace("Expires=4", "Expires=5"), (CLIENT, NOW)), Err(Refusal::Invalid));
        }
        assert_eq!(check(&signed.replace("Key-Pair-Id=K", "Key-Pair-Id=X"), (CLIENT, NOW)), Err(Refusal::Invalid));
        assert_eq!(check(&signed.replace("Key-Pair-Id=K", "Key-Pair="), (CLIENT, NOW)), Err(Refusal::Missing));
        assert_eq!(check(&format!("{signed}&Expires=1&Expires=2"), (CLIENT, NOW)), Err(Refusal::Invalid));
    }
}

#[test]
fn cookies_of_others_are_good() {
    let mut seen = 0;
    for vector in vectors() {
        let Some(cookies) = vector["cookies"].as_object() else { continue };
        let cookies: Vec<String> =
            cookies.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
        let (url, query) = split(vector["url"].as_str().unwrap());
        let signed = Signed::of_cookies(cookies.iter().map(String::as_str)).unwrap();
        assert_eq!(signed.check(&Url { query, ..url }, CLIENT, NOW, &keyring()), Ok(()), "{vector}");
        seen += 1;
    }
    assert_eq!(seen, 16);
}

#[test]
fn conditions_of_policies() {
    let of = |needle: &str| {
        let all = vectors();
        let found = all.iter().find(|vector| vector["policy"].as_str().is_some_and(|policy| policy.contains(needle)));
        found.unwrap()["signed"].as_str().unwrap().to_owned()
    };
    let elsewhere = IpAddr::from([192, 0, 2, 1]);
    assert_eq!(check(&of("127.0.0.0/8"), (elsewhere, NOW)), Err(Refusal::Denied));
    assert_eq!(check(&of("127.0.0.0/8"), ("::1".parse().unwrap(), NOW)), Err(Refusal::Denied));
    assert_eq!(check(&of("DateGreaterThan"), (CLIENT, 1_000_000_000)), Err(Refusal::Denied));
    assert_eq!(check(&of("DateGreaterThan"), (CLIENT, 1_000_000_001)), Ok(()));
    let video = of("/video/*");
    assert_eq!(check(&video.replace("/video/a/1.ts", "/video/"), (CLIENT, NOW)), Ok(()));
    assert_eq!(check(&video.replace("/video/", "/other/"), (CLIENT, NOW)), Err(Refusal::Denied));
    assert_eq!(check(&video.replace("https:", "http:"), (CLIENT, NOW)), Err(Refusal::Denied));
}

#[test]
fn our_signatures_are_those_of_others() {
    for vector in vectors() {
        let text = |name: &str| vector[name].as_str().unwrap();
        let (key, hash) = (PrivateKey::parse(if text("key") == "rsa" { RSA } else { EC }), Hash::parse(text("hash")));
        let policy = match vector["policy"].as_str() {
            Some(policy) => policy.to_owned(),
            None => canned(text("url"), vector["expires"].as_u64().unwrap()),
        };
        let signature = key.unwrap().sign(hash.unwrap(), policy.as_bytes()).unwrap();
        if text("key") == "rsa" {
            assert!(text("signed").contains(&format!("Signature={}&", encode(&signature))), "{vector}");
        }
        let public = keyring();
        let id = if text("key") == "rsa" { "KRSA" } else { "KEC" };
        assert!(public.find(id).unwrap().verify(hash.unwrap(), policy.as_bytes(), &signature));
        assert!(!public.find(id).unwrap().verify(hash.unwrap(), b"other", &signature));
    }
}

#[test]
fn keys_of_the_wrong_kind_say_so() {
    assert_eq!(PublicKey::parse(RSA).unwrap_err(), KeyError::Private);
    assert_eq!(PublicKey::parse("key").unwrap_err(), KeyError::NotPem);
    let public = include_str!("../../../tests/vectors/ec-public.pem");
    assert_eq!(PrivateKey::parse(public).unwrap_err(), KeyError::Public);
    assert_eq!(PrivateKey::parse("").unwrap_err(), KeyError::NotPem);
    let broken = public.replace("MFk", "MFx");
    assert_ne!(broken, public);
    assert!(PublicKey::parse(&broken).is_err());
}

#[test]
fn what_is_taken_out() {
    for (query, left) in [
        ("a=1&Expires=1&b=2&Signature=x&Key-Pair-Id=k&Hash-Algorithm=SHA256", Some("a=1&b=2")),
        ("Policy=x&Signature=y", None),
        ("&Policy=x", None),
        ("a&policy=x&b=", Some("a&policy=x&b=")),
    ] {
        assert_eq!(without_parameters(query).as_deref(), left, "{query}");
    }
    for (cookies, left) in [
        ("a=1; CloudFront-Policy=x;b=2; CloudFront-Signature=y", Some("a=1; b=2")),
        ("CloudFront-Key-Pair-Id=k", None),
        ("CloudFront-Other=k", Some("CloudFront-Other=k")),
    ] {
        assert_eq!(without_cookies(cookies).as_deref(), left, "{cookies}");
    }
}
