use edgeweir_sdk::Error;
use edgeweir_sdk::http::HeaderValue;
use ring::{hmac, signature};

use super::*;
use crate::settings::Key;

/// RFC 7515, appendix A: the payload of A.1 to A.3. It expires at 1300819380.
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const BEFORE: Duration = Duration::from_secs(1_300_819_379);
const AFTER: Duration = Duration::from_secs(1_300_819_380);

const HS256_HEADER: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
const HS256_SIGNATURE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const HS256_KEY: &str = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";

const RS256_HEADER: &str = "eyJhbGciOiJSUzI1NiJ9";
const RS256_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W\
2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN93\
83LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0i\
gcN_IoypGlUPQGe77Rw";
const RS256_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4Q\
lL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTB\
EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb\
54h4FRWyuXpoQ";

const ES256_HEADER: &str = "eyJhbGciOiJFUzI1NiJ9";
const ES256_SIGNATURE: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const ES256_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const ES256_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

fn bytes(text: &str) -> Vec<u8> {
    use base64::Engine as _;

    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// Checks without an edge.
struct Rfc;

impl Signatures for Rfc {
    fn with_key(&self, algorithm: Algorithm, key: &[u8], data: &[u8], signature: &[u8]) -> Result<bool> {
        verify(algorithm, key, data, signature)
    }

    /// A set named `rfc` with the ES256 key under the id `es`, and sets that do nothing else than their name says.
    fn with_set(&self, set: &str, token: &Token<'_>) -> Result<jwks::Outcome> {
        Ok(match set {
            "rfc" if token.kid.as_deref().is_some_and(|kid| kid != "es") => jwks::Outcome::UnknownKey,
            "rfc" if token.algorithm != "ES256" => jwks::Outcome::OtherAlgorithm,
            "rfc" => match verify(Algorithm::Es256, b"rfc", token.signed, &token.signature)? {
                true => jwks::Outcome::Valid,
                false => jwks::Outcome::Invalid,
            },
            other => return Err(Error::new(format!("key set `{other}`: there are no keys yet"))),
        })
    }
}

/// Does with the RFC's keys what the edge does with a binding's. A key `broken` cannot be used.
fn verify(algorithm: Algorithm, key: &[u8], data: &[u8], signature: &[u8]) -> Result<bool> {
    if key == b"broken" {
        return Err(Error::new("not a key"));
    }
    Ok(match algorithm {
        Algorithm::Hs256 => {
            let secret = if key == b"rfc" { bytes(HS256_KEY) } else { key.to_vec() };
            hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &secret), data, signature).is_ok()
        }
        Algorithm::Rs256 => {
            let key = signature::RsaPublicKeyComponents { n: bytes(RS256_N), e: bytes("AQAB") };
            key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, data, signature).is_ok()
        }
        Algorithm::Es256 => {
            let point = [vec![4], bytes(ES256_X), bytes(ES256_Y)].concat();
            let key = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point);
            key.verify(data, signature).is_ok()
        }
        other => return Err(Error::new(format!("no vector for {}", other.name()))),
    })
}

fn key(kid: Option<&'static str>, algorithm: Algorithm, material: &'static str) -> Key<'static> {
    Key { kid, algorithm, material: material.as_bytes() }
}

fn policy(keys: Vec<Key<'static>>) -> Policy<'static> {
    Policy {
        keys,
        jwks: None,
        issuer: Some("joe"),
        audience: &[],
        scopes: &[],
        leeway: 0,
        require_exp: true,
        cookie: None,
        query: None,
        claims: vec![("iss", "x-issuer")],
        strip_authorization: false,
        share_cache: false,
        realm: "edge",
    }
}

fn outcome<'a>(policy: &Policy<'a>, token: &str, now: Duration) -> Result<Outcome<'a>> {
    let line = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header value");
    decide(policy, &Credentials { authorization: vec![line], ..Credentials::default() }, now, &Rfc)
}

fn refused(policy: &Policy<'_>, token: &str) -> &'static str {
    match outcome(policy, token, BEFORE).expect("usable keys") {
        Outcome::Refuse(Refusal::InvalidToken(problem)) => problem,
        other => panic!("{token}: {other:?}"),
    }
}

/// A token of our own, signed with a secret.
fn signed(header: &str, secret: &str) -> String {
    let data = format!("{}.{PAYLOAD}", crate::token::encode(header.as_bytes()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), data.as_bytes());
    format!("{data}.{}", crate::token::encode(tag.as_ref()))
}

#[test]
fn the_tokens_of_rfc_7515_pass() {
    let cases = [
        (Algorithm::Hs256, HS256_HEADER, HS256_SIGNATURE),
        (Algorithm::Rs256, RS256_HEADER, RS256_SIGNATURE),
        (Algorithm::Es256, ES256_HEADER, ES256_SIGNATURE),
    ];
    for (algorithm, header, signature) in cases {
        let policy = policy(vec![key(None, algorithm, "rfc")]);
        let token = format!("{header}.{PAYLOAD}.{signature}");
        let Outcome::Pass(headers, claims) = outcome(&policy, &token, BEFORE).expect("usable key") else {
            panic!("{algorithm:?}: refused")
        };
        assert_eq!(headers, [("x-issuer", Some("joe".to_owned()))], "{algorithm:?}");
        assert_eq!(claims["exp"], 1_300_819_380, "{algorithm:?}");
        let expired = Outcome::Refuse(Refusal::InvalidToken("the token has expired"));
        assert_eq!(outcome(&policy, &token, AFTER).expect("usable key"), expired, "{algorithm:?}");

        let changed = format!("{header}.{}.{signature}", PAYLOAD.replacen('J', "K", 1));
        assert_eq!(refused(&policy, &changed), "the signature does not match", "{algorithm:?}");
    }
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let policy = policy(vec![key(None, Algorithm::Hs256, "rfc")]);
    // RFC 7519, 6.1, and its cousins.
    assert_eq!(refused(&policy, &format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.")), "the token has another algorithm");
    for name in ["None", "NONE", "nOnE", "", "hs256"] {
        let header = crate::token::encode(format!(r#"{{"alg":"{name}"}}"#).as_bytes());
        assert_eq!(refused(&policy, &format!("{header}.{PAYLOAD}.")), "the token has another algorithm", "{name}");
    }
    assert_eq!(refused(&policy, &format!("{HS256_HEADER}.{PAYLOAD}.")), "the signature does not match");
}

#[test]
fn the_key_says_the_algorithm_not_the_token() {
    // The public key as an HMAC secret: what an attacker knows must not be a secret.
    let pem = "-----BEGIN PUBLIC KEY-----";
    let policy = policy(vec![key(None, Algorithm::Rs256, pem)]);
    assert_eq!(refused(&policy, &signed(r#"{"alg":"HS256"}"#, pem)), "the token has another algorithm");
}

#[test]
fn the_kid_chooses_the_key() {
    let policy = policy(vec![
        key(Some("old"), Algorithm::Hs256, "secret of the old key"),
        key(Some("new"), Algorithm::Hs256, "secret of the new key"),
        key(None, Algorithm::Rs256, "rfc"),
    ]);
    let passes = |header: &str, secret: &str| {
        matches!(outcome(&policy, &signed(header, secret), BEFORE).expect("usable keys"), Outcome::Pass(..))
    };
    assert!(passes(r#"{"alg":"HS256","kid":"old"}"#, "secret of the old key"));
    assert!(passes(r#"{"alg":"HS256","kid":"new"}"#, "secret of the new key"));
    assert!(passes(r#"{"alg":"HS256"}"#, "secret of the new key"), "without a kid each is tried");
    assert!(!passes(r#"{"alg":"HS256","kid":"old"}"#, "secret of the new key"));
    assert!(!passes(r#"{"alg":"HS256","kid":"other"}"#, "secret of the new key"));

    let only = Policy { keys: vec![key(Some("a"), Algorithm::Hs256, "s")], ..policy };
    assert_eq!(refused(&only, &signed(r#"{"alg":"HS256","kid":"b"}"#, "s")), "the token has an unknown key");
}

#[test]
fn a_key_set_is_asked_after_the_keys() {
    let policy = Policy { jwks: Some("rfc"), ..policy(vec![key(Some("own"), Algorithm::Hs256, "own secret")]) };
    let passes = |token: &str| matches!(outcome(&policy, token, BEFORE).expect("keys"), Outcome::Pass(..));
    assert!(passes(&format!("{ES256_HEADER}.{PAYLOAD}.{ES256_SIGNATURE}")));
    assert!(passes(&signed(r#"{"alg":"HS256","kid":"own"}"#, "own secret")));
    for (token, problem) in [
        (format!("{ES256_HEADER}.{PAYLOAD}.{HS256_SIGNATURE}"), "the signature does not match"),
        (signed(r#"{"alg":"HS256","kid":"es"}"#, "x"), "the token has another algorithm"),
        (signed(r#"{"alg":"HS256","kid":"gone"}"#, "own secret"), "the token has an unknown key"),
        (signed(r#"{"alg":"HS256","kid":"own"}"#, "x"), "the signature does not match"),
    ] {
        assert_eq!(refused(&policy, &token), problem, "{token}");
    }
    // That there are no keys is not the viewer's fault.
    let down = Policy { jwks: Some("down"), ..policy };
    assert!(outcome(&down, &format!("{ES256_HEADER}.{PAYLOAD}.{ES256_SIGNATURE}"), BEFORE).is_err());
    assert!(outcome(&down, &signed(r#"{"alg":"HS256","kid":"own"}"#, "own secret"), BEFORE).is_ok());
}

#[test]
fn a_key_that_cannot_be_used_is_the_hooks_failure() {
    let policy = policy(vec![key(None, Algorithm::Hs256, "broken")]);
    assert!(outcome(&policy, &signed(r#"{"alg":"HS256"}"#, "x"), BEFORE).is_err());
}

#[test]
fn no_claim_is_read_before_the_signature() {
    let policy = policy(vec![key(None, Algorithm::Hs256, "rfc")]);
    let token = format!("{HS256_HEADER}.{}.{HS256_SIGNATURE}", crate::token::encode(b"not json"));
    assert_eq!(refused(&policy, &token), "the signature does not match");
}
