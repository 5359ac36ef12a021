//! The configuration as people write it: one type for each table, with ranges, but without meaning. What values mean
//! together is for `rules`; what the proxy reads is made by `resolve`.
//!
//! The doc comments of fields are the descriptions in the JSON Schema, so they speak to the writer of a config.

mod acme;
mod answers;
mod authorizer;
mod bucket;
mod cache;
mod distribution;
mod edge;
mod errors;
mod headers;
mod hook;
mod http2;
mod jwks;
mod key_value;
mod keys;
mod limits;
mod origin;
mod origin_group;
mod routing;
mod secret;
mod settings;
mod signed;
mod state;
mod viewer;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(crate) use acme::Acme;
pub(crate) use answers::{Cors, GatewayResponse};
pub(crate) use authorizer::Authorizer;
pub(crate) use bucket::SigV4;
pub(crate) use cache::{Cache, CachePolicy, Selection};
pub(crate) use distribution::{Behavior, Distribution, StageHooks};
pub(crate) use edge::{Admin, Certificate, Gate, Geo, Listener, Log, LogSink, Server};
pub(crate) use errors::ErrorResponse;
pub(crate) use headers::{ResponseHeadersPolicy, SecurityHeaders};
pub(crate) use hook::{Binding, Hook, RequestBody};
pub(crate) use http2::Http2;
pub(crate) use jwks::Jwks;
pub(crate) use key_value::KeyValueStore;
pub(crate) use keys::{ApiKey, Quota, Throttle, UsagePlan};
pub(crate) use limits::{Caller, Limits, MethodThrottle, PerAddress, PerCaller};
pub(crate) use origin::Origin;
pub(crate) use origin_group::{HealthCheck, OriginGroup, OriginTls};
pub(crate) use routing::{GeoList, GeoRestriction, Match, Wanted};
pub(crate) use secret::Secret;
pub(crate) use settings::Settings;
pub(crate) use signed::{KeyGroup, PublicKey};
pub(crate) use state::{Backend, State};
pub(crate) use viewer::{Viewer, ViewerHeader};

use crate::decode::{Decode, FilePath, List, Named, Network, table};
use crate::report::Report;

table! {
    /// The configuration of an Edgeweir edge.
    File {
        /// Folder for the state of the running edge: its admin socket and compiled hooks. Relative to this file.
        /// Default: ".edgeweir".
        state_dir: Opt<FilePath>,
        /// Networks of proxies in front of this edge that are believed when they say who asks. Default: none.
        trusted_proxies: Opt<List<Network>>,
        /// How the edge knows who asks, and under which names it tells of it.
        viewer: Opt<Viewer>,
        /// Limits and times of the whole process.
        server: Opt<Server>,
        /// What HTTP/2 viewers may do.
        http2: Opt<Http2>,
        /// What is accepted from viewers.
        gate: Opt<Gate>,
        /// Where viewers connect. Default: plain HTTP on 127.0.0.1:8080.
        listeners: Opt<List<Listener>>,
        /// An authority that certificates are fetched from.
        acme: Opt<Acme>,
        /// The admin API on TCP. Default: only on the Unix socket in `state_dir`.
        admin: Opt<Admin>,
        /// Logs.
        log: Opt<Log>,
        /// Geo databases.
        geo: Opt<Geo>,
        /// How much the cache may hold.
        cache: Opt<Cache>,
        /// Whether and how long responses are stored and under which key, by name. The presets `CachingDisabled`,
        /// `CachingOptimized`, `CachingOptimizedForUncompressedObjects`, `Amplify`, `UseOriginCacheControlHeaders` and `UseOriginCacheControlHeaders-QueryStrings` are
        /// always there.
        cache_policies: Opt<Named<CachePolicy>>,
        /// What is put on and taken off answers on their way to viewers, by name. CloudFront's `SimpleCORS`,
        /// `CORS-With-Preflight`, `SecurityHeadersPolicy`, `CORS-and-SecurityHeadersPolicy` and
        /// `CORS-with-preflight-and-SecurityHeadersPolicy` are always there.
        response_headers_policies: Opt<Named<ResponseHeadersPolicy>>,
        /// The servers behind the edge, by name.
        origins: Opt<Named<Origin>>,
        /// Groups of origins for failover, by name: a group's name is used where an origin's is.
        origin_groups: Opt<Named<OriginGroup>>,
        /// WASM hooks, by name.
        hooks: Opt<Named<Hook>>,
        /// Key-value stores for hooks, by name, at most 64. A hook reads those that its binding lists.
        key_value_stores: Opt<Named<KeyValueStore>>,
        /// Sets of public keys (JSON Web Key Sets) that hooks check signatures of tokens with, by name, at most 64. A
        /// hook uses those that its binding lists.
        jwks: Opt<Named<Jwks>>,
        /// Public keys that signatures of URLs and cookies are checked with, by name.
        public_keys: Opt<Named<PublicKey>>,
        /// Groups of public keys, by name. A behavior with `trusted_key_groups` takes only requests that one of their keys has
        /// signed.
        key_groups: Opt<Named<KeyGroup>>,
        /// What is different in the edge's own answers, by API Gateway's response types, such as THROTTLED or DEFAULT_4XX.
        /// Default: nothing.
        gateway_responses: Opt<Named<GatewayResponse>>,
        /// Limits of the whole edge.
        limits: Opt<Limits>,
        /// Where API keys, quotas and usage are kept.
        state: Opt<State>,
        /// Limits for API keys, by name.
        usage_plans: Opt<Named<UsagePlan>>,
        /// API keys.
        api_keys: Opt<List<ApiKey>>,
        /// Sets of host names and what happens to their requests, by name. At least one.
        distributions: Opt<Named<Distribution>>,
    }
}

impl File {
    /// Reads the whole document.
    pub(crate) fn read(document: Spanned<DeTable<'_>>, out: &mut Report) -> Self {
        let span = document.span();
        let root = Spanned::new(span, DeValue::Table(document.into_inner()));
        Self::decode(&root, "configuration", out).unwrap_or_default()
    }
}

/// The JSON Schema (2020-12) of the configuration, indented, with a line end.
#[must_use]
pub fn json_schema() -> String {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    let mut schema = generator.into_root_schema_for::<File>();
    schema.insert("title".to_owned(), "Edgeweir configuration".into());
    // A JSON value is always printable.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
