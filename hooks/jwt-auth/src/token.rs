//! A token in its compact form (RFC 7515, 7.1): three parts of base64url with dots between. What the claims mean is not
//! known here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::answer::Refusal;
use crate::json;

/// Longest token, in bytes.
pub(crate) const MAX_TOKEN: usize = 8192;

/// A token whose signature was not checked yet. The claims are only read once it was.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    /// What is signed: the first two parts and the dot between.
    pub(crate) signed: &'a [u8],
    /// What the token says its algorithm is.
    pub(crate) algorithm: String,
    /// Which key it says it was signed with.
    pub(crate) kid: Option<String>,
    /// The signature.
    pub(crate) signature: Vec<u8>,
    payload: &'a str,
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > MAX_TOKEN {
            return Err(Refusal::invalid("the token is too long"));
        }
        let malformed = || Refusal::invalid("the token is malformed");
        let (signed, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = signed.split_once('.').ok_or_else(malformed)?;
        if payload.contains('.') {
            return Err(malformed());
        }
        let mut header = decode(header).and_then(|bytes| json::object(&bytes).ok()).ok_or_else(malformed)?;
        if header.contains_key("crit") {
            // RFC 7515, 4.1.11: an extension that is not understood makes the token invalid, and none is understood.
            return Err(Refusal::invalid("the token needs an extension that is not supported"));
        }
        let Some(Value::String(algorithm)) = header.remove("alg") else { return Err(malformed()) };
        let kid = match header.remove("kid") {
            Some(Value::String(kid)) => Some(kid),
            Some(_) => return Err(malformed()),
            None => None,
        };
        let signature = decode(signature).ok_or_else(malformed)?;
        Ok(Self { signed: signed.as_bytes(), algorithm, kid, signature, payload })
    }

    /// The claims. Ask for them after the signature was checked.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>, Refusal> {
        decode(self.payload)
            .and_then(|bytes| json::object(&bytes).ok())
            .ok_or_else(|| Refusal::invalid("the token's claims are malformed"))
    }
}

/// Base64url without padding (RFC 7515, 2). The last character may have no stray bits: one token has one spelling.
fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// Base64url without padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(header: &str) -> String {
        format!("{}.{}.{}", encode(header.as_bytes()), encode(b"{}"), encode(b"signature"))
    }

    fn problem(text: &str) -> &'static str {
        match Token::parse(text).expect_err(text) {
            Refusal::InvalidToken(problem) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn takes_a_token_apart() {
        let text = token(r#"{"alg":"HS256","kid":"k1","typ":"JWT"}"#);
        let token = Token::parse(&text).expect("a token");
        assert_eq!(token.algorithm, "HS256");
        assert_eq!(token.kid.as_deref(), Some("k1"));
        assert_eq!(token.signature, b"signature");
        assert_eq!(token.signed.len() + 1 + encode(b"signature").len(), text.len());
        assert!(token.claims().expect("an object").is_empty());
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "a", "a.b", "a.b.c", "....", "e30.e30.e30", "e30.e30.e30.e30.e30"] {
            assert_eq!(problem(text), "the token is malformed", "{text}");
        }
        for header in
            ["[]", r#"{"alg":1}"#, r#"{"alg":"HS256","alg":"none"}"#, r#"{"alg":"HS256","kid":1}"#, r#"{"kid":"a"}"#]
        {
            assert_eq!(problem(&token(header)), "the token is malformed", "{header}");
        }
        let crit = token(r#"{"alg":"HS256","crit":["exp"]}"#);
        assert_eq!(problem(&crit), "the token needs an extension that is not supported");
        assert_eq!(problem(&"a".repeat(MAX_TOKEN + 1)), "the token is too long");
    }

    #[test]
    fn base64url_has_one_spelling() {
        assert_eq!(decode("YQ").as_deref(), Some(&b"a"[..]));
        for text in ["YR", "YQ==", "Y Q", "YQ\n", "+w", "/w"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }

    proptest! {
        /// No input panics, and what is accepted is what was written.
        #[test]
        fn any_text_is_taken_apart_or_refused(text in "[a-zA-Z0-9._-]{0,64}|.{0,64}") {
            if let Ok(token) = Token::parse(&text) {
                let signature = encode(&token.signature);
                prop_assert_eq!([token.signed, b".", signature.as_bytes()].concat(), text.as_bytes());
            }
        }
    }
}
