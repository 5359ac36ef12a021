//! The edge's own answers: what the fault table says, changed by the gateway responses of the distribution and the edge.

use std::fmt::Write as _;

use bytes::Bytes;
use edgeweir_config::units::{Part, Template, Variable};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, SERVER, VARY, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};

use super::context::RequestCtx;
use super::edits::set;
use super::{quota, throttle};
use crate::fault::Fault;
use crate::negotiate;
use crate::snapshot::answers::{Escape, Response};

const X_AMZN_ERRORTYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Head and body of a fault's answer.
///
/// # Errors
/// If pingora refuses the head.
pub(super) fn made(fault: Fault, request: &RequestHeader, ctx: &RequestCtx) -> Result<(ResponseHeader, Bytes)> {
    let changed = find(fault, ctx);
    let status = changed.and_then(|response| response.status).map_or_else(|| fault.status(), |status| status.as_u16());
    let values = Values { fault, status, request, ctx };
    let mut head = ResponseHeader::build(status, Some(12))?;
    set(&mut head, SERVER, HeaderValue::from_static("edgeweir"));
    set(&mut head, CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(kind) = fault.error_type() {
        set(&mut head, X_AMZN_ERRORTYPE, HeaderValue::from_static(kind));
    }
    if fault == Fault::MethodNotAllowed {
        // RFC 9110, 15.5.6: Allow must be sent.
        let allow = ctx.behavior().map_or_else(
            || HeaderValue::from_static("GET, HEAD, OPTIONS, PUT, POST, PATCH, DELETE"),
            |behavior| behavior.allow.clone(),
        );
        set(&mut head, ALLOW, allow);
    }
    if let Some(refused) = &ctx.refused {
        throttle::tell_refusal(&mut head, refused);
    }
    if let Some(exceeded) = ctx.exceeded {
        quota::tell_refusal(&mut head, exceeded);
    }
    if let (Fault::Unauthorized, Some(challenge)) = (fault, &ctx.challenge) {
        // RFC 9110, 15.5.2: it must be sent.
        set(&mut head, WWW_AUTHENTICATE, challenge.clone());
    }
    let body = match changed.and_then(|response| response.body.as_ref()) {
        Some(body) => {
            set(&mut head, CONTENT_TYPE, body.media_type.clone());
            values.render(&body.template, body.escape)
        }
        None => {
            if negotiate::wants_page(&request.headers) {
                // No cache keeps either form; a page says so once more.
                set(&mut head, VARY, HeaderValue::from_static("Accept"));
                set(&mut head, CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
                let reason = head.status.canonical_reason().unwrap_or_default();
                negotiate::page(status, reason, fault.message(), ctx.id())
            } else {
                set(&mut head, CONTENT_TYPE, HeaderValue::from_static("application/json"));
                format!("{{\"{}\":\"{}\"}}", fault.message_key(), fault.message())
            }
        }
    };
    for (name, template) in changed.into_iter().flat_map(|response| &response.headers) {
        if let Ok(value) = HeaderValue::from_str(&values.render(template, Escape::Field)) {
            set(&mut head, name.clone(), value);
        }
    }
    Ok((head, Bytes::from(body)))
}

/// The nearest setting: the distribution's goes before the edge's, the type's own before that of its class.
fn find(fault: Fault, ctx: &RequestCtx) -> Option<&Response> {
    let (kind, status) = (fault.response_type(), fault.status());
    // A host whose path no behavior has is known too.
    let at = ctx.route.map(|(at, _)| at).or_else(|| ctx.snapshot.hosts.find(ctx.authority.host()));
    // What is on the wrong connection has nothing of the other host, least of all its status (RFC 9110, 15.5.20).
    let at = at.filter(|_| fault != Fault::Misdirected);
    let distribution = at.and_then(|at| ctx.snapshot.distributions.get(at));
    let own = distribution.and_then(|distribution| distribution.responses.find(kind, status));
    own.or_else(|| ctx.snapshot.responses.find(kind, status))
}

/// What variables stand for.
struct Values<'a> {
    fault: Fault,
    status: u16,
    request: &'a RequestHeader,
    ctx: &'a RequestCtx,
}

impl Values<'_> {
    fn render(&self, template: &Template, escape: Escape) -> String {
        let mut text = String::new();
        for part in &template.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Variable(Variable::ErrorMessageString) => {
                    text.push_str(&serde_json::Value::from(self.fault.message()).to_string());
                }
                Part::Variable(variable) => escaped(&mut text, &self.value(variable), escape),
            }
        }
        text
    }

    /// The value of a variable; empty if it is not known. API Gateway writes `-` in its place only in logs.
    fn value(&self, variable: &Variable) -> String {
        let header = |name: &str| {
            let value = self.request.headers.get(name);
            value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
        };
        match variable {
            Variable::ErrorMessage | Variable::ErrorMessageString => self.fault.message().to_owned(),
            Variable::ResponseType => self.response_type().to_owned(),
            Variable::RequestId | Variable::ExtendedRequestId => self.ctx.id().to_owned(),
            Variable::HttpMethod => self.request.method.to_string(),
            Variable::Path => self.request.uri.path().to_owned(),
            Variable::ResourcePath => self.ctx.behavior().map(|found| found.label.to_string()).unwrap_or_default(),
            Variable::Protocol => format!("{:?}", self.ctx.version),
            Variable::DomainName => self.ctx.authority.host().to_owned(),
            Variable::ApiId => self.ctx.distribution().map(|found| found.name.to_string()).unwrap_or_default(),
            Variable::Status => self.status.to_string(),
            Variable::RequestTime => clf(std::time::SystemTime::now()),
            Variable::RequestTimeEpoch => epoch(std::time::SystemTime::now()),
            Variable::SourceIp => self.ctx.client.0.to_string(),
            Variable::UserAgent => header("user-agent"),
            Variable::ApiKeyId => {
                self.ctx.key.as_ref().map(|keyed| keyed.slot.meter.key_name().to_string()).unwrap_or_default()
            }
            Variable::PrincipalId => {
                self.ctx.caller.as_ref().and_then(|caller| caller.principal()).unwrap_or_default().to_owned()
            }
            Variable::Authorizer(name) => {
                self.ctx.caller.as_ref().and_then(|caller| caller.get(name)).unwrap_or_default().to_owned()
            }
            Variable::Header(name) => header(name),
            Variable::Query(name) => {
                let pairs = self.request.uri.query().unwrap_or_default().split('&');
                let mut values = pairs.filter_map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (key == name).then(|| value.to_owned())
                });
                values.next().unwrap_or_default()
            }
        }
    }

    fn response_type(&self) -> &'static str {
        match self.fault.response_type() {
            Some(kind) => kind.as_str(),
            None if self.fault.status() < 500 => "DEFAULT_4XX",
            None => "DEFAULT_5XX",
        }
    }
}

/// Writes a value so that it stays one.
fn escaped(text: &mut String, value: &str, escape: Escape) {
    match escape {
        Escape::Plain => text.push_str(value),
        Escape::Json => {
            let quoted = serde_json::Value::from(value).to_string();
            let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            // A page may have it in a script element.
            text.push_str(&inner.unwrap_or_default().replace('<', "\\u003c"));
        }
        Escape::Markup => {
            for char in value.chars() {
                match char {
                    '&' | '<' | '>' | '"' | '\'' => {
                        // Writing to a string does not fail.
                        let _always = write!(text, "&#{};", u32::from(char));
                    }
                    other => text.push(other),
                }
            }
        }
        Escape::Field => {
            text.extend(value.chars().map(|char| if matches!(char, ' '..='~') { char } else { '?' }));
        }
    }
}

/// As in a Common Log Format, in UTC.
fn clf(time: std::time::SystemTime) -> String {
    // `Sun, 06 Nov 1994 08:49:37 GMT`
    let date = httpdate::fmt_http_date(time);
    let part = |range: std::ops::Range<usize>| date.get(range).unwrap_or_default();
    format!("{}/{}/{}:{} +0000", part(5..7), part(8..11), part(12..16), part(17..25))
}

fn epoch(time: std::time::SystemTime) -> String {
    time.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_break_out() {
        let write = |value: &str, escape| {
            let mut text = String::new();
            escaped(&mut text, value, escape);
            text
        };
        assert_eq!(write("a\"b\\c\n</script>", Escape::Json), r#"a\"b\\c\n\u003c/script>"#);
        assert_eq!(write("<a href='x'>&\"", Escape::Markup), "&#60;a href=&#39;x&#39;&#62;&#38;&#34;");
        assert_eq!(write("a\r\nb: é", Escape::Field), "a??b: ?");
        assert_eq!(write("<a>", Escape::Plain), "<a>");
    }

    #[test]
    fn times_are_api_gateways() {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(784_111_777_123);
        assert_eq!(clf(time), "06/Nov/1994:08:49:37 +0000");
        assert_eq!(epoch(time), "784111777123");
    }
}
