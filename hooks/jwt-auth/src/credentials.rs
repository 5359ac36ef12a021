//! Which token a request came with. The `Authorization` header comes first; a cookie and a query parameter only where
//! the settings name one.

use edgeweir_sdk::http::HeaderValue;

use crate::answer::Refusal;

/// What was read from the request.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    /// All lines of `Authorization`.
    pub(crate) authorization: Vec<HeaderValue>,
    /// The cookie that the settings name.
    pub(crate) cookie: Option<String>,
    /// The query parameter that the settings name.
    pub(crate) query: Option<String>,
}

impl Credentials {
    /// The token.
    pub(crate) fn token(&self) -> Result<&str, Refusal> {
        match self.authorization.as_slice() {
            [] => {}
            [line] => {
                if let Some(token) = bearer(line)? {
                    return Ok(token);
                }
            }
            // Origins differ in which of them they read.
            _ => return Err(Refusal::InvalidRequest("more than one Authorization header")),
        }
        let elsewhere = [&self.cookie, &self.query].into_iter().flatten().find(|token| !token.is_empty());
        elsewhere.map(String::as_str).ok_or(Refusal::NoCredentials)
    }
}

/// The token of an `Authorization` line (RFC 6750, 2.1); `None` for another scheme.
fn bearer(line: &HeaderValue) -> Result<Option<&str>, Refusal> {
    let Ok(line) = line.to_str() else { return Err(Refusal::InvalidRequest("the Authorization header is malformed")) };
    let (scheme, token) = line.split_once(' ').unwrap_or((line, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    match token.trim_matches(' ') {
        "" => Err(Refusal::InvalidRequest("the Authorization header has no token")),
        token => Ok(Some(token)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(lines: &[&'static str]) -> Credentials {
        let authorization = lines.iter().map(|line| HeaderValue::from_static(line)).collect();
        Credentials { authorization, cookie: None, query: None }
    }

    #[test]
    fn the_scheme_has_no_case() {
        for line in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c "] {
            assert_eq!(with(&[line]).token(), Ok("a.b.c"), "{line}");
        }
    }

    #[test]
    fn no_token_is_no_credentials() {
        for lines in [&[][..], &["Basic YTpi"], &["Bearerx a"], &[""]] {
            assert_eq!(with(lines).token(), Err(Refusal::NoCredentials), "{lines:?}");
        }
    }

    #[test]
    fn what_is_ambiguous_is_a_bad_request() {
        for lines in [&["Bearer a", "Bearer a"][..], &["Basic a", "Bearer b"], &["Bearer"], &["Bearer  "]] {
            assert!(matches!(with(lines).token(), Err(Refusal::InvalidRequest(_))), "{lines:?}");
        }
        let mut credentials = with(&[]);
        credentials.authorization.push(HeaderValue::from_bytes(b"Bearer \xff").expect("a header value"));
        assert!(matches!(credentials.token(), Err(Refusal::InvalidRequest(_))));
    }

    #[test]
    fn header_then_cookie_then_query() {
        let mut credentials = with(&["Bearer h"]);
        credentials.cookie = Some("c".to_owned());
        credentials.query = Some("q".to_owned());
        assert_eq!(credentials.token(), Ok("h"));
        credentials.authorization.clear();
        assert_eq!(credentials.token(), Ok("c"));
        credentials.cookie = Some(String::new());
        assert_eq!(credentials.token(), Ok("q"));
        credentials.query = None;
        assert_eq!(credentials.token(), Err(Refusal::NoCredentials));
    }
}
