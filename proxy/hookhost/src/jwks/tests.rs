use super::*;

/// RFC 7515, A.1 and A.3; RFC 8037, A.2.
const OCT: &str = r#"{"kty":"oct","kid":"hs","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
const P256: &str = r#"{"kty":"EC","kid":"es","use":"sig","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const ED25519: &str = r#"{"kty":"OKP","kid":"ed","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// Made with openssl, as its signatures over `signed by the edge`.
const RSA: &str = r#"{"kty":"RSA","kid":"rs","e":"AQAB","n":"irseXS8JoIX5kf4avL6dKfKJmbUDWB6jfbCWXIvzHI6mVHIw5tDqROD3fae6TF5QSVvNziRV_-utllpaL9gk1XK75NRFzh7DkJaAZWnbdzZGjiewkMIrb6_9HticJ-dUWhmn-RzWId5v1IcBvTyL4n46rO6pLV0HjzuYpcp_6m5mrZhB8aFI76i48vnK6qMgFBXZecolMP1sgKFCG71jhizkS6AvORh54Hs8hATaeYIuU4kTW8Nui-_mGzs9opuaH3UFk29-LnGMTQekaTEO5pnUo2fStldiJ1EX6sYoz3gYP0ZVFCktWnliEFSc5XhnSuFLjrsJcxQJHFbrycHIRQ"}"#;
const RS256: &str = "BlxMchxUJlY1Bsu1V3FvNszmlnHWEJEp8tPdfQDtu6MWut4RcJX67_AZ86ASFg46ZSa6fOMOyoKcdtN0TjC8hqEyPX82-4PkDCkeymrGFmGE1yC18e212QMmXAY5TUlKKNOBGX8pJPydTfmr3h_2Y5zZXCHxeppG7eoUrstzfxdkQIztKT1OVOoVFsv5cSW3AqkZNRUbTXRR6sDiGeEKPAamm7PKOcGB3p1HeQVKHVP76IZQPU2Dnc2eLJClNk63-YTZpYyOoSv0TC0UKuncnKk-XhhR_hWh0Yq2GRKtBlAK9GvJ6ZM3lcIEBf32C56DRH8pb9qHPxKS9P1P1Nrwag";
const PS256: &str = "Rgqq4AImslnf0B8jTmBKFpal5fc-rMM_CanKc_7mCh8linOC45rrA1nlKXiMs-dUXR9ZO-w5LCwbszalBPUda_T3P5KIyftOGJhRHFczHaaLQ-447kMh2mMiw15t3HmrHxkgW_W_FsrdpaQ5iAxN7zyH_2K3PkU_WShL0vhS9iITpoWGV8xaaW0UF2sNF6mmMksPw4EFtpcuxG3GT4K-dCaHFbf4iuUHbL8atuSzm5eIuTsbetmSQ7ISzX5kNPG762pkHoOraRQLuflUrVvUoTfuPbBsfoBwyACGu683q3KKCWN9z6gt7-J46cpps55T2PLQXqxuqwMIvMRrOsru8A";
const SIGNED: &[u8] = b"signed by the edge";

/// RFC 7515, A.1.1 and A.3.1; RFC 8037, A.4.
const HS_TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const ES_TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const ED_TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn set(keys: &[&str]) -> Jwks {
    Jwks::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes(), Secrets::Used).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn check(set: &Jwks, algorithm: &str, kid: Option<&str>, data: &[u8], signature: &[u8]) -> Checked {
    set.verify((Algorithm::named(algorithm).unwrap(), algorithm), kid, data, signature)
}

fn token(set: &Jwks, algorithm: &str, kid: Option<&str>, token: &str) -> Checked {
    let (data, signature) = token.rsplit_once('.').unwrap();
    check(set, algorithm, kid, data.as_bytes(), &bytes(signature))
}

#[test]
fn the_signatures_of_the_rfcs_are_good() {
    let all = set(&[OCT, P256, ED25519, RSA]);
    for (algorithm, kid, text) in [("HS256", "hs", HS_TOKEN), ("ES256", "es", ES_TOKEN), ("EdDSA", "ed", ED_TOKEN)] {
        assert_eq!(token(&all, algorithm, Some(kid), text), Checked::Valid, "{algorithm}");
        assert_eq!(token(&all, algorithm, None, text), Checked::Valid, "{algorithm} without an id");
        let changed = text.replacen("eyJ", "eyK", 1);
        assert_eq!(token(&all, algorithm, Some(kid), &changed), Checked::Invalid, "{algorithm}");
        assert_eq!(token(&all, algorithm, Some("gone"), text), Checked::UnknownKey, "{algorithm}");
    }
    for (algorithm, signature) in [("RS256", RS256), ("PS256", PS256)] {
        assert_eq!(check(&all, algorithm, Some("rs"), SIGNED, &bytes(signature)), Checked::Valid, "{algorithm}");
        assert_eq!(check(&all, algorithm, Some("rs"), b"other", &bytes(signature)), Checked::Invalid, "{algorithm}");
    }
    assert_eq!(check(&all, "PS256", Some("rs"), SIGNED, &bytes(RS256)), Checked::Invalid);
}

#[test]
fn the_key_says_the_algorithm() {
    let all = set(&[OCT, P256, ED25519, RSA]);
    for (algorithm, kid) in [("HS256", "rs"), ("HS256", "es"), ("RS256", "hs"), ("ES384", "es"), ("EdDSA", "es")] {
        assert_eq!(check(&all, algorithm, Some(kid), SIGNED, b""), Checked::OtherAlgorithm, "{algorithm} {kid}");
    }
    let only = set(&[&RSA.replace(r#""kid""#, r#""alg":"RS256","kid""#)]);
    assert_eq!(check(&only, "RS256", Some("rs"), SIGNED, &bytes(RS256)), Checked::Valid);
    assert_eq!(check(&only, "PS256", Some("rs"), SIGNED, &bytes(PS256)), Checked::OtherAlgorithm);
    assert_eq!(check(&only, "PS256", None, SIGNED, &bytes(PS256)), Checked::OtherAlgorithm);
    // RFC 7518, 3.2: 32 bytes are enough for HS256, and for HS512 they are not.
    let short = set(&[&format!(r#"{{"kty":"oct","k":"{}"}}"#, "A".repeat(43))]);
    assert_eq!(check(&short, "HS256", None, SIGNED, b""), Checked::Invalid);
    assert_eq!(check(&short, "HS512", None, SIGNED, b""), Checked::OtherAlgorithm);
    assert_eq!(Algorithm::named("none"), None);
    assert_eq!(Algorithm::named("hs256"), None);
}

#[test]
fn a_key_without_an_id_may_be_any() {
    let keys = set(&[&P256.replace(r#""kid":"es","#, ""), ED25519]);
    assert_eq!(token(&keys, "ES256", Some("new"), ES_TOKEN), Checked::Valid);
    assert_eq!(token(&keys, "ES256", Some("new"), &ES_TOKEN.replacen("eyJ", "eyK", 1)), Checked::UnknownKey);
}

#[test]
fn few_keys_are_tried_for_one_token() {
    let other = P256.replace("es", "other");
    let other = other.replace("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", &"A".repeat(43));
    let mut keys = vec![other.as_str(); MAX_TRIES - 1];
    keys.push(P256);
    assert_eq!(token(&set(&keys), "ES256", None, ES_TOKEN), Checked::Valid);
    keys.insert(0, &other);
    assert_eq!(token(&set(&keys), "ES256", None, ES_TOKEN), Checked::Invalid);
    assert_eq!(token(&set(&keys), "ES256", Some("es"), ES_TOKEN), Checked::Valid, "its id finds it");
}

#[test]
fn rfc7517_5_keys_that_cannot_be_used_are_left_out_and_named() {
    for (key, why) in [
        (r#"{"kid":"a"}"#.to_owned(), "key \"a\": it is not of the form of a key"),
        ("[]".to_owned(), "key 1: it is not of the form of a key"),
        (r#"{"kty":"new"}"#.to_owned(), "key 1: its type is not known"),
        (P256.replace("P-256", "P-521"), "key \"es\": its type is not known"),
        (P256.replace("P-256", "P-384"), "key \"es\": a part of it is missing or broken"),
        (P256.replace(r#""y":"#, r#""z":"#), "key \"es\": a part of it is missing or broken"),
        (P256.replace("sig", "enc"), "key \"es\": it is not for checking signatures"),
        (P256.replace(r#""use":"sig""#, r#""key_ops":["sign"]"#), "key \"es\": it is not for checking signatures"),
        (P256.replace(r#""use""#, r#""d":"AA","use""#), "key \"es\": it is a private key, and must not be published"),
        (RSA.replace(r#""e":"AQAB""#, r#""e":"""#), "key \"rs\": the RSA key must have 2048 to 8192 bits"),
        (r#"{"kty":"RSA","e":"AQAB","n":"AQAB"}"#.to_owned(), "key 1: the RSA key must have 2048 to 8192 bits"),
        (
            OCT.replace("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1q", ""),
            "key \"hs\": its secret has less than 32 bytes (RFC 7518, 3.2)",
        ),
    ] {
        let with = set(&[ED25519, &key]);
        assert_eq!(with.len(), 1, "{key}");
        let told = with.skipped().first().unwrap().replace("key 2:", "key 1:");
        assert_eq!(told, why, "{key}");
    }
    let text = format!(r#"{{"keys":[{OCT}]}}"#);
    let error = Jwks::parse(text.as_bytes(), Secrets::Skipped).unwrap_err();
    let expected = "it has no key that can be used: key \"hs\": it is a secret, and a published secret is none";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_is_no_set_is_refused() {
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>", r#"{"keys":[]"#, "{\"keys\":[\u{1}]}"] {
        assert!(matches!(Jwks::parse(text.as_bytes(), Secrets::Used), Err(JwksError::Form(_))), "{text}");
    }
    assert!(matches!(Jwks::parse(br#"{"keys":[]}"#, Secrets::Used), Err(JwksError::NoKey(_))));
    let many = format!(r#"{{"keys":[{}]}}"#, vec![ED25519; 101].join(","));
    assert!(matches!(Jwks::parse(many.as_bytes(), Secrets::Used), Err(JwksError::TooMany(101))));
    assert!(!format!("{:?}", set(&[OCT])).contains("AyM1"), "secrets are not shown");
}
