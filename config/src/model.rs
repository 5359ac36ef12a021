//! The resolved configuration: names are indices, defaults are filled in, every value is parsed. This is all the proxy
//! reads; it never sees the text types of `schema`.
//!
//! Built only by `resolve`; nothing here does I/O. A secret still says where it comes from ([`SecretSource`]): the proxy
//! reads files and environment when it makes a snapshot.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::source::Source;
use crate::units::{HostPattern, PathPattern};

/// A whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The text it was read from, to find places in it.
    pub source: Source,
    /// The folder of the state of a running edge (admin socket, compiled hooks). Absolute, or relative to the working
    /// directory when the config has no path.
    pub state_dir: PathBuf,
    /// Process-wide limits and times.
    pub server: Server,
    /// At least one.
    pub listeners: Vec<Listener>,
    /// The admin listener on TCP, if wanted. The Unix socket in `state_dir` is always there.
    pub admin: Option<Admin>,
    /// Logs.
    pub log: Log,
    /// What the gate accepts from viewers.
    pub gate: Gate,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// MaxMind-format databases, in order; the first that knows a fact wins.
    pub geo_databases: Vec<PathBuf>,
    /// Bytes the cache may hold.
    pub cache_capacity: u64,
    /// Largest object that is stored, in bytes.
    pub cache_max_object: u64,
    /// Viewers that may send `PURGE`.
    pub cache_purge_from: Vec<IpNet>,
    /// Indexed by [`OriginId`].
    pub origins: Vec<Origin>,
    /// Indexed by [`CachePolicyId`]; the presets that are used come first or last, by name.
    pub cache_policies: Vec<CachePolicy>,
    /// Indexed by [`HookId`].
    pub hooks: Vec<Hook>,
    /// Indexed by [`KeyValueStoreId`].
    pub key_value_stores: Vec<KeyValueStore>,
    /// Indexed by [`UsagePlanId`].
    pub usage_plans: Vec<UsagePlan>,
    /// API keys of the config file.
    pub api_keys: Vec<ApiKey>,
    /// Indexed by [`DistributionId`].
    pub distributions: Vec<Distribution>,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub usize);
    };
}
id!(
    /// Index into [`Config::origins`].
    OriginId
);
id!(
    /// Index into [`Config::cache_policies`].
    CachePolicyId
);
id!(
    /// Index into [`Config::hooks`].
    HookId
);
id!(
    /// Index into [`Config::key_value_stores`].
    KeyValueStoreId
);
id!(
    /// Index into [`Config::usage_plans`].
    UsagePlanId
);
id!(
    /// Index into [`Config::distributions`].
    DistributionId
);

/// Process-wide limits and times. A change of `threads` needs a restart.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Worker threads; `None` means one for each core.
    pub threads: Option<usize>,
    /// How long `/readyz` says 503 before listeners close. Default 0 s.
    pub shutdown_delay: Duration,
    /// How long requests in flight may take after listeners closed. Default 30 s.
    pub shutdown_timeout: Duration,
    /// Open viewer connections in all. Default 10,000.
    pub max_connections: usize,
    /// Open viewer connections from one address. Default 1,000.
    pub max_connections_per_address: usize,
    /// From the first byte of a request head (or from accept) to its last. Default 10 s.
    pub header_timeout: Duration,
    /// The whole TLS handshake. Default 10 s.
    pub handshake_timeout: Duration,
    /// An idle viewer connection is closed after this. Default 60 s.
    pub keepalive_timeout: Duration,
    /// Between two reads of a request body. Default 30 s.
    pub read_timeout: Duration,
    /// One write to a viewer. Default 60 s.
    pub write_timeout: Duration,
}

/// Where viewers connect.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// HTTP/2: by ALPN with TLS, by prior knowledge (h2c) without. Default true.
    pub http2: bool,
    /// Certificates; none means plain text.
    pub certificates: Vec<Certificate>,
    /// Oldest TLS version. Default 1.2.
    pub min_tls: TlsVersion,
}

/// TLS versions that can be offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3.
    V1_2,
    /// TLS 1.3 only.
    V1_3,
}

/// A certificate chain and its key, in PEM files.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// Host names it is shown for. Empty: it is the default certificate.
    pub hosts: Vec<HostPattern>,
    /// PEM chain, leaf first.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
}

/// The admin API on TCP.
#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    /// Loopback unless a token is set.
    pub address: SocketAddr,
    /// Bearer token for calls that change state.
    pub token: Option<SecretSource>,
}

/// Where a secret comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// Written in the config.
    Inline(String),
    /// A file; its trailing line end is dropped. Read when a snapshot is made.
    File(PathBuf),
    /// An environment variable of the edge.
    Env(String),
}

impl std::fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline(***)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
        }
    }
}

/// Logs of the edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// The access log: one JSON line for each request. Default stdout.
    pub access: LogTarget,
    /// The edge's own events. Default stderr.
    pub events: LogTarget,
    /// Least important level of the edge's own events. Default info.
    pub level: LogLevel,
    /// JSON instead of text for events. Default false.
    pub json: bool,
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Nothing is written.
    Off,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, reopened on SIGHUP.
    File(PathBuf),
}

/// Levels of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what needs a person.
    Error,
    /// And what is odd.
    Warn,
    /// And what changes.
    Info,
    /// And details.
    Debug,
}

/// Limits of what a viewer may send. The defaults of the first three are CloudFront's (Developer Guide, "Quotas").
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Request target in bytes; longer is 414. Default 8,192.
    pub max_url: usize,
    /// Request line and header fields in bytes; larger is 431. Default 32,768.
    pub max_headers: usize,
    /// Header fields; more is 431. Default 100.
    pub max_header_count: usize,
    /// Request body in bytes; larger is 413. Default 64 GiB.
    pub max_body: u64,
    /// Bytes of request bodies that are held for hooks, in all; who finds no room gets 503. Default 64 MiB.
    pub body_memory: usize,
}

/// A server that the edge fetches from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Its name in the config.
    pub name: String,
    /// `https` or not.
    pub tls: bool,
    /// Host name or IP address (no brackets).
    pub host: String,
    /// Port; from the URL or its scheme.
    pub port: u16,
    /// Prefix put before each path; empty or `/…` without trailing slash.
    pub path_prefix: String,
    /// What the origin gets as `Host`.
    pub host_header: HostHeader,
    /// TCP (and TLS) connect. Default 5 s.
    pub connect_timeout: Duration,
    /// Each read, the first byte included. Default 30 s.
    pub read_timeout: Duration,
    /// Each write. Default 30 s.
    pub write_timeout: Duration,
    /// How long an idle pooled connection is kept. Default 60 s.
    pub keepalive: Duration,
    /// Protocol spoken to the origin.
    pub http: OriginHttp,
    /// Check the certificate and its name. Default true.
    pub verify_tls: bool,
    /// Headers added to each request, overwriting the viewer's. Names are lower case.
    pub headers: Vec<(String, SecretSource)>,
    /// How often the name is resolved again. Default 30 s.
    pub resolve_every: Duration,
}

/// What an origin gets as `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostHeader {
    /// The origin's own name (and port, if not its scheme's default), as CloudFront does. Default.
    Origin,
    /// What the viewer asked for.
    Viewer,
    /// This.
    Fixed(String),
}

/// HTTP version spoken to an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginHttp {
    /// HTTP/1.1. Default.
    H1,
    /// HTTP/2 by ALPN, HTTP/1.1 if the origin does not offer it. TLS only.
    H2,
    /// HTTP/2 only; without TLS by prior knowledge (h2c).
    H2Only,
}

/// Whether and how long responses are stored, and under which key.
#[derive(Debug, Clone, PartialEq)]
pub struct CachePolicy {
    /// Its name.
    pub name: String,
    /// Shortest time an object stays fresh, whatever the origin says.
    pub min_ttl: Duration,
    /// If the origin says nothing.
    pub default_ttl: Duration,
    /// Longest time an object stays fresh.
    pub max_ttl: Duration,
    /// Request headers in the key, lower case, sorted.
    pub headers: Vec<String>,
    /// Cookies in the key.
    pub cookies: Selection,
    /// Query parameters in the key.
    pub query: Selection,
    /// Response headers with tags, lower case.
    pub tag_headers: Vec<String>,
    /// Whether viewers get them.
    pub send_tags: bool,
    /// Codings to compress with, the preferred first; empty for none.
    pub compress: Vec<Coding>,
    /// What the origin gets beside what is in the key.
    pub forward: Forward,
    /// What else is decided about storing and answering.
    pub behaviour: CacheBehaviour,
}

/// What the origin gets of a request beside what is in the cache key, where the answer may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Header fields, in lower case.
    pub headers: Selection,
    /// Cookies.
    pub cookies: Selection,
    /// Query parameters.
    pub query: Selection,
}

impl Default for Forward {
    fn default() -> Self {
        Self { headers: Selection::All, cookies: Selection::None, query: Selection::None }
    }
}

/// What a cache policy decides beside times to live and keys.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheBehaviour {
    /// Guess a lifetime from `Last-Modified` (RFC 9111, 4.2.2).
    pub heuristic: bool,
    /// How long an object may be served stale while it is fetched again, if the origin does not say.
    pub stale_while_revalidate: Duration,
    /// How long an object may be served stale when the origin fails, if the origin does not say.
    pub stale_if_error: Duration,
    /// The shortest life of a status from 400 on, sorted by status.
    pub errors: Vec<(u16, Duration)>,
    /// Responses that set cookies.
    pub set_cookie: SetCookie,
    /// What viewers may ask of the cache.
    pub viewer_directives: ViewerDirectives,
    /// `CDN-Cache-Control` and `Surrogate-Control` on their way to viewers.
    pub targeted_fields: TargetedFields,
    /// How long a request waits for another's fetch.
    pub collapse: Duration,
    /// Whether viewers get `X-Cache`.
    pub x_cache: bool,
    /// What happens to responses that may depend on what is not in the key.
    pub key_leaks: KeyLeaks,
}

impl Default for CacheBehaviour {
    fn default() -> Self {
        Self {
            heuristic: false,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::from_secs(86_400),
            errors: Vec::new(),
            set_cookie: SetCookie::Refuse,
            viewer_directives: ViewerDirectives::Ignore,
            targeted_fields: TargetedFields::Keep,
            collapse: Duration::from_secs(5),
            x_cache: false,
            key_leaks: KeyLeaks::Warn,
        }
    }
}

/// What is done with responses that set cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetCookie {
    /// They are not stored.
    Refuse,
    /// They are stored without the cookies.
    Strip,
}

/// Whose `Cache-Control` on requests counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewerDirectives {
    /// Nobody's.
    Ignore,
    /// Everybody's.
    Honour,
    /// Those of connections from trusted proxies.
    Trusted,
}

/// What viewers see of fields that are meant for caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetedFields {
    /// They get them: there may be another such cache on the way.
    Keep,
    /// They do not.
    Remove,
}

/// What happens to a response that may depend on something that is neither in the key nor in `Vary`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyLeaks {
    /// Nobody looks.
    Ignore,
    /// It is told and stored.
    Warn,
    /// It is told and not stored.
    Refuse,
}

/// A content coding that the edge can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// `br` (RFC 7932).
    Brotli,
    /// `gzip` (RFC 1952).
    Gzip,
    /// `zstd` (RFC 8878).
    Zstd,
}

impl CachePolicy {
    /// All TTLs are zero: nothing is looked up or stored (CloudFront's `CachingDisabled`).
    #[must_use]
    pub fn disabled(&self) -> bool {
        self.min_ttl.is_zero() && self.default_ttl.is_zero() && self.max_ttl.is_zero()
    }
}

impl Selection {
    /// What this one or the other selects.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let without = |names: &[String], taken: &[String]| -> Vec<String> {
            names.iter().filter(|name| !taken.contains(name)).cloned().collect()
        };
        match (self, other) {
            (Self::None, both) | (both, Self::None) => both.clone(),
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Only(one), Self::Only(two)) => {
                let mut names = [one.as_slice(), two.as_slice()].concat();
                names.sort_unstable();
                names.dedup();
                Self::Only(names)
            }
            (Self::Only(taken), Self::Except(left)) | (Self::Except(left), Self::Only(taken)) => {
                Self::Except(without(left, taken))
            }
            (Self::Except(one), Self::Except(two)) => {
                Self::Except(one.iter().filter(|name| two.contains(name)).cloned().collect())
            }
        }
    }
}

/// Which of a set of named things count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// None of them.
    None,
    /// All.
    All,
    /// These; sorted.
    Only(Vec<String>),
    /// All but these; sorted.
    Except(Vec<String>),
}

/// A WASM artefact that can be bound to stages.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// Its name in the config.
    pub name: String,
    /// Where its bytes are.
    pub source: HookSource,
    /// Wall time of one call. Default 50 ms, at most 30 s.
    pub timeout: Duration,
    /// Linear memory of one instance in bytes. Default 16 MiB, at most 64 MiB.
    pub memory: u64,
    /// Calls at once; more wait for at most `timeout`. Default 256.
    pub max_concurrent: u32,
}

impl Hook {
    /// The file that it is read from; none for a deployed one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.source {
            HookSource::File(path) => Some(path),
            HookSource::Deployed => None,
        }
    }
}

/// Where the bytes of a hook come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookSource {
    /// The `.wasm` file, at most 10 MiB.
    File(PathBuf),
    /// The version that was deployed last, in the state folder.
    Deployed,
}

impl std::fmt::Display for HookSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Deployed => f.write_str("deployed"),
        }
    }
}

/// Longest key of a key-value store, in bytes (CloudFront Developer Guide, "Quotas on key value stores").
pub const MAX_KEY_VALUE_KEY: usize = 512;
/// Longest value of a key-value store, in bytes: a hook has to hold it.
pub const MAX_KEY_VALUE_VALUE: usize = 1 << 20;

/// Keys and values that hooks may read.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyValueStore {
    /// Its name in the config.
    pub name: String,
    /// Where its entries come from.
    pub source: KeyValueSource,
}

/// Where the entries of a store come from.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyValueSource {
    /// Written in the config.
    Inline(BTreeMap<String, String>),
    /// A JSON object of strings in a file, read when a snapshot is made and when the file changes.
    File(PathBuf),
}

impl std::fmt::Debug for KeyValueSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // Content of the site, however private.
            Self::Inline(entries) => write!(f, "Inline({} entries)", entries.len()),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// The four stages, in the order a request meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// On every request, before the cache.
    ViewerRequest,
    /// Before the origin is asked.
    OriginRequest,
    /// After the origin answered, before the response is stored.
    OriginResponse,
    /// Before the response goes to the viewer.
    ViewerResponse,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 4] = [Self::ViewerRequest, Self::OriginRequest, Self::OriginResponse, Self::ViewerResponse];

    /// As it is written in configs, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ViewerRequest => "viewer-request",
            Self::OriginRequest => "origin-request",
            Self::OriginResponse => "origin-response",
            Self::ViewerResponse => "viewer-response",
        }
    }
}

/// Use of a hook at a stage of a behavior.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// Which hook.
    pub hook: HookId,
    /// Its settings as JSON text; `{}` if none. `null` where a secret belongs: see [`Binding::settings_with`].
    pub settings: String,
    /// Secrets inside of `settings`, by JSON pointer (RFC 6901).
    pub settings_secrets: Vec<(String, SecretSource)>,
    /// Where the settings are written.
    pub place: Place,
    /// The stores that the hook may read; none if the binding does not speak of stores.
    pub key_value_stores: Option<Vec<KeyValueStoreId>>,
    /// The secrets that the hook may read, by name; none if the binding does not speak of secrets.
    pub secrets: Option<Vec<(String, SecretSource)>>,
    /// The most bytes of the request's body that the hook may read; 0 if it may not, none if the binding does not speak
    /// of it.
    pub request_body: Option<usize>,
    /// The origins that the hook may send requests to; none if the binding does not speak of them.
    pub fetch: Option<Vec<OriginId>>,
    /// The largest body of an answer to such a request, in bytes. Default 1 MiB.
    pub fetch_max: usize,
    /// Hosts that the hook may choose as origins; never `*` alone.
    pub dynamic_origins: Vec<HostPattern>,
    /// What happens when the hook fails.
    pub on_failure: FailurePolicy,
    /// At viewer-response: run also on errors of the origin and of the edge.
    pub on_errors: bool,
}

/// Where a binding's settings stand in the text of the config. All places are equal: a text that moved says the same.
#[derive(Clone, Default)]
pub struct Place {
    /// The whole binding, as bytes of the text.
    pub binding: Range<usize>,
    /// The settings; the binding if it has none.
    pub(crate) whole: Range<usize>,
    /// Each setting, by JSON pointer (RFC 6901).
    pub(crate) settings: Vec<SettingPlace>,
}

/// Where a setting stands in the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SettingPlace {
    /// JSON pointer (RFC 6901).
    pub(crate) pointer: String,
    /// Its key; of an element of an array the element.
    pub(crate) key: Range<usize>,
    /// Its value.
    pub(crate) value: Range<usize>,
}

impl Place {
    /// The place of the setting that a JSON pointer names, as bytes of the text. The nearest one around it, if that
    /// setting is not written.
    #[must_use]
    pub fn of(&self, pointer: &str) -> Range<usize> {
        self.nearest(pointer).map_or_else(|| self.whole.clone(), |place| place.value.clone())
    }

    /// As [`Place::of`], of the setting's key: for a setting that should not be there.
    #[must_use]
    pub fn key_of(&self, pointer: &str) -> Range<usize> {
        self.nearest(pointer).map_or_else(|| self.whole.clone(), |place| place.key.clone())
    }

    fn nearest(&self, pointer: &str) -> Option<&SettingPlace> {
        let mut pointer = pointer;
        loop {
            let found = self.settings.iter().find(|place| place.pointer == pointer);
            if found.is_some() {
                return found;
            }
            pointer = pointer.rsplit_once('/')?.0;
        }
    }
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({:?})", self.whole)
    }
}

impl Binding {
    /// The settings with their secrets in place; `read` fetches one (when a snapshot is made), and is told the JSON
    /// pointer of its setting.
    ///
    /// # Errors
    /// The first error of `read`.
    pub fn settings_with<E>(
        &self,
        mut read: impl FnMut(&str, &SecretSource) -> Result<String, E>,
    ) -> Result<String, E> {
        if self.settings_secrets.is_empty() {
            return Ok(self.settings.clone());
        }
        // Made by `resolve` from a table, so it is JSON and the pointers are in it.
        let mut json: serde_json::Value = serde_json::from_str(&self.settings).unwrap_or_default();
        for (pointer, source) in &self.settings_secrets {
            let secret = read(pointer, source)?;
            if let Some(place) = json.pointer_mut(pointer) {
                *place = serde_json::Value::String(secret);
            }
        }
        Ok(json.to_string())
    }
}

/// What a failed hook (trap, timeout, bad output) means for the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailurePolicy {
    /// The viewer gets 502 or 503. Default.
    Closed,
    /// The request goes on as if the hook were not bound.
    Open,
    /// The newest version of the hook before a reload that has passed is called instead; as `Closed` if there is none.
    LastGood,
}

/// Token bucket parameters (API Gateway: "Throttle requests").
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throttle {
    /// Requests per second; fractions allowed; greater than 0.
    pub rate: f64,
    /// Capacity of the bucket, at least 1.
    pub burst: u32,
}

/// Limits of the keys that belong to it.
#[derive(Debug, Clone, PartialEq)]
pub struct UsagePlan {
    /// Its name in the config.
    pub name: String,
    /// For each key.
    pub throttle: Option<Throttle>,
    /// Distributions whose behaviors the plan's keys open; all if empty.
    pub distributions: Vec<DistributionId>,
}

/// An API key of the config file.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    /// Its name, as logs show it.
    pub name: String,
    /// The key itself, or its SHA-256.
    pub value: KeyValue,
    /// Plans it belongs to.
    pub plans: Vec<UsagePlanId>,
    /// Default true.
    pub enabled: bool,
}

/// How a key is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValue {
    /// In clear: hashed when the snapshot is made.
    Clear(SecretSource),
    /// SHA-256 of the key.
    Sha256([u8; 32]),
}

/// One set of host names and its behaviors.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// Its name in the config.
    pub name: String,
    /// Exact names win over wildcards (`*.example.com`), longer wildcards over shorter, `*` is last.
    pub hosts: Vec<HostPattern>,
    /// In order; the first whose pattern matches wins, whatever its methods (CloudFront: "Path pattern"). Never empty.
    pub behaviors: Vec<Behavior>,
    /// For all requests of the distribution together.
    pub throttle: Option<Throttle>,
}

/// What happens to the requests of a path pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct Behavior {
    /// The pattern, as CloudFront's.
    pub path: PathPattern,
    /// Methods that are let through; others are 405 with `Allow`. Upper case.
    pub methods: Vec<String>,
    /// Where misses go.
    pub origin: OriginId,
    /// How responses are stored.
    pub cache_policy: CachePolicyId,
    /// Hooks by stage, in order: indexed by `Stage as usize`.
    pub hooks: [Vec<Binding>; 4],
    /// For all requests of the behavior together.
    pub throttle: Option<Throttle>,
    /// An `x-api-key` of a plan that covers this distribution is needed, except for CORS preflights.
    pub api_key_required: bool,
    /// Send the path as the viewer spelled it (CloudFront) instead of the normalised one that was matched.
    pub raw_path: bool,
    /// Let ambiguous spellings (`%2f`, `%5c`, `%00`, double encoding, `;`) through.
    pub allow_ambiguous_paths: bool,
    /// `CloudFront-Viewer-*` facts sent to the origin. Lower case names.
    pub viewer_headers: Vec<String>,
}

impl Behavior {
    /// The hooks bound at a stage.
    #[must_use]
    pub fn hooks_at(&self, stage: Stage) -> &[Binding] {
        &self.hooks[stage as usize]
    }
}
