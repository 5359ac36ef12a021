//! Policy statements: canned ones, which are made of the URL, and custom ones, which come with the request.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use super::Refusal;
use crate::flow::path::respelled;

/// A URL as a viewer asked for it, without what signed it.
#[derive(Debug, Clone, Copy)]
pub struct Url<'a> {
    /// The viewer's scheme.
    pub https: bool,
    /// Host in lower case, and the port if it is not the scheme's.
    pub host: &'a str,
    /// Path as the viewer spelled it.
    pub path: &'a str,
    /// Path in its one spelling, if that is another.
    pub normal_path: Option<&'a str>,
    /// Query without CloudFront's parameters.
    pub query: Option<&'a str>,
}

impl Url<'_> {
    /// As a signer wrote it.
    #[must_use]
    pub fn text(&self) -> String {
        self.with(self.path)
    }

    fn with(&self, path: &str) -> String {
        let scheme = if self.https { "https" } else { "http" };
        match self.query {
            Some(query) => format!("{scheme}://{}{path}?{query}", self.host),
            None => format!("{scheme}://{}{path}", self.host),
        }
    }

    /// Whether a resource with wildcards takes it. A path that is served under another spelling has to be taken under both:
    /// `/public/../private` starts with `/public/`.
    fn is_in(&self, resource: &str) -> bool {
        let text = self.text();
        let resource = lower_origin(resource);
        if resource == text {
            return true;
        }
        if !matches(resource.as_bytes(), text.as_bytes()) {
            return false;
        }
        let Some(normal) = self.normal_path else { return true };
        let normal = self.with(normal);
        [resource.as_bytes(), respelled(&resource).as_bytes()].iter().any(|each| matches(each, normal.as_bytes()))
    }
}

/// Scheme and host are the same in upper and lower case.
fn lower_origin(resource: &str) -> String {
    let path = resource.find("://").map(|at| at + 3).and_then(|start| {
        let rest = resource.get(start..)?;
        Some(start + rest.find('/').unwrap_or(rest.len()))
    });
    match path.and_then(|at| resource.split_at_checked(at)) {
        Some((origin, path)) => format!("{}{path}", origin.to_ascii_lowercase()),
        None => resource.to_owned(),
    }
}

/// The policy of a canned form, byte for byte as signers make it ("Create a signed URL using a canned policy").
#[must_use]
pub fn canned(url: &str, until: u64) -> String {
    let url = serde_json::Value::from(url);
    format!(r#"{{"Statement":[{{"Resource":{url},"Condition":{{"DateLessThan":{{"AWS:EpochTime":{until}}}}}}}]}}"#)
}

/// A custom policy. What is not known is refused: it may be a condition.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    #[serde(rename = "Statement")]
    statement: [Statement; 1],
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    /// Everything, if there is none.
    #[serde(rename = "Resource")]
    resource: Option<String>,
    #[serde(rename = "Condition")]
    condition: Condition,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(rename = "DateLessThan")]
    less: Time,
    #[serde(rename = "DateGreaterThan")]
    greater: Option<Time>,
    #[serde(rename = "IpAddress")]
    address: Option<Address>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Time {
    #[serde(rename = "AWS:EpochTime")]
    epoch: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    #[serde(rename = "AWS:SourceIp")]
    source: String,
}

impl Policy {
    /// Reads the JSON text of a policy; none if it is not one.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// Whether it allows this.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, url: &Url<'_>, client: IpAddr, now: u64) -> Result<(), Refusal> {
        let [Statement { resource, condition }] = &self.statement;
        if now >= condition.less.epoch {
            return Err(Refusal::Expired);
        }
        let early = condition.greater.as_ref().is_some_and(|greater| now <= greater.epoch);
        let elsewhere = match &condition.address {
            Some(Address { source }) => {
                let single = source.parse::<IpAddr>().map(IpNet::from);
                let net: IpNet = single.or_else(|_net| source.parse()).map_err(|_neither| Refusal::Invalid)?;
                !net.contains(&client)
            }
            None => false,
        };
        let other = resource.as_ref().is_some_and(|resource| !url.is_in(resource));
        if early || elsewhere || other { Err(Refusal::Denied) } else { Ok(()) }
    }
}

/// Whether a pattern takes all of a text: `*` is any number of characters, `?` is one. Goes back to the last `*` only, so the
/// time is the product of the lengths at most.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut pos) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(pos) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, pos));
                at += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == byte => {
                at += 1;
                pos += 1;
            }
            _ => match &mut star {
                Some((after, from)) => {
                    *from += 1;
                    (at, pos) = (*after + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, text, wanted) in [
            ("*", "", true),
            ("*", "anything?x=1", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("*.jpg", "a.jpg.jpg", true),
            ("http*://h/*", "https://h/a/b?c", true),
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("**a**", "xay", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn resources_hold_under_both_spellings() {
        let url = |path, normal_path| Url { https: true, host: "h.test", path, normal_path, query: None };
        for (resource, path, normal, wanted) in [
            ("https://h.test/public/*", "/public/a", None, true),
            ("HTTPS://H.test/public/*", "/public/a", None, true),
            ("https://h.test/PUBLIC/*", "/public/a", None, false),
            ("https://h.test/public/*", "/public/../private", Some("/private"), false),
            ("https://h.test/public/*", "/public/%2e%2e/private", Some("/private"), false),
            ("https://h.test/caf%c3%a9/*", "/caf%c3%a9/1", Some("/caf%C3%A9/1"), true),
            ("https://h.test/%70/*", "/%70/1", Some("/p/1"), true),
            // The signer wrote exactly that.
            ("https://h.test/a/../b", "/a/../b", Some("/b"), true),
        ] {
            assert_eq!(url(path, normal).is_in(resource), wanted, "{resource} {path}");
        }
    }

    #[test]
    fn what_is_not_understood_is_no_policy() {
        let good = canned("https://h.test/", 1);
        assert!(Policy::parse(good.as_bytes()).is_some());
        for (part, instead) in [
            (r#""DateLessThan""#, r#""DateLess""#),
            (r#""AWS:EpochTime":1"#, r#""AWS:EpochTime":"1""#),
            (r#""Condition":{"#, r#""Condition":{"StringEquals":{},"#),
            (r#"{"Statement":[{"#, r#"{"Version":1,"Statement":[{"#),
            (r#"}]}"#, r#"},{"Condition":{"DateLessThan":{"AWS:EpochTime":1}}}]}"#),
        ] {
            let bad = good.replace(part, instead);
            assert_ne!(bad, good);
            assert!(Policy::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
