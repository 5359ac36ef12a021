//! A token that the demo's jwt-auth hook accepts (RFC 7519, signed with HS256 of RFC 7518, Section 3.2).

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::json;

/// The secret in the demo's configuration; it guards nothing.
pub(super) const SECRET: &str = "edgeweir-demo-secret-not-for-production";
/// The demo may run for a long time.
const LIFETIME: Duration = Duration::from_secs(24 * 3_600);

/// A token for the user `ada`, good for a day.
pub(super) fn mint(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let claims = json!({ "sub": "ada", "iat": since.as_secs(), "exp": (since + LIFETIME).as_secs() });
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_verifies_and_names_its_user() {
        let token = mint(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        hmac::verify(&key, signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims, json!({ "sub": "ada", "iat": 1_000, "exp": 1_000 + 86_400 }));
    }
}
