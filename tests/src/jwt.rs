//! JSON Web Tokens for the tests of jwt-auth.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::Value;

/// Base64url without padding.
#[must_use]
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with these parts, not signed.
#[must_use]
pub fn signing_input(header: &Value, claims: &Value) -> String {
    format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()))
}

/// A token signed with HMAC and SHA-256.
#[must_use]
pub fn hs256(secret: &str, claims: &Value) -> String {
    let input = signing_input(&serde_json::json!({"alg": "HS256", "typ": "JWT"}), claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = base64url(hmac::sign(&key, input.as_bytes()));
    format!("{input}.{signature}")
}

/// A token that claims to need no signature.
#[must_use]
pub fn unsigned(claims: &Value) -> String {
    format!("{}.", signing_input(&serde_json::json!({"alg": "none"}), claims))
}

/// A P-256 key pair.
pub struct Es256 {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Default for Es256 {
    fn default() -> Self {
        Self::new()
    }
}

impl Es256 {
    /// A new key pair.
    #[must_use]
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("random numbers");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        Self { pair: pair.expect("a key just made"), random }
    }

    /// The public key as PEM (`SubjectPublicKeyInfo`, RFC 5480).
    #[must_use]
    pub fn public_pem(&self) -> String {
        // SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING of 65 bytes }.
        const PREFIX: [u8; 26] = [
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
            0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        let der = [&PREFIX, self.pair.public_key().as_ref()].concat();
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// The public key as a JSON Web Key (RFC 7517) with this id.
    #[must_use]
    pub fn jwk(&self, kid: &str) -> Value {
        // 0x04, then both coordinates (RFC 5480, 2.2).
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        serde_json::json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": base64url(x), "y": base64url(y),
        })
    }

    /// A signed token.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&serde_json::json!({"alg": "ES256", "typ": "JWT"}), claims)
    }

    /// A signed token that names its key.
    #[must_use]
    pub fn token_of(&self, kid: &str, claims: &Value) -> String {
        self.sign(&serde_json::json!({"alg": "ES256", "kid": kid}), claims)
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = signing_input(header, claims);
        let signature = self.pair.sign(&self.random, input.as_bytes()).expect("random numbers");
        format!("{input}.{}", base64url(signature))
    }
}
