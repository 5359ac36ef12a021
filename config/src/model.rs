//! The resolved configuration: names are indices, defaults are filled in, every value is parsed. This is all the proxy
//! reads; it never sees the text types of `schema`.
//!
//! Built only by `resolve`; nothing here does I/O. A secret still says where it comes from ([`SecretSource`]): the proxy
//! reads files and environment when it makes a snapshot.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::source::Source;
use crate::units::{HostPattern, PathPattern};

mod acme;
mod answers;
mod authorizer;
mod bucket;
mod cache;
mod errors;
mod headers;
mod hook;
mod http2;
mod limits;
mod origin;
mod routing;
mod signed;
mod state;
mod viewer;

pub use acme::{Acme, AcmeChallenge, Certificate, CertificateFiles, ExternalAccount};
pub use answers::{Cors, GatewayResponse, ResponseType};
pub use authorizer::{Authorizer, IdentitySource, identity_regex};
pub use bucket::SigV4;
pub use cache::{
    CacheBehaviour, CachePolicy, Coding, Eviction, Forward, KeyLeaks, Selection, SetCookie, TargetedFields,
    ViewerDirectives,
};
pub use errors::ErrorResponse;
pub use headers::{ResponseHeadersPolicy, SetHeader};
pub(crate) use hook::SettingPlace;
pub use hook::{
    Binding, FailurePolicy, Hook, HookSource, Jwks, JwksSource, KeyValueSource, KeyValueStore, MAX_KEY_VALUE_KEY,
    MAX_KEY_VALUE_VALUE, Place, PublishedJwks, Stage,
};
pub use http2::Http2;
pub use limits::{CallerName, Each, Limits, MethodThrottle, PerAddress, PerCaller};
pub use origin::{Balance, HealthCheck, OriginGroup, OriginPool, OriginTls, Target};
pub use routing::{
    Conditions, Continent, GeoList, GeoRestriction, UnknownViewer, ViewerProtocol, ViewerProtocolPolicy,
};
pub use signed::{KeyGroup, PublicKey};
pub use state::{Backend, Counted, KeySource, Quota, QuotaPeriod, State, StorePolicy};
pub use viewer::{AddressHeader, VIEWER_PREFIX, Viewer, ViewerFact, ViewerField};

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
    /// Where certificates are fetched from.
    pub acme: Option<Acme>,
    /// The admin listener on TCP, if wanted. The Unix socket in `state_dir` is always there.
    pub admin: Option<Admin>,
    /// Logs.
    pub log: Log,
    /// What HTTP/2 viewers may do.
    pub http2: Http2,
    /// What the gate accepts from viewers.
    pub gate: Gate,
    /// For all requests of the edge together.
    pub throttle: Option<Throttle>,
    /// Other limits of the whole edge; never by caller.
    pub limits: Limits,
    /// What is different in the edge's own answers.
    pub gateway_responses: Vec<GatewayResponse>,
    /// Peers that are believed when they say who asks.
    pub trusted_proxies: Vec<IpNet>,
    /// How the edge knows who asks, and how it tells of it.
    pub viewer: Viewer,
    /// MaxMind-format databases, in order; the first that knows a fact wins.
    pub geo_databases: Vec<PathBuf>,
    /// Bytes the cache may hold.
    pub cache_capacity: u64,
    /// Largest object that is stored, in bytes.
    pub cache_max_object: u64,
    /// Which objects make room.
    pub cache_eviction: Eviction,
    /// Viewers that may send `PURGE`.
    pub cache_purge_from: Vec<IpNet>,
    /// Indexed by [`OriginId`].
    pub origins: Vec<Origin>,
    /// Indexed by [`OriginGroupId`].
    pub origin_groups: Vec<OriginGroup>,
    /// Indexed by [`CachePolicyId`]; the presets that are used come first or last, by name.
    pub cache_policies: Vec<CachePolicy>,
    /// Those of the file and the presets.
    pub response_headers_policies: Vec<ResponseHeadersPolicy>,
    /// Indexed by [`HookId`].
    pub hooks: Vec<Hook>,
    /// Indexed by [`KeyValueStoreId`].
    pub key_value_stores: Vec<KeyValueStore>,
    /// Indexed by [`JwksId`].
    pub jwks: Vec<Jwks>,
    /// Keys that signed URLs and cookies are checked with.
    pub public_keys: Vec<PublicKey>,
    /// Groups of them.
    pub key_groups: Vec<KeyGroup>,
    /// Where keys, quotas and usage are kept.
    pub state: State,
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
    /// Index into [`Config::origin_groups`].
    OriginGroupId
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
    /// Index into [`Config::jwks`].
    JwksId
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
    /// Bytes of a request body a second, on average after the grace; a slower one is 408. None by default.
    pub min_rate: Option<u64>,
    /// How long a body may be slow. Default 10 s.
    pub min_rate_grace: Duration,
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
    /// A request for another host than the handshake named is 421, unless the certificate is valid for it too. Default true.
    pub sni_must_match: bool,
    /// Connections begin with a PROXY header, and only trusted proxies may connect. Default false.
    pub proxy_protocol: bool,
    /// Viewers are asked for certificates of their own. Default: they are not.
    pub viewer_certificates: Option<ViewerCertificates>,
}

/// Certificates of viewers (mutual TLS).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewerCertificates {
    /// PEM file of the authorities whose certificates are taken.
    pub ca: PathBuf,
    /// A viewer without one is refused. Default true.
    pub required: bool,
}

/// TLS versions that can be offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3.
    V1_2,
    /// TLS 1.3 only.
    V1_3,
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
    /// How long it counts as down after no connection came about, where a stale object can answer.
    pub failure_memory: Duration,
    /// Protocol spoken to the origin.
    pub http: OriginHttp,
    /// Check the certificate and its name. Default true.
    pub verify_tls: bool,
    /// Headers added to each request, overwriting the viewer's. Names are lower case.
    pub headers: Vec<(String, SecretSource)>,
    /// How often the name is resolved again. Default 30 s.
    pub resolve_every: Duration,
    /// Its addresses and how requests are spread over them.
    pub pool: OriginPool,
    /// How its addresses are checked, if they are.
    pub health_check: Option<HealthCheck>,
    /// TLS towards it.
    pub trust: OriginTls,
    /// A folder of this machine whose files are served in place of a server's answers.
    pub directory: Option<PathBuf>,
    /// How requests are signed, for a bucket.
    pub sigv4: Option<SigV4>,
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
    /// Requests of each key at work at once.
    pub concurrency: Option<u32>,
    /// For each key, for some of its requests.
    pub method_throttles: Vec<MethodThrottle>,
    /// For each key.
    pub quota: Option<Quota>,
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
    /// Other limits.
    pub limits: Limits,
    /// What is different in the edge's own answers; goes before the edge's.
    pub gateway_responses: Vec<GatewayResponse>,
    /// What viewers get in place of errors, each status once.
    pub error_responses: Vec<ErrorResponse>,
    /// Where its viewers put their API key.
    pub key_source: KeySource,
    /// What is served for `/`, without leading slash (CloudFront: "Specify a default root object").
    pub default_root_object: Option<String>,
}

/// What happens to the requests of a path pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct Behavior {
    /// The pattern, as CloudFront's.
    pub path: PathPattern,
    /// What else a request must have, or the next behavior has its turn.
    pub conditions: Conditions,
    /// What is asked of the protocol that viewers speak.
    pub viewer_protocol: ViewerProtocol,
    /// Who is refused for where they are; nobody if none.
    pub geo_restriction: Option<GeoRestriction>,
    /// Methods that are let through; others are 405 with `Allow`. Upper case.
    pub methods: Vec<String>,
    /// Where misses go.
    pub origin: Target,
    /// How responses are stored.
    pub cache_policy: CachePolicyId,
    /// Who may use it; everybody if none.
    pub authorizer: Option<Authorizer>,
    /// Name of the policy for headers of its answers.
    pub response_headers_policy: Option<String>,
    /// Names of key groups whose signatures open it; everybody may use it if none.
    pub trusted_key_groups: Vec<String>,
    /// Which pages of other origins may use it; none of this edge's business if none.
    pub cors: Option<Cors>,
    /// Hooks by stage, in order: indexed by `Stage as usize`.
    pub hooks: [Vec<Binding>; 4],
    /// For all requests of the behavior together.
    pub throttle: Option<Throttle>,
    /// For all requests with a method, in place of `throttle`.
    pub method_throttles: Vec<(String, Throttle)>,
    /// Other limits.
    pub limits: Limits,
    /// An API key of a plan that covers this distribution is needed, except for CORS preflights.
    pub api_key_required: bool,
    /// The plans whose keys open it; none means all that cover the distribution.
    pub usage_plans: Option<Vec<UsagePlanId>>,
    /// Send the path as the viewer spelled it (CloudFront) instead of the normalised one that was matched.
    pub raw_path: bool,
    /// Let ambiguous spellings (`%2f`, `%5c`, `%00`, double encoding, `;`) through.
    pub allow_ambiguous_paths: bool,
    /// Silence of upgraded connections (default 10 minutes), and of the origin within an answer (default: its
    /// `read_timeout`).
    pub idle_timeout: Option<Duration>,
    /// Fields with facts about the viewer that the origin gets, sorted by name.
    pub viewer_headers: Vec<ViewerField>,
}

impl Behavior {
    /// The hooks bound at a stage.
    #[must_use]
    pub fn hooks_at(&self, stage: Stage) -> &[Binding] {
        self.hooks.get(stage as usize).map_or(&[], Vec::as_slice)
    }
}
