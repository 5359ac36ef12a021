//! Whether a request meets the conditions of a behavior beside its path.

use edgeweir_config::units::TextPattern;
use http::HeaderMap;
use http::header::COOKIE;
use pingora::http::RequestHeader;

use super::context::RequestCtx;
use super::identity::percent_decode;
use crate::snapshot::conditions::Conditions;

/// Whether all conditions hold.
pub(super) fn holds(conditions: &Conditions, head: &RequestHeader, ctx: &mut RequestCtx) -> bool {
    (conditions.methods.is_empty() || conditions.methods.contains(&head.method))
        && conditions.headers.iter().all(|(name, patterns)| {
            head.headers.get_all(name).iter().any(|value| matches_one(patterns, value.as_bytes()))
        })
        && conditions.cookies.iter().all(|(name, patterns)| cookie(&head.headers, name, patterns))
        && conditions.query.iter().all(|(name, patterns)| parameter(head.uri.query(), name, patterns))
        // The last: it may have to be looked up.
        && (conditions.countries.is_empty()
            || ctx.geo().and_then(|geo| geo.country).is_some_and(|country| conditions.countries.contains(&country)))
}

fn matches_one(patterns: &[TextPattern], value: &[u8]) -> bool {
    patterns.iter().any(|pattern| pattern.matches(value))
}

/// Whether a cookie of this name has such a value (RFC 6265, 5.4).
fn cookie(headers: &HeaderMap, name: &str, patterns: &[TextPattern]) -> bool {
    headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b';')).any(|pair| {
        let pair = pair.trim_ascii();
        let value = pair.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        value.is_some_and(|value| matches_one(patterns, value))
    })
}

/// Whether a parameter of this name has such a value, both percent-decoded, `+` as a space.
fn parameter(query: Option<&str>, name: &str, patterns: &[TextPattern]) -> bool {
    let decoded = |text: &str| -> bool { text.contains(['%', '+']) };
    query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).any(|pair| {
        let (left, value) = pair.split_once('=').unwrap_or((pair, ""));
        let named = if decoded(left) {
            *percent_decode(left.replace('+', " ").as_bytes()) == *name.as_bytes()
        } else {
            left == name
        };
        named
            && if decoded(value) {
                matches_one(patterns, &percent_decode(value.replace('+', " ").as_bytes()))
            } else {
                matches_one(patterns, value.as_bytes())
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<TextPattern> {
        texts.iter().map(|text| TextPattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn cookies_and_parameters() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=1; beta=on;c = 2; d=x=y".parse().unwrap());
        headers.append(COOKIE, "e=5".parse().unwrap());
        for (name, value, holds) in [
            ("a", "1", true),
            ("beta", "o*", true),
            ("e", "5", true),
            ("d", "x=y", true),
            ("et", "*", false),
            ("A", "1", false),
        ] {
            assert_eq!(cookie(&headers, name, &patterns(&[value])), holds, "{name}");
        }
        let query = Some("v=2&n%61me=a%20b+c&flag&v=3&&x=%2");
        for (name, values, holds) in [
            ("v", &["3"][..], true),
            ("v", &["1", "2"], true),
            ("v", &["4"], false),
            ("name", &["a b c"], true),
            ("flag", &[""], true),
            ("flag", &["*"], true),
            ("x", &["%2"], true),
            ("", &["*"], false),
        ] {
            assert_eq!(parameter(query, name, &patterns(values)), holds, "{name} {values:?}");
        }
        assert!(!parameter(None, "v", &patterns(&["*"])));
    }
}
