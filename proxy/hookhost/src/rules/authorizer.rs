//! What an authorizer may say of a caller. Values go into headers, logs and answers, so they are as visible as those.

use std::time::Duration;

use http::HeaderValue;

use super::{Rule, Violation};
use crate::bindings::stages::authorizer as raw;
use crate::verdict::is_context_name;
use crate::{AuthorizerVerdict, Caller, Hidden};

/// Most values of a context.
const MAX_VALUES: usize = 50;
/// Longest principal, in bytes.
const MAX_PRINCIPAL: usize = 256;
/// Names and values of a context together, in bytes.
const MAX_CONTEXT: usize = 8 * 1024;
/// Longest API key, in bytes (API Gateway: "API keys", 20 to 128 characters).
const MAX_KEY: usize = 128;
/// Longest `WWW-Authenticate`, in bytes.
const MAX_CHALLENGE: usize = 1024;

/// Names and values.
type Values = Vec<(Box<str>, Box<str>)>;

/// Checks what an authorizer decided.
pub(crate) fn authorizer(raw: raw::Verdict) -> Result<AuthorizerVerdict, Violation> {
    match raw {
        raw::Verdict::Allow(caller) => Ok(AuthorizerVerdict::Allow(allowed(caller)?)),
        raw::Verdict::Deny(values) => {
            Ok(AuthorizerVerdict::Deny(Caller { context: context(values)?, ..Caller::default() }))
        }
        raw::Verdict::Unauthorized(challenge) => Ok(AuthorizerVerdict::Unauthorized(match challenge {
            None => None,
            Some(text) if text.len() <= MAX_CHALLENGE => Some(
                HeaderValue::from_str(&text)
                    .map_err(|_invalid| Violation::new(Rule::HeaderValue, "www-authenticate"))?,
            ),
            Some(text) => return Err(Violation::new(Rule::HeaderValue, format!("{} bytes", text.len()))),
        })),
    }
}

fn allowed(raw: raw::Caller) -> Result<Caller, Violation> {
    let principal = match raw.principal {
        Some(text) if text.is_empty() || text.len() > MAX_PRINCIPAL || !is_plain(&text) => {
            return Err(Violation::new(Rule::Caller, "principal"));
        }
        principal => principal.map(Into::into),
    };
    let api_key = match raw.api_key {
        Some(key) if !(1..=MAX_KEY).contains(&key.len()) => {
            return Err(Violation::new(Rule::ApiKey, format!("{} bytes", key.len())));
        }
        key => key.map(|key| Hidden(key.into())),
    };
    let max_age = raw.max_age.map(|seconds| Duration::from_secs(seconds.into()));
    Ok(Caller { principal, context: context(raw.context)?, api_key, max_age })
}

fn context(raw: Vec<(String, String)>) -> Result<Values, Violation> {
    if raw.len() > MAX_VALUES {
        return Err(Violation::new(Rule::Caller, format!("{} values", raw.len())));
    }
    let mut bytes = 0;
    let mut values = Values::with_capacity(raw.len());
    for (name, value) in raw {
        bytes += name.len() + value.len();
        if !is_context_name(&name) || !is_plain(&value) || values.iter().any(|(known, _)| **known == *name) {
            return Err(Violation::new(Rule::Caller, name));
        }
        values.push((name.into(), value.into()));
    }
    if bytes > MAX_CONTEXT {
        return Err(Violation::new(Rule::Caller, format!("{bytes} bytes")));
    }
    Ok(values)
}

/// Whether a header can carry it as it is.
fn is_plain(text: &str) -> bool {
    text.trim_matches(' ').len() == text.len() && HeaderValue::from_str(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(principal: Option<&str>, context: &[(&str, &str)]) -> raw::Caller {
        raw::Caller {
            principal: principal.map(str::to_owned),
            context: context.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            api_key: None,
            max_age: Some(60),
        }
    }

    fn rule(caller: raw::Caller) -> Option<Rule> {
        authorizer(raw::Verdict::Allow(caller)).err().map(|violation| violation.rule)
    }

    #[test]
    fn what_headers_can_carry_passes() {
        let allowed = authorizer(raw::Verdict::Allow(caller(Some("alice"), &[("tenant", "a b"), ("empty", "")])));
        let AuthorizerVerdict::Allow(caller) = allowed.unwrap() else { panic!("allowed") };
        assert_eq!((caller.principal(), caller.get("tenant"), caller.get("other")), (Some("alice"), Some("a b"), None));
        assert_eq!(caller.max_age, Some(Duration::from_secs(60)));
        let denied = authorizer(raw::Verdict::Deny(vec![("why".into(), "late".into())])).unwrap();
        assert!(matches!(denied, AuthorizerVerdict::Deny(caller) if caller.get("why") == Some("late")));
        let challenge = authorizer(raw::Verdict::Unauthorized(Some("Bearer".into()))).unwrap();
        assert_eq!(challenge, AuthorizerVerdict::Unauthorized(Some(HeaderValue::from_static("Bearer"))));
    }

    #[test]
    fn what_they_cannot_is_refused() {
        for principal in ["", " x", "a\nb", &"x".repeat(257)] {
            assert_eq!(rule(caller(Some(principal), &[])), Some(Rule::Caller), "{principal:?}");
        }
        for context in [&[("", "x")][..], &[("a b", "x")], &[("a", "x\r\ny")], &[("a", "1"), ("a", "2")]] {
            assert_eq!(rule(caller(None, context)), Some(Rule::Caller), "{context:?}");
        }
        let large = "x".repeat(MAX_CONTEXT);
        assert_eq!(rule(caller(None, &[("a", &large)])), Some(Rule::Caller));
        let many: Vec<(String, String)> = (0..51).map(|number| (format!("n{number}"), String::new())).collect();
        assert!(authorizer(raw::Verdict::Deny(many)).is_err());
        assert!(authorizer(raw::Verdict::Unauthorized(Some("a\nb".into()))).is_err());
        let key = raw::Caller { api_key: Some(String::new()), ..caller(None, &[]) };
        assert_eq!(rule(key), Some(Rule::ApiKey));
    }
}
