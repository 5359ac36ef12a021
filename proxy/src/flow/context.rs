//! What one request carries from step to step. Made for each request, dropped with it; holds one snapshot throughout.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use edgeweir_cache::storage::{ObjectId, Stored};
use edgeweir_cache::{CacheOutcome, Mark, Reason, Tags, Validation};
use edgeweir_config::{Stage, Target};
use edgeweir_hookhost::{CallFacts, Caller, Device, Pins, RequestEdit};
use edgeweir_limits::{InFlight, LevelKind, Refused, SlotRef, Standing};
use http::HeaderValue;
use pingora::http::RequestHeader;

use super::attempts::Attempts;
use super::authority::Authority;
use super::cache::Lookup;
use super::quota::{Charge, Exceeded};
use super::request_body::Held;
use crate::fault::Fault;
use crate::geo::GeoFacts;
use crate::origin::{Origin, OriginGroup};
use crate::runtime::connections::ConnFacts;
use crate::snapshot::{Behavior, Distribution, Snapshot};

/// See the module's text.
pub struct RequestCtx {
    /// The configuration of this request.
    pub snapshot: Arc<Snapshot>,
    /// Its connection.
    pub conn: Option<Arc<ConnFacts>>,
    /// When the head was there, in nanoseconds of the stopwatch.
    pub started: u64,
    /// The HTTP version that the viewer speaks.
    pub version: http::Version,
    /// In logs, in `x-request-id`, to hooks.
    pub id: HeaderValue,
    /// The viewer's address by the trust policy; the port only if it is the socket's.
    pub client: (IpAddr, Option<u16>),
    /// Hops of `X-Forwarded-For` that were believed.
    pub believed_hops: usize,
    /// What the origin gets as `X-Forwarded-For`, where proxies do not say it in that.
    pub forwarded_for: Option<HeaderValue>,
    /// Another request came on this connection before.
    pub conn_reused: bool,
    /// How many lines of fields the viewer sent, and their names in its order, where an origin may be told.
    pub head_came: Option<Box<(usize, HeaderValue)>>,
    /// What the viewer's device is, where the origin is told.
    pub device: Option<Device>,
    /// Whether the viewer spoke TLS, by the trust policy.
    pub https: bool,
    /// The host asked for.
    pub authority: Authority,
    /// The viewer waits for a `100 Continue`.
    pub expects: bool,
    /// The viewer's connection ends with this request, as it says (HTTP/1).
    pub closes: bool,
    /// The path in one spelling, if the request keeps the viewer's.
    pub normal_path: Option<Box<str>>,
    /// A spelling that only some behaviors take.
    pub ambiguous_path: bool,
    /// Distribution and behavior.
    pub route: Option<(usize, usize)>,
    /// Asked for at most once.
    pub geo: Option<Arc<GeoFacts>>,
    /// For hooks; made with the first one.
    pub facts: Option<Arc<CallFacts>>,
    /// The key that the request came with, or that a hook named.
    pub key: Option<Keyed>,
    /// What was taken from its quota.
    pub quota: Option<Charge>,
    /// The quota that refused.
    pub exceeded: Option<Exceeded>,
    /// How the tightest throttle of a keyed request stands.
    pub standing: Option<Standing>,
    /// The limit that refused.
    pub refused: Option<Refusal>,
    /// Its places among the requests at work, left with the last of the answer, or when the context goes: however the request
    /// ends.
    pub in_flight: Vec<InFlight>,
    /// Bytes of the answer's body that the viewer does not have yet, where a head tells and places wait for it.
    pub unsent: Option<u64>,
    /// The `Origin` of the request, where the behavior has a CORS policy.
    pub web_origin: Option<HeaderValue>,
    /// It is sent to HTTPS.
    pub redirected: bool,
    /// It is a preflight that the edge answers.
    pub preflight: bool,
    /// The answer says in `Server-Timing` how it came about.
    pub server_timing: bool,
    /// What the authorizer says of the caller.
    pub caller: Option<Arc<Caller>>,
    /// What it says is in the cache key.
    pub caller_keyed: bool,
    /// `WWW-Authenticate` of a 401.
    pub challenge: Option<HeaderValue>,
    /// Left by a hook for later stages.
    pub note: Option<Arc<str>>,
    /// The states of key-value stores that hooks have seen.
    pub pins: Pins,
    /// Parts that hooks added to the cache key.
    pub key_parts: Vec<Box<str>>,
    /// The origin or group that a hook chose.
    pub chosen_origin: Option<Target>,
    /// The origin that an origin-request hook chose by its host; it goes before all others.
    pub dynamic_origin: Option<Arc<Origin>>,
    /// The one of these that a viewer-request hook chose: it is in the key, and counts for fetches in the background too.
    pub chosen_by_viewer: Option<Arc<Origin>>,
    /// The policy's choice of what goes to the origin holds: the request is one that the cache may be asked for, whatever the
    /// cache then did.
    pub keyed: bool,
    /// What hooks say that the request costs in throttles.
    pub cost: Option<u32>,
    /// The key that hooks say the caller has.
    pub hook_key: Option<Keyed>,
    /// Tags that origin-response hooks put on the answer, each once, at most 50: to be stored with the object, so that it
    /// can be invalidated by them. Set before the answer is stored; empty on a 304, whose object keeps its own.
    pub tags: Vec<Box<str>>,
    /// Edits of origin-request hooks, applied to what the origin gets.
    pub origin_edits: Vec<RequestEdit>,
    /// What the origin gets, without its path prefix and a bucket's signature, where origin-response hooks will see it.
    pub sent: Option<Box<RequestHeader>>,
    /// Attempts to reach an origin.
    pub attempts: Attempts,
    /// The sweep watches over the origin's silence, in place of pingora's read timeout.
    pub swept: bool,
    /// The origin does not have all of the request yet: it waits for the viewer.
    pub incomplete: bool,
    /// An upgraded connection ended because both sides kept silent.
    pub idled: bool,
    /// The address tried last.
    pub origin_address: Option<std::net::SocketAddr>,
    /// When the origin was first asked, and its head was there, in nanoseconds of the stopwatch.
    pub origin_times: (Option<u64>, Option<u64>),
    /// How long a hook says the response stays fresh.
    pub ttl: Option<std::time::Duration>,
    /// The 304 that a stored object was revalidated with, and which object it is about.
    pub validation: Option<Box<(Validation, Option<ObjectId>)>>,
    /// Fields of the answer that are not stored: only this viewer gets them.
    pub left_out: Vec<(http::HeaderName, HeaderValue)>,
    /// It fetches a stale object again for nobody: no viewer waits, no viewer hook runs, nothing is charged.
    pub background: bool,
    /// The viewer's directives did not let a fresh object answer.
    pub checked: bool,
    /// What was decided about asking the cache, once it was.
    pub(crate) lookup: Option<Lookup>,
    /// The key is remembered as one whose answers cannot be stored: it was not looked up.
    pub bypassed: bool,
    /// A stale object was found last.
    pub found_stale: bool,
    /// Bytes of the body so far, where it may turn out larger than what is stored.
    pub measured: Option<u64>,
    /// A stale object answered in place of this fault.
    pub covered: Option<Fault>,
    /// A stale object that may answer if the origin fails.
    pub cover: Option<Stored>,
    /// A stale object answers, as its origin was down a moment ago.
    pub origin_down: bool,
    /// What hooks read that the answer may depend on; empty unless the policy looks for leaks.
    pub reads: Vec<HookReads>,
    /// The length that the answer had before viewer-response hooks.
    pub origin_length: Option<HeaderValue>,
    /// The status of the origin's answer.
    pub origin_status: Option<u16>,
    /// The version of the origin's answer; HTTP/1.1 for what is stored.
    pub origin_version: http::Version,
    /// Interim answers (1xx) of the origin so far.
    pub interim: u32,
    /// Why the response was not stored.
    pub not_stored: Option<Reason>,
    /// Whether a stored object was written.
    pub stored: bool,
    /// Purges and invalidations up to when the origin was asked.
    pub fetch_mark: Option<Mark>,
    /// That of the stored object that was found.
    pub object_generation: u64,
    /// Its request fills the cache, and a write to it that waits is set aside.
    pub fills: bool,
    /// The origin has more to send than this viewer gets.
    pub origin_goes_on: bool,
    /// It left while its request fills the cache.
    pub viewer_left: AtomicBool,
    /// The viewer has what the cache has, and gets a 304.
    pub viewer_has: bool,
    /// The edge compressed what it stored.
    pub coded: bool,
    /// All tags of the origin's answer, those of hooks among them.
    pub object_tags: Tags,
    /// What the cache did.
    pub outcome: Option<CacheOutcome>,
    /// Why the edge answers by itself.
    pub fault: Option<Fault>,
    /// A page stands in for an error.
    pub paged: bool,
    /// A hook answered at viewer-request.
    pub answered_by_hook: bool,
    /// Hooks that ran, for the log.
    pub hooks: Vec<HookRun>,
    /// What came of each run in words, if somebody looks on.
    pub notes: Option<Vec<String>>,
    /// Body bytes received so far.
    pub body_in: u64,
    /// When the first of it came, where a rate is asked for.
    pub body_since: Option<u64>,
    /// The request's body, where hooks asked for it or made one.
    pub held: Option<Box<Held>>,
    /// A body that a response hook made, until it is put in place.
    pub new_body: Option<bytes::Bytes>,
    /// What is stored and sent in place of the origin's body, taken when it is sent; `Some(None)` for nothing.
    pub origin_body: Option<Option<bytes::Bytes>>,
    /// What is sent in place of the body, taken when it is sent; `Some(None)` for nothing.
    pub replacement: Option<Option<bytes::Bytes>>,
    /// The whole answer, where a body was made for an answer that has no room for one.
    pub generated: Option<(edgeweir_hookhost::GeneratedResponse, Stage)>,
}

/// The limit that refused a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// Too often.
    Rate(Refused),
    /// So many are at work already.
    Concurrency(LevelKind, u32),
}

impl Refusal {
    /// The name in logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Rate(refused) => refused.level.as_str(),
            Self::Concurrency(level, _) => level.at_once(),
        }
    }
}

/// A key in the plan that opens the behavior.
#[derive(Debug, Clone)]
pub struct Keyed {
    /// The plan, by index.
    pub plan: usize,
    /// The key's tokens and requests in that plan.
    pub slot: SlotRef,
}

/// One run of a hook, for the log.
pub struct HookRun {
    /// Its name.
    pub hook: Arc<edgeweir_hookhost::Hook>,
    /// Where it ran.
    pub stage: &'static str,
    /// How long it took, in microseconds.
    pub micros: u32,
    /// `next`, `respond`, the fault, or `refused`: what it decided does not fit the configuration.
    pub verdict: &'static str,
    /// It was the last good version that ran.
    pub last_good: bool,
}

/// What one run of a hook read.
pub struct HookReads {
    /// Its name.
    pub hook: Arc<edgeweir_hookhost::Hook>,
    /// Where it ran.
    pub stage: Stage,
    /// What it read.
    pub reads: Box<edgeweir_hookhost::ReadSet>,
}

impl RequestCtx {
    /// The context of a request that fetches again what this one asked for.
    #[must_use]
    pub fn for_background(&self, started: u64) -> Self {
        let mut ctx = Self::new(Arc::clone(&self.snapshot), started);
        ctx.background = true;
        ctx.conn.clone_from(&self.conn);
        ctx.version = self.version;
        ctx.id = self.id.clone();
        ctx.client = self.client;
        ctx.believed_hops = self.believed_hops;
        ctx.forwarded_for.clone_from(&self.forwarded_for);
        ctx.conn_reused = self.conn_reused;
        ctx.device = self.device;
        ctx.head_came.clone_from(&self.head_came);
        ctx.https = self.https;
        ctx.authority = self.authority.clone();
        ctx.normal_path.clone_from(&self.normal_path);
        ctx.ambiguous_path = self.ambiguous_path;
        ctx.route = self.route;
        ctx.geo.clone_from(&self.geo);
        ctx.facts.clone_from(&self.facts);
        ctx.note.clone_from(&self.note);
        ctx.caller.clone_from(&self.caller);
        ctx.caller_keyed = self.caller_keyed;
        ctx.key_parts.clone_from(&self.key_parts);
        ctx.chosen_origin = self.chosen_origin;
        ctx.dynamic_origin.clone_from(&self.chosen_by_viewer);
        ctx.chosen_by_viewer.clone_from(&self.chosen_by_viewer);
        ctx
    }

    /// The connection, where what happens to it is this request's alone: HTTP/2 viewers share theirs, and a request in the
    /// background has none.
    #[must_use]
    pub fn own_conn(&self) -> Option<&Arc<ConnFacts>> {
        self.conn.as_ref().filter(|_conn| self.version != http::Version::HTTP_2 && !self.background)
    }

    /// An empty context on a snapshot.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, started: u64) -> Self {
        Self {
            snapshot,
            conn: None,
            started,
            version: http::Version::HTTP_11,
            id: HeaderValue::from_static("-"),
            client: (IpAddr::from([0, 0, 0, 0]), None),
            believed_hops: 0,
            forwarded_for: None,
            conn_reused: false,
            device: None,
            head_came: None,
            https: false,
            authority: Authority::none(),
            expects: false,
            closes: false,
            normal_path: None,
            ambiguous_path: false,
            route: None,
            geo: None,
            facts: None,
            key: None,
            quota: None,
            exceeded: None,
            standing: None,
            refused: None,
            in_flight: Vec::new(),
            unsent: None,
            web_origin: None,
            redirected: false,
            preflight: false,
            server_timing: false,
            caller: None,
            caller_keyed: false,
            challenge: None,
            note: None,
            pins: Pins::default(),
            key_parts: Vec::new(),
            chosen_origin: None,
            dynamic_origin: None,
            chosen_by_viewer: None,
            keyed: false,
            cost: None,
            hook_key: None,
            tags: Vec::new(),
            origin_edits: Vec::new(),
            sent: None,
            attempts: Attempts::default(),
            swept: false,
            incomplete: false,
            idled: false,
            origin_address: None,
            origin_times: (None, None),
            ttl: None,
            validation: None,
            left_out: Vec::new(),
            background: false,
            checked: false,
            lookup: None,
            bypassed: false,
            found_stale: false,
            measured: None,
            covered: None,
            cover: None,
            origin_down: false,
            reads: Vec::new(),
            origin_length: None,
            origin_status: None,
            origin_version: http::Version::HTTP_11,
            interim: 0,
            not_stored: None,
            stored: false,
            fetch_mark: None,
            object_generation: 0,
            fills: false,
            origin_goes_on: false,
            viewer_left: AtomicBool::new(false),
            viewer_has: false,
            coded: false,
            object_tags: Tags::default(),
            outcome: None,
            fault: None,
            paged: false,
            answered_by_hook: false,
            hooks: Vec::new(),
            notes: None,
            body_in: 0,
            body_since: None,
            held: None,
            new_body: None,
            origin_body: None,
            replacement: None,
            generated: None,
        }
    }

    /// The request id as text.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.to_str().unwrap_or("-")
    }

    /// The distribution, once routed.
    #[must_use]
    pub fn distribution(&self) -> Option<&Distribution> {
        self.snapshot.distributions.get(self.route?.0)
    }

    /// The behavior, once routed.
    #[must_use]
    pub fn behavior(&self) -> Option<&Behavior> {
        self.distribution()?.behaviors.get(self.route?.1)
    }

    /// Whether hooks are bound at a stage.
    #[must_use]
    pub fn has_hooks_at(&self, stage: Stage) -> bool {
        self.behavior().is_some_and(|behavior| !behavior.hooks_at(stage).is_empty())
    }

    /// Whether a viewer-response hook also runs on errors.
    #[must_use]
    pub fn sees_errors(&self) -> bool {
        self.behavior()
            .is_some_and(|behavior| behavior.hooks_at(Stage::ViewerResponse).iter().any(|bound| bound.on_errors))
    }

    /// The origin that will be asked, or is asked now.
    #[must_use]
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        if self.dynamic_origin.is_some() {
            return self.dynamic_origin.as_ref();
        }
        self.member_of(self.target()?)
    }

    /// The origin or group of the configuration that the request is for.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        self.chosen_origin.or_else(|| Some(self.behavior()?.origin))
    }

    /// An origin; of a group the member whose turn it is.
    #[must_use]
    pub fn member_of(&self, target: Target) -> Option<&Arc<Origin>> {
        match target {
            Target::Origin(id) => self.snapshot.origins.get(id.0),
            Target::Group(id) => self.snapshot.origin_groups.get(id.0)?.members.get(self.attempts.member),
        }
    }

    /// The group whose member is asked.
    #[must_use]
    pub fn origin_group(&self) -> Option<&OriginGroup> {
        match self.target()? {
            Target::Group(id) if self.dynamic_origin.is_none() => self.snapshot.origin_groups.get(id.0),
            _ => None,
        }
    }

    /// Whether an origin that may be asked gets the viewer's host.
    #[must_use]
    pub fn sends_viewer_host(&self) -> bool {
        match self.origin_group() {
            Some(group) => group.members.iter().any(|member| member.host_header.is_none()),
            None => self.origin().is_some_and(|origin| origin.host_header.is_none()),
        }
    }

    /// What the databases know of the viewer.
    pub fn geo(&mut self) -> Option<&Arc<GeoFacts>> {
        if self.geo.is_none()
            && let Some(geo) = &self.snapshot.geo
        {
            self.geo = Some(Arc::new(geo.lookup(self.client.0)));
        }
        self.geo.as_ref()
    }

    /// The limit that refused, for the log.
    #[must_use]
    pub fn throttled_by(&self) -> Option<&'static str> {
        self.refused.as_ref().map(Refusal::as_str)
    }
}
