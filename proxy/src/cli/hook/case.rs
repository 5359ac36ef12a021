//! The case file: one call of a hook at one stage, and what should come of it. TOML, unknown keys are errors.
//! What is expected of a call is compared in `expect`; how it runs is `run`'s.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use edgeweir_config::units::parse_country;
use edgeweir_config::{Problem, Report, Source, nearest};
use edgeweir_hookhost::{
    CallFacts, Caller, Entries, Fetch, GeoView, Grants, HookLimits, KeySet, KeyValueStore, OriginFacts, RequestBody,
    Stage, ViewerFacts,
};
use http::{HeaderName, HeaderValue, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use serde::Deserialize;

use super::run::Input;
use crate::cli::output;

mod cache;
mod stubs;
mod values;

pub(super) use cache::Stored;
use stubs::{Stub, Stubs};
use values::Word;
pub(super) use values::{OneOrMore, stage_of};

/// 2026-01-01T00:00:00Z in milliseconds of Unix time: the clock of a case that names none, so that it gives the same result
/// each time.
pub(super) const DEFAULT_NOW: u64 = 1_767_225_600_000;
/// The time that a hook has in an edge, if the configuration gives it no other.
pub(super) const EDGE_TIMEOUT: Duration = Duration::from_millis(50);
/// Limits of a case that names none. The memory is the edge's default. The time is longer than the edge's: what a call takes on
/// a busy machine is no property of the hook.
pub(super) const DEFAULT_LIMITS: HookLimits =
    HookLimits { timeout: Duration::from_secs(1), memory: 16 << 20, concurrent: 256 };

/// A case as people write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    #[serde(deserialize_with = "values::stage")]
    pub(super) stage: Stage,
    /// What the clock says.
    #[serde(default, deserialize_with = "values::moment")]
    now: Option<u64>,
    /// The note that an earlier stage left.
    note: Option<String>,
    /// What the behavior's authorizer said of the caller.
    caller: Option<CaseCaller>,
    /// Name of the origin that would be asked.
    origin: Option<String>,
    distribution: Option<String>,
    behavior: Option<String>,
    request_id: Option<String>,
    /// Limits as in `[hooks.*]` of the configuration.
    #[serde(default, deserialize_with = "values::duration")]
    timeout: Option<Duration>,
    #[serde(default, deserialize_with = "values::size")]
    memory: Option<u64>,
    #[serde(default)]
    request: Request,
    response: Option<Response>,
    #[serde(default)]
    viewer: Viewer,
    #[serde(default)]
    settings: toml::Table,
    /// What the binding grants: the entries of each store, and secrets.
    #[serde(default)]
    key_value_stores: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    /// The key sets that it grants: JSON Web Key Sets, written as TOML.
    #[serde(default)]
    jwks: BTreeMap<String, toml::Table>,
    /// The most bytes of the request's body that the hook may read.
    #[serde(default, deserialize_with = "values::size")]
    request_body: Option<u64>,
    /// Hosts that it may choose as origins.
    #[serde(default)]
    dynamic_origins: Vec<String>,
    /// What origins answer to requests of the hook.
    #[serde(default)]
    fetch: Vec<Stub>,
    /// The cache policy of the behavior.
    #[serde(default)]
    cache: cache::Cache,
    #[serde(default)]
    pub(super) expect: Expect,
    #[serde(default)]
    pub(super) budget: Budget,
}

/// What an authorizer said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseCaller {
    principal: Option<String>,
    #[serde(default)]
    context: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Request {
    method: String,
    scheme: String,
    /// Path and query.
    uri: String,
    headers: BTreeMap<String, OneOrMore>,
    /// What the request carries; with it the binding grants the body.
    body: Option<String>,
}

impl Default for Request {
    fn default() -> Self {
        Self { method: "GET".into(), scheme: "https".into(), uri: "/".into(), headers: BTreeMap::new(), body: None }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Response {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, OneOrMore>,
    #[serde(default, deserialize_with = "values::outcome")]
    cache_outcome: Option<Word>,
}

/// Who asks; geo facts that are not named are not known.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Viewer {
    pub(super) address: Option<IpAddr>,
    pub(super) port: Option<u16>,
    #[serde(default, deserialize_with = "values::http_version")]
    pub(super) http_version: Option<Version>,
    #[serde(default, deserialize_with = "values::tls_version")]
    pub(super) tls_version: Option<Word>,
    pub(super) country: Option<String>,
    pub(super) continent: Option<String>,
    pub(super) region: Option<String>,
    pub(super) city: Option<String>,
    pub(super) asn: Option<u32>,
    pub(super) time_zone: Option<String>,
    /// Latitude and longitude in degrees.
    pub(super) coordinates: Option<(f64, f64)>,
}

impl GeoView for Viewer {
    fn country(&self) -> Option<&str> {
        self.country.as_deref()
    }
    fn continent(&self) -> Option<&str> {
        self.continent.as_deref()
    }
    fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }
    fn city(&self) -> Option<&str> {
        self.city.as_deref()
    }
    fn asn(&self) -> Option<u32> {
        self.asn
    }
    fn time_zone(&self) -> Option<&str> {
        self.time_zone.as_deref()
    }
    fn coordinates(&self) -> Option<(f64, f64)> {
        self.coordinates
    }
}

/// A store of a case: it never changes.
struct Store(Arc<Entries>);

impl KeyValueStore for Store {
    fn entries(&self) -> Arc<Entries> {
        Arc::clone(&self.0)
    }
}

/// What should come of the call. What is not named is not compared.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    /// `next` or `respond`, at response stages only `next`; of an authorizer `allow`, `deny` or `unauthorized`; or `refused`, if the hook's check must refuse the settings.
    pub(super) verdict: Option<String>,
    /// Label of the fault, for example `failed`.
    pub(super) fault: Option<String>,
    /// Part of the message of the fault or of the refusal.
    pub(super) message: Option<String>,
    /// Header fields of the result: all their values, in order.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, OneOrMore>,
    /// Header fields that the result must not have.
    #[serde(default)]
    pub(super) removed: Vec<String>,
    pub(super) path: Option<String>,
    /// Without `?`; empty for none.
    pub(super) query: Option<String>,
    pub(super) status: Option<u16>,
    /// Of a generated response, or the body that the hook made for the request or the response.
    pub(super) body: Option<String>,
    /// What the request costs in throttles.
    pub(super) cost: Option<u32>,
    /// The API key that the hook named.
    pub(super) api_key: Option<String>,
    /// Who an authorizer says that the caller is.
    pub(super) principal: Option<String>,
    /// Values of an authorizer's context.
    #[serde(default)]
    pub(super) context: BTreeMap<String, String>,
    /// `WWW-Authenticate` of an authorizer's 401.
    pub(super) challenge: Option<String>,
    /// How long an authorizer's word may be kept.
    #[serde(default, deserialize_with = "values::duration")]
    pub(super) max_age: Option<Duration>,
    /// The tags of the response.
    pub(super) cache_tags: Option<Vec<String>>,
    /// The origin that the hook chose: its name, or its URL as in `https://a.example.com:443` if it chose it by host.
    pub(super) origin: Option<String>,
    /// The note that it left.
    pub(super) note: Option<String>,
    /// The parts that it added to the cache key.
    pub(super) cache_key: Option<Vec<String>>,
    #[serde(default, deserialize_with = "values::duration")]
    pub(super) ttl: Option<Duration>,
    /// Parts of lines that it logged.
    #[serde(default)]
    pub(super) log: Vec<String>,
}

/// What the hook may grow to before the test fails.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    /// Size of the file in bytes.
    #[serde(default, deserialize_with = "values::size")]
    pub(super) size: Option<u64>,
    /// Most linear memory of the call in bytes.
    #[serde(default, deserialize_with = "values::size")]
    pub(super) memory: Option<u64>,
}

/// Labels of the faults that a call of a case can end in.
const FAULTS: [&str; 6] = ["trap", "timeout", "out-of-memory", "validation", "failed", "missing-stage"];
/// Codes of geo databases.
const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// A text that is no case, as a report with line and caret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoCase(String);

/// What is wrong with a case, and where: a path of keys.
type Bad = (&'static [&'static str], anyhow::Error);

impl Case {
    /// Reads a case and the call that it describes. `file` is its name in reports.
    ///
    /// # Errors
    /// [`NoCase`].
    pub(super) fn load(file: &Path, text: &str) -> Result<(Self, Input, Stored), NoCase> {
        let told = |problem: Problem| {
            NoCase(Report::of(problem).render(&file.display().to_string(), text, output::colour_on_stderr()))
        };
        let bad =
            |(path, error): Bad| told(Problem::error("case", Source::of(text).place(path), output::chain(&error)));
        let case: Self = toml::from_str(text).map_err(|error| told(not_toml(&error)))?;
        case.check().map_err(bad)?;
        let input = case.input().map_err(bad)?;
        let stored = case.cache.read(input.now).map_err(|error| bad((&["cache"], error)))?;
        Ok((case, input, stored))
    }

    /// What the text alone does not say.
    fn check(&self) -> Result<(), Bad> {
        if self.stage.has_response() != self.response.is_some() {
            let wanted = if self.stage.has_response() { "needs a" } else { "has no" };
            return Err((&["response"], anyhow!("a case at {} {wanted} table `[response]`", self.stage)));
        }
        if let Some(Err(error)) = self.viewer.country.as_deref().map(parse_country) {
            let help = error.help().map(|help| format!(": {help}")).unwrap_or_default();
            return Err((&["viewer", "country"], anyhow!("{error}{help}")));
        }
        if let Some(other) = self.viewer.continent.as_deref().filter(|code| !CONTINENTS.contains(code)) {
            let message = anyhow!("`{other}` is not a continent: they are {}", listed(&CONTINENTS));
            return Err((&["viewer", "continent"], message));
        }
        let expect = &self.expect;
        if let Some(other) = expect.fault.as_deref().filter(|fault| !FAULTS.contains(fault)) {
            let message = match nearest(other, FAULTS) {
                Some(near) => anyhow!("`{other}` is no fault of a call: did you mean `{near}`?"),
                None => anyhow!("`{other}` is no fault of a call: there are {}", listed(&FAULTS)),
            };
            return Err((&["expect", "fault"], message));
        }
        let authorizer = self.stage == Stage::Authorizer;
        match expect.verdict.as_deref() {
            None | Some("refused") => {}
            Some("allow" | "deny" | "unauthorized") if authorizer => {}
            Some("next") if !authorizer => {}
            Some("respond") if !authorizer && !self.stage.has_response() => {}
            Some(other) => {
                let verdicts = match self.stage {
                    Stage::Authorizer => "`allow`, `deny`, `unauthorized`",
                    stage if stage.has_response() => "`next`",
                    _ => "`next`, `respond`",
                };
                let message = anyhow!("`{other}` is no verdict of {}: it is {verdicts} or `refused`", self.stage);
                return Err((&["expect", "verdict"], message));
            }
        }
        match (&expect.verdict, &expect.fault) {
            (Some(_), Some(_)) => {
                let message = anyhow!("a call ends in a verdict or in a fault: `[expect]` names both");
                Err((&["expect", "fault"], message))
            }
            (None, None) => Err((&["expect"], anyhow!("`[expect]` needs a `verdict` or a `fault`"))),
            _ => Ok(()),
        }
    }

    /// The call that the case describes.
    fn input(&self) -> Result<Input, Bad> {
        let head = request_head(&self.request.method, &self.request.uri);
        let no_method = http::Method::from_bytes(self.request.method.as_bytes()).is_err();
        let part: &[&str] = if no_method { &["request", "method"] } else { &["request", "uri"] };
        let mut request = head.map_err(|error| (part, error))?;
        fields(&self.request.headers, |name, value| Ok(request.append_header(name, value).map(|_first| ())?))
            .map_err(|error| (&["request", "headers"] as &[_], error))?;
        let response = self.response.as_ref().map(|case| -> Result<_, Bad> {
            let mut head = response_head(case.status).map_err(|error| (&["response", "status"] as &[_], error))?;
            fields(&case.headers, |name, value| Ok(head.append_header(name, value).map(|_first| ())?))
                .map_err(|error| (&["response", "headers"] as &[_], error))?;
            Ok((head, case.cache_outcome.map(|word| word.0)))
        });
        let https = match self.request.scheme.as_str() {
            "https" => true,
            "http" => false,
            other => {
                return Err((&["request", "scheme"], anyhow!("`{other}` is no scheme: it is `http` or `https`")));
            }
        };
        let settings = values::json(&self.settings).map_err(|error| (&["settings"] as &[_], error))?;
        let viewer = ViewerFacts {
            address: self.viewer.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port: self.viewer.port,
            http_version: self.viewer.http_version.unwrap_or(Version::HTTP_11),
            tls_version: self.viewer.tls_version.map(|word| word.0).or(https.then_some("TLSv1.3")),
            geo: Some(Arc::new(self.viewer.clone())),
        };
        let or = |value: &Option<String>, default: &str| Arc::from(value.as_deref().unwrap_or(default));
        let facts = CallFacts {
            viewer,
            distribution: or(&self.distribution, "site"),
            behavior: or(&self.behavior, "*"),
            request_id: or(&self.request_id, "00000000000000000000000000"),
        };
        let memory = self.memory.map_or(DEFAULT_LIMITS.memory, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let timeout = self.timeout.unwrap_or(DEFAULT_LIMITS.timeout);
        let at_origin = matches!(self.stage, Stage::OriginRequest | Stage::OriginResponse);
        Ok(Input {
            stage: self.stage,
            authority: authority(&request),
            request,
            https,
            response: response.transpose()?,
            facts,
            origin: self.origin.as_deref().filter(|_| at_origin).map(OriginFacts::named).map(Arc::new),
            settings: settings.to_string().into(),
            note: self.note.as_deref().map(Arc::from),
            caller: self.caller.as_ref().map(|caller| {
                let context = caller.context.iter();
                Arc::new(Caller {
                    principal: caller.principal.as_deref().map(Into::into),
                    context: context.map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect(),
                    ..Caller::default()
                })
            }),
            body: self.body(),
            grants: Arc::new(self.grants()?),
            now: self.now.unwrap_or(DEFAULT_NOW),
            limits: HookLimits { timeout, memory, ..DEFAULT_LIMITS },
        })
    }

    /// The request's body, where the case speaks of one.
    fn body(&self) -> Option<RequestBody> {
        if self.stage.has_response()
            || self.stage == Stage::Authorizer
            || (self.request.body.is_none() && self.request_body.is_none())
        {
            return None;
        }
        let default = if self.stage == Stage::ViewerRequest { 40 << 10 } else { 1 << 20 };
        let limit = self.request_body.map_or(default, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let bytes = self.request.body.clone().unwrap_or_default().into();
        Some(RequestBody { bytes, more: false, limit })
    }

    fn grants(&self) -> Result<Grants, Bad> {
        let bytes = |text: &String| -> Arc<[u8]> { text.as_bytes().into() };
        let stores = self.key_value_stores.iter().map(|(name, entries)| {
            let entries = entries.iter().map(|(key, value)| (key.as_str().into(), bytes(value))).collect();
            let store: Arc<dyn KeyValueStore> = Arc::new(Store(Arc::new(entries)));
            (name.as_str().into(), store)
        });
        let secrets = self.secrets.iter().map(|(name, value)| (name.as_str().into(), bytes(value)));
        let stubs: anyhow::Result<Vec<_>> = self.fetch.iter().map(Stub::answer).collect();
        let stubs = stubs.map_err(|error| (&["fetch"] as &[_], error))?;
        let sets = self.jwks.iter().map(|(name, set)| {
            let set: Arc<dyn KeySet> = Arc::new(stubs::keys(set).with_context(|| format!("key set `{name}`"))?);
            Ok((name.as_str().into(), set))
        });
        let sets: anyhow::Result<Vec<_>> = sets.collect();
        Ok(Grants {
            stores: stores.collect(),
            secrets: secrets.collect(),
            jwks: sets.map_err(|error| (&["jwks"] as &[_], error))?,
            fetch: (!stubs.is_empty()).then(|| -> Arc<dyn Fetch> { Arc::new(Stubs(stubs)) }),
            dynamic_origins: self.dynamic_origins.iter().map(|host| host.to_ascii_lowercase().into()).collect(),
        })
    }
}

/// toml's error; with the name that was probably meant, if it tells the names that it knows.
fn not_toml(error: &toml::de::Error) -> Problem {
    let message = error.message().trim_end().replace('\n', ", ");
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let near = words.split_first().and_then(|(wrong, known)| nearest(wrong, known.iter().copied()));
    let help = near.map(|near| format!("did you mean `{near}`?"));
    let start = if help.is_some() { message.split(", expected").next() } else { None };
    let shown = start.unwrap_or(&message).to_owned();
    Problem::error("case", error.span().unwrap_or(0..0), shown).maybe_help(help)
}

/// Hands over all header fields of a table.
fn fields(
    headers: &BTreeMap<String, OneOrMore>,
    mut add: impl FnMut(HeaderName, HeaderValue) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for (name, values) in headers {
        for value in values.iter() {
            let (name, value) = field(name, value)?;
            add(name, value)?;
        }
    }
    Ok(())
}

/// A request's head, without header fields.
pub(super) fn request_head(method: &str, uri: &str) -> anyhow::Result<RequestHeader> {
    if !uri.starts_with('/') {
        return Err(anyhow!("the request's `uri` must start with `/`: `{uri}`"));
    }
    http::Request::builder()
        .method(method)
        .uri(uri)
        .body(())
        .map(|request| request.into_parts().0.into())
        .with_context(|| format!("`{method} {uri}` is no request"))
}

/// A response's head, without header fields.
pub(super) fn response_head(status: u16) -> anyhow::Result<ResponseHeader> {
    http::Response::builder()
        .status(status)
        .body(())
        .map(|response| response.into_parts().0.into())
        .with_context(|| format!("`{status}` is no status"))
}

/// A header field.
pub(super) fn field(name: &str, value: &str) -> anyhow::Result<(HeaderName, HeaderValue)> {
    let parsed = HeaderName::try_from(name).with_context(|| format!("`{name}` is no header name"))?;
    let value = HeaderValue::try_from(value).with_context(|| format!("header `{name}` has a value that is none"))?;
    Ok((parsed, value))
}

/// The host that the request names.
pub(super) fn authority(head: &RequestHeader) -> Box<str> {
    let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    host.unwrap_or("www.example.com").to_ascii_lowercase().into()
}

#[cfg(test)]
mod tests;
