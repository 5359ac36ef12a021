//! What goes into a call and what comes back. Types only; running is `hook`'s.

use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Version};

use crate::{Caller, Grants, HookFault, Pins, ReadSet};

/// The request as a hook may read it. The embedder implements it for its own request type, moves the request into the
/// [`Call`] and takes it back from [`Done`]: `let any: Box<dyn Any> = call.request; any.downcast::<MyRequest>()`.
pub trait RequestView: Any + Send + Sync {
    /// The method, for example `GET`.
    fn method(&self) -> &str;
    /// `http` or `https`, as the viewer spoke it.
    fn scheme(&self) -> &str;
    /// Host and optional port, lower case.
    fn authority(&self) -> &str;
    /// The path, starting with `/`, percent-encoded.
    fn path(&self) -> &str;
    /// The query string without `?`; none if there was no `?`.
    fn query(&self) -> Option<&str>;
    /// All header fields; those that hooks may not see are hidden by the host.
    fn headers(&self) -> &HeaderMap;
}

/// The response as a hook may read it at the two response stages. Comes back as [`RequestView`] does.
pub trait ResponseView: Any + Send + Sync {
    /// The status code.
    fn status(&self) -> u16;
    /// All header fields; those that hooks may not see are hidden by the host.
    fn headers(&self) -> &HeaderMap;
    /// How the cache answered; none where it is not known yet.
    fn cache_outcome(&self) -> Option<&str>;
}

/// Where the viewer is, as far as known. A trait, so that the embedder's own record serves without being copied.
pub trait GeoView: Send + Sync {
    /// ISO 3166-1 alpha-2 country code.
    fn country(&self) -> Option<&str> {
        None
    }
    /// Two-letter continent code.
    fn continent(&self) -> Option<&str> {
        None
    }
    /// ISO 3166-2 code of the first-level region without its country.
    fn region(&self) -> Option<&str> {
        None
    }
    /// City name in English.
    fn city(&self) -> Option<&str> {
        None
    }
    /// Autonomous system number.
    fn asn(&self) -> Option<u32> {
        None
    }
    /// IANA time zone.
    fn time_zone(&self) -> Option<&str> {
        None
    }
    /// Latitude and longitude in degrees.
    fn coordinates(&self) -> Option<(f64, f64)> {
        None
    }
}

/// Who asks.
#[derive(Clone)]
pub struct ViewerFacts {
    /// The viewer's address, as settled by the trust policy.
    pub address: IpAddr,
    /// The viewer's port; none when a trusted proxy stood between.
    pub port: Option<u16>,
    /// The HTTP version that the viewer speaks.
    pub http_version: Version,
    /// `TLSv1.2` or `TLSv1.3`; none for plain text.
    pub tls_version: Option<&'static str>,
    /// Geo facts; none without a database or an entry.
    pub geo: Option<Arc<dyn GeoView>>,
}

/// What stays the same for all stages of one request; made once and shared.
#[derive(Clone)]
pub struct CallFacts {
    /// Who asks.
    pub viewer: ViewerFacts,
    /// Name of the distribution.
    pub distribution: Arc<str>,
    /// Path pattern of the behavior.
    pub behavior: Arc<str>,
    /// The request id, as in the access log.
    pub request_id: Arc<str>,
}

/// An origin as hooks may know it: no header that it gets, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginFacts {
    /// Its name in the config.
    pub name: Box<str>,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address.
    pub host: Box<str>,
    /// The port.
    pub port: u16,
    /// Empty, or starts with `/`: put before the path of requests.
    pub path_prefix: Box<str>,
    /// The region of a bucket.
    pub region: Option<Box<str>>,
    /// For a connection.
    pub connect_timeout: Duration,
    /// Between two reads.
    pub read_timeout: Duration,
    /// How long an idle connection is kept.
    pub keepalive: Duration,
}

impl OriginFacts {
    /// One of which only the name is known; the rest is as CloudFront has it by default.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            tls: true,
            host: name.into(),
            port: 443,
            path_prefix: "".into(),
            region: None,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(5),
        }
    }
}

/// One run of one hook at one stage. Owns the request, so that nothing is copied; see [`Done::call`].
pub struct Call {
    /// The request.
    pub request: Box<dyn RequestView>,
    /// The response; a response stage needs it, a request stage never shows it.
    pub response: Option<Box<dyn ResponseView>>,
    /// Facts of the request.
    pub facts: Arc<CallFacts>,
    /// The origin; none at viewer stages.
    pub origin: Option<Arc<OriginFacts>>,
    /// The binding's settings as JSON text; `{}` if it has none.
    pub settings: Arc<str>,
    /// The request's body at a request stage; none if the binding does not grant it.
    pub body: Option<RequestBody>,
    /// What the binding grants besides; none if nothing.
    pub grants: Option<Arc<Grants>>,
    /// The states of stores that earlier calls of the request have seen; comes back with those of this call.
    pub pins: Pins,
    /// The note that an earlier stage left.
    pub note: Option<Arc<str>>,
    /// What the authorizer says of the caller; none before it, and without one.
    pub caller: Option<Arc<Caller>>,
    /// Whether [`CallReport::reads`] is wanted.
    pub record_reads: bool,
}

/// The request's body, as far as it was read before the call.
#[derive(Debug, Clone, Default)]
pub struct RequestBody {
    /// What there is of it. The hook sees the first `limit` bytes.
    pub bytes: Bytes,
    /// Whether there is more of it than `bytes`.
    pub more: bool,
    /// The most bytes that the binding lets the hook read.
    pub limit: usize,
}

impl RequestBody {
    /// What the hook sees, and whether that is not all.
    #[must_use]
    pub fn shown(&self) -> (&[u8], bool) {
        match self.bytes.get(..self.limit) {
            Some(cut) => (cut, self.more || self.bytes.len() > self.limit),
            None => (&self.bytes, self.more),
        }
    }
}

/// What a call gives back.
pub struct Done<V> {
    /// The call, unchanged: also after a trap or a timeout.
    pub call: Call,
    /// What the hook decided, checked by the stage's rules, or why there is no decision.
    pub verdict: Result<V, HookFault>,
    /// Measurements.
    pub report: CallReport,
}

/// What was seen while a hook ran.
#[derive(Debug, Default)]
pub struct CallReport {
    /// From start to end, waiting included.
    pub duration: Duration,
    /// Of that, the time until there was a place among the hook's calls.
    pub waited: Duration,
    /// Most linear memory that the call had, in bytes; 0 if it never got an instance.
    pub memory: usize,
    /// Log lines that were dropped or cut because the call was over its log limits.
    pub log_lines_dropped: u32,
    /// What the hook read, if [`Call::record_reads`] asked for it.
    pub reads: Option<Box<ReadSet>>,
}
