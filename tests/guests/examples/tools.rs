//! Uses one tool as its settings say and answers with what came out; bytes go in and out as hex.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "viewer-request-hook", path: "../../sdk/wit" });

use edgeweir::hook::crypto::{self, Digest, SignatureAlgorithm};
use edgeweir::hook::types::GeneratedResponse;
use edgeweir::hook::{clock, context, random};
use exports::edgeweir::hook::viewer_request::{Guest, Verdict};

struct Hook;

fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u32> = hex.chars().map(|digit| digit.to_digit(16).ok_or("not hex")).collect::<Result<_, _>>()?;
    Ok(digits.chunks(2).map(|pair| pair.iter().fold(0, |value, digit| value << 4 | *digit as u8)).collect())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(name: &str) -> Result<Digest, String> {
    match name {
        "sha256" => Ok(Digest::Sha256),
        "sha384" => Ok(Digest::Sha384),
        "sha512" => Ok(Digest::Sha512),
        _ => Err(format!("unknown digest: {name}")),
    }
}

fn algorithm(name: &str) -> Result<SignatureAlgorithm, String> {
    match name {
        "HS256" => Ok(SignatureAlgorithm::Hs256),
        "HS384" => Ok(SignatureAlgorithm::Hs384),
        "HS512" => Ok(SignatureAlgorithm::Hs512),
        "RS256" => Ok(SignatureAlgorithm::Rs256),
        "RS384" => Ok(SignatureAlgorithm::Rs384),
        "RS512" => Ok(SignatureAlgorithm::Rs512),
        "ES256" => Ok(SignatureAlgorithm::Es256),
        "ES384" => Ok(SignatureAlgorithm::Es384),
        _ => Err(format!("unknown algorithm: {name}")),
    }
}

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        let script = context::settings();
        let words: Vec<&str> = script.split(' ').collect();
        let out = match words[..] {
            ["clock"] => format!("{} {}", clock::now(), clock::now()),
            ["random", length] => hex(&random::bytes(length.parse().map_err(|_| "not a number")?)),
            ["hash", name, data] => hex(&crypto::hash(digest(name)?, &bytes(data)?)),
            ["hmac", name, key, data] => hex(&crypto::hmac(digest(name)?, &bytes(key)?, &bytes(data)?)),
            ["equal", a, b] => crypto::equal(&bytes(a)?, &bytes(b)?).to_string(),
            ["verify", name, key, data, signature] => {
                let verified = crypto::verify(algorithm(name)?, &bytes(key)?, &bytes(data)?, &bytes(signature)?);
                format!("{verified:?}")
            }
            _ => return Err(format!("unknown: {script}")),
        };
        Ok(Verdict::Respond(GeneratedResponse { status: 200, headers: Vec::new(), body: out.into_bytes() }))
    }
}

export!(Hook);
