//! What an authorizer says of whoever has a good token: its claims, as far as headers can carry them.

use std::time::Duration;

use edgeweir_sdk::authorizer::Verdict;
use serde_json::{Map, Value};

use crate::claims;
use crate::settings::Policy;

/// Most claims that are passed on; the edge takes 50.
const MAX_CLAIMS: usize = 50;
/// Their names and values together, in bytes; the edge takes 8 KiB.
const MAX_BYTES: usize = 8 * 1024;
/// Longest subject that names a principal; the edge takes no longer one.
const MAX_PRINCIPAL: usize = 256;

/// The verdict: `sub` is the principal, and each claim that fits is in the context, strings as they are and all else as
/// JSON. It may be kept until the token expires.
pub(crate) fn allowed(policy: &Policy<'_>, claims: &Map<String, Value>, now: Duration) -> Verdict {
    let subject = claims.get("sub").and_then(Value::as_str).filter(|subject| is_principal(subject));
    let mut verdict = subject.map_or_else(Verdict::allow_unnamed, Verdict::allow);
    let (mut count, mut bytes) = (0, 0);
    for (name, value) in claims {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let size = name.len() + text.len();
        if count == MAX_CLAIMS || bytes + size > MAX_BYTES || !is_name(name) || !is_value(&text) {
            continue;
        }
        (count, bytes) = (count + 1, bytes + size);
        verdict = verdict.context(name, text);
    }
    match claims.get("exp").and_then(Value::as_f64) {
        Some(expires) => {
            let left = expires + f64::from(policy.leeway) - now.as_secs_f64();
            // Checked to be in the future; a token of a thousand years is kept as long as the edge likes.
            verdict.max_age(Duration::from_secs_f64(left.clamp(0.0, 1e9)))
        }
        None => verdict,
    }
}

fn is_principal(text: &str) -> bool {
    (1..=MAX_PRINCIPAL).contains(&text.len()) && is_value(text)
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

fn is_value(text: &str) -> bool {
    text.is_ascii() && claims::is_faithful(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn said(claims: &str) -> String {
        let settings: Settings =
            serde_json::from_str(r#"{"algorithm":"ES256","public_key":"x","leeway":10}"#).expect("settings");
        let policy = settings.policy().expect("a policy");
        let claims: Map<String, Value> = serde_json::from_str(claims).expect("claims");
        format!("{:?}", allowed(&policy, &claims, Duration::from_secs(1000)))
    }

    #[test]
    fn claims_become_context() {
        let said =
            said(r#"{"sub":"alice","roles":["a","b"],"admin":true,"exp":1050,"no\nway":"x","bad":"a\nb","n":null}"#);
        assert!(said.contains(r#"principal: Some("alice")"#), "{said}");
        for pair in [r#"("sub", "alice")"#, r#"("roles", "[\"a\",\"b\"]")"#, r#"("admin", "true")"#] {
            assert!(said.contains(pair), "{pair}: {said}");
        }
        assert!(!said.contains("bad") && !said.contains("way") && !said.contains("\"n\""), "{said}");
        assert!(said.contains("max-age: Some(60)"), "until it expires, and the leeway: {said}");
    }

    #[test]
    fn what_the_edge_would_refuse_is_left_out() {
        let long = "x".repeat(300);
        let said = said(&format!(r#"{{"sub":"{long}","big":"{}"}}"#, "y".repeat(9000)));
        assert!(said.contains("principal: None") && !said.contains("yyy"), "{said}");
        assert!(said.contains("max-age: None"), "{said}");
    }
}
