//! What the edge answers by itself, as the config changes it: gateway responses and CORS. Knows no request.

use edgeweir_config::units::{OriginPattern, Template};
use edgeweir_config::{self as model, ResponseType};
use http::{HeaderName, HeaderValue, StatusCode};

/// Gateway responses of the edge or a distribution, by type.
#[derive(Debug, Default)]
pub struct Responses([Option<Box<Response>>; ResponseType::COUNT]);

/// What is different in an answer.
#[derive(Debug)]
pub struct Response {
    /// Another status.
    pub status: Option<StatusCode>,
    /// Fields that replace those of the edge.
    pub headers: Vec<(HeaderName, Template)>,
    /// Another body.
    pub body: Option<Body>,
}

/// A body and its media type.
#[derive(Debug)]
pub struct Body {
    /// Its text.
    pub template: Template,
    /// For `Content-Type`.
    pub media_type: HeaderValue,
    /// How what comes from the request is written in it.
    pub escape: Escape,
}

/// How a value is written so that it stays a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// Inside a JSON string.
    Json,
    /// In HTML or XML.
    Markup,
    /// In a header field.
    Field,
    /// As it is.
    Plain,
}

impl Responses {
    /// Of a configuration; what no header can carry is not in one.
    #[must_use]
    pub fn new(written: &[model::GatewayResponse]) -> Self {
        let mut responses = Self::default();
        for each in written {
            let headers = each
                .headers
                .iter()
                .filter_map(|(name, template)| Some((HeaderName::from_bytes(name.as_bytes()).ok()?, template.clone())));
            let body = each.body.as_ref().and_then(|template| {
                let media_type = HeaderValue::from_str(&each.content_type).ok()?;
                Some(Body { template: template.clone(), media_type, escape: Escape::of(&each.content_type) })
            });
            let status = each.status.and_then(|status| StatusCode::from_u16(status).ok());
            let response = Response { status, headers: headers.collect(), body };
            if let Some(place) = responses.0.get_mut(each.kind as usize) {
                *place = Some(Box::new(response));
            }
        }
        responses
    }

    /// The setting for a type, else that for all of its class.
    #[must_use]
    pub fn find(&self, kind: Option<ResponseType>, status: u16) -> Option<&Response> {
        let of = |kind: ResponseType| self.0.get(kind as usize)?.as_deref();
        let class = if status < 500 { ResponseType::Default4xx } else { ResponseType::Default5xx };
        kind.and_then(of).or_else(|| of(class))
    }
}

impl Escape {
    fn of(media_type: &str) -> Self {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence.ends_with("json") || essence.ends_with("javascript") {
            Self::Json
        } else if essence.ends_with("html") || essence.ends_with("xml") {
            Self::Markup
        } else {
            Self::Plain
        }
    }
}

/// A CORS policy, ready.
#[derive(Debug)]
pub struct Cors {
    /// Whose pages.
    pub origins: Vec<OriginPattern>,
    /// Anybody's, without credentials.
    pub any_origin: bool,
    /// For `Access-Control-Allow-Methods`.
    pub methods: HeaderValue,
    /// For `Access-Control-Allow-Headers`; none allowed if absent.
    pub headers: Option<HeaderValue>,
    /// For `Access-Control-Expose-Headers`.
    pub expose: Option<HeaderValue>,
    /// Whether credentials may be sent.
    pub credentials: bool,
    /// For `Access-Control-Max-Age`, in seconds.
    pub max_age: Option<HeaderValue>,
    /// Take the place of what the origin says.
    pub overrides: bool,
}

impl Cors {
    /// Of a configuration; `methods` are the behavior's.
    #[must_use]
    pub fn new(written: &model::Cors, methods: &[String]) -> Self {
        let methods = if written.methods.is_empty() { methods } else { &written.methods };
        let list = |names: &[String]| {
            let value = HeaderValue::from_str(&names.join(", ")).ok();
            value.filter(|_value| !names.is_empty())
        };
        Self {
            any_origin: !written.credentials && written.origins.iter().any(OriginPattern::matches_all),
            origins: written.origins.clone(),
            methods: list(methods).unwrap_or_else(|| HeaderValue::from_static("GET")),
            headers: list(&written.headers),
            expose: list(&written.expose),
            credentials: written.credentials,
            max_age: written.max_age.map(|age| HeaderValue::from(age.as_secs())),
            overrides: written.overrides,
        }
    }

    /// What `Access-Control-Allow-Origin` says to pages of an origin; nothing if they may not.
    #[must_use]
    pub fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.any_origin {
            return Some(HeaderValue::from_static("*"));
        }
        let text = origin.to_str().ok()?;
        self.origins.iter().any(|pattern| pattern.matches(text)).then(|| origin.clone())
    }
}
