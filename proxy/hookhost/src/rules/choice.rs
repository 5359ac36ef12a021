//! Origins that hooks choose by a function (`origins.choose`): JSON becomes a checked edit.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::{Allowed, Rule, Violation, dynamic, headers, name};
use crate::{OriginChange, RequestEdit};

/// Most headers of an origin, and their bytes together (CloudFront quotas: custom headers).
const MAX_HEADERS: usize = 30;
const MAX_HEADER_BYTES: usize = 10_240;
/// Longest timeout, in milliseconds (CloudFront: response timeout).
const MAX_TIMEOUT: u64 = 120_000;
/// Most members and statuses of a group.
const MAX_MEMBERS: usize = 16;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Choice {
    Origin(Change),
    Group(Group),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Change {
    host: Option<String>,
    scheme: Option<String>,
    port: Option<u16>,
    path: Option<String>,
    host_header: Option<String>,
    headers: Option<Vec<(String, String)>>,
    #[serde(default)]
    keep_headers: bool,
    connect_timeout: Option<u64>,
    read_timeout: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    origins: Vec<String>,
    #[serde(default)]
    statuses: Vec<u16>,
}

/// What a hook chose; none for nothing. The error is for the hook: one sentence.
pub(crate) fn choice(text: &str, allowed: Allowed<'_>) -> Result<Option<RequestEdit>, String> {
    let choice: Option<Choice> =
        serde_json::from_str(text).map_err(|error| format!("not a choice of an origin: {error}"))?;
    let edit = match choice {
        None => return Ok(None),
        Some(Choice::Origin(change)) => change.checked(allowed).map(RequestEdit::ChangeOrigin),
        Some(Choice::Group(group)) => group.checked(),
    };
    edit.map(Some).map_err(|violation| match violation.rule {
        Rule::DynamicOriginNotGranted => {
            format!(
                "the binding does not allow the origin {:?}: add it to `dynamic_origins` of the binding",
                violation.what
            )
        }
        rule => format!("{}: {:?}", rule.text(), violation.what),
    })
}

impl Change {
    fn checked(self, allowed: Allowed<'_>) -> Result<OriginChange, Violation> {
        let wrong = |what: &str| Err(Violation::new(Rule::DynamicOrigin, what));
        if self.host.is_none() && (self.scheme.is_some() || self.port.is_some()) {
            return wrong("scheme and port can only be changed together with the host");
        }
        let tls = match self.scheme.as_deref() {
            None => None,
            Some("https") => Some(true),
            Some("http") => Some(false),
            Some(_) => return wrong("scheme"),
        };
        if self.port == Some(0) {
            return wrong("port 0");
        }
        let timeout = |ms: Option<u64>| match ms {
            Some(ms) if !(1..=MAX_TIMEOUT).contains(&ms) => {
                Err(Violation::new(Rule::DynamicOrigin, format!("a timeout of {ms} ms, not 1 to {MAX_TIMEOUT}")))
            }
            ms => Ok(ms.map(Duration::from_millis)),
        };
        Ok(OriginChange {
            host: self.host.map(|host| dynamic::allowed_host(&host, allowed.dynamic_origins)).transpose()?,
            tls,
            port: self.port,
            path_prefix: self.path.as_deref().map(dynamic::path_prefix).transpose()?,
            host_header: self.host_header.as_deref().map(dynamic::host_header).transpose()?,
            headers: self.headers.map(own_headers).transpose()?,
            keeps_headers: self.keep_headers,
            connect_timeout: timeout(self.connect_timeout)?,
            read_timeout: timeout(self.read_timeout)?,
        })
    }
}

impl Group {
    fn checked(self) -> Result<RequestEdit, Violation> {
        if self.origins.len() < 2 || self.origins.len() > MAX_MEMBERS || self.statuses.len() > MAX_MEMBERS {
            return Err(Violation::new(Rule::DynamicOrigin, "a group has 2 to 16 members and at most 16 statuses"));
        }
        let members: Result<_, _> = self.origins.into_iter().map(|origin| name(Rule::OriginName, origin)).collect();
        Ok(RequestEdit::Group { members: members?, statuses: self.statuses })
    }
}

/// Headers that an origin gets.
fn own_headers(raw: Vec<(String, String)>) -> Result<Vec<(HeaderName, HeaderValue)>, Violation> {
    if raw.len() > MAX_HEADERS {
        return Err(Violation::new(Rule::DynamicOrigin, format!("{} headers, at most {MAX_HEADERS}", raw.len())));
    }
    let mut bytes = 0;
    let mut all = Vec::with_capacity(raw.len());
    for (name, value) in raw {
        let name = headers::field_name(name)?;
        if headers::is_not_added(name.as_str()) {
            return Err(Violation::new(Rule::ReadOnlyHeader, name.as_str()));
        }
        let value = headers::value(&name, value.into_bytes())?;
        bytes += name.as_str().len() + value.len();
        if bytes > MAX_HEADER_BYTES {
            return Err(Violation::new(Rule::HeadersTooLarge, name.as_str()));
        }
        all.push((name, value));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str) -> Result<Option<RequestEdit>, String> {
        let allowed = ["*.example.com", "10.0.0.1"].map(Box::from);
        choice(text, Allowed { body: None, dynamic_origins: &allowed })
    }

    #[test]
    fn what_is_left_out_stays() {
        assert_eq!(chosen("null"), Ok(None));
        assert_eq!(chosen(r#"{"origin": {}}"#), Ok(Some(RequestEdit::ChangeOrigin(OriginChange::default()))));
        let text = r#"{"origin": {"host": "EU.example.com", "scheme": "http", "port": 81, "path": "/eu/", "host-header": "x.test",
            "headers": [["X-A", "1"]], "connect-timeout": 2000, "read-timeout": 1}}"#;
        let Ok(Some(RequestEdit::ChangeOrigin(change))) = chosen(text) else { panic!("{:?}", chosen(text)) };
        assert_eq!(change.host, Some(("eu.example.com".into(), false)));
        assert_eq!((change.tls, change.port, change.path_prefix.as_deref()), (Some(false), Some(81), Some("/eu")));
        assert_eq!(change.headers.unwrap()[0].0, "x-a");
        assert_eq!(change.connect_timeout, Some(Duration::from_secs(2)));
        let group = RequestEdit::Group { members: vec!["a".into(), "b".into()], statuses: vec![503] };
        assert_eq!(chosen(r#"{"group": {"origins": ["a", "b"], "statuses": [503]}}"#), Ok(Some(group)));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, words) in [
            ("[]", "not a choice"),
            (r#"{"origin": {"hsot": "a"}}"#, "unknown field `hsot`"),
            (r#"{"origin": {"host": "evil.test"}}"#, "\"evil.test\": add it to `dynamic_origins`"),
            (r#"{"origin": {"host": "a b"}}"#, "host a b"),
            (r#"{"origin": {"port": 81}}"#, "together with the host"),
            (r#"{"origin": {"host": "10.0.0.1", "scheme": "ftp"}}"#, "scheme"),
            (r#"{"origin": {"host": "10.0.0.1", "port": 0}}"#, "port 0"),
            (r#"{"origin": {"path": "/a/../b"}}"#, "path prefix"),
            (r#"{"origin": {"host-header": "a/b"}}"#, "host header"),
            (r#"{"origin": {"headers": [["host", "a"]]}}"#, "read-only"),
            (r#"{"origin": {"headers": [["Via", "a"]]}}"#, "read-only"),
            (r#"{"origin": {"headers": [["cdn-loop", "a"]]}}"#, "read-only"),
            (r#"{"origin": {"headers": [["if-none-match", "a"]]}}"#, "read-only"),
            (r#"{"origin": {"headers": [["range", "bytes=0-1"]]}}"#, "read-only"),
            (r#"{"origin": {"headers": [["x-amz-date", "a"]]}}"#, "read-only"),
            (r#"{"origin": {"headers": [["x-amz-cf-id", "a"]]}}"#, "may not set"),
            (r#"{"origin": {"headers": [["x-a", "a\nb"]]}}"#, "not a header value"),
            (r#"{"origin": {"read-timeout": 120001}}"#, "120001 ms"),
            (r#"{"group": {"origins": ["a"]}}"#, "2 to 16"),
            (r#"{"group": {"origins": ["a", ""]}}"#, "1 to 256"),
        ] {
            let said = chosen(text).expect_err(text);
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
