//! Origins at run time: their addresses and how they do, and ready-made pingora peers.
//!
//! pingora never gets a name: its own look-up blocks and panics.

mod addresses;
mod choice;
mod dynamic;
mod endpoint;
mod group;
pub mod health;
pub mod kept;
mod public;
pub mod room;
mod trust;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime};

use edgeweir_config::{self as model, Balance, OriginHttp};
use edgeweir_hookhost::OriginFacts;
use http::HeaderValue;
use pingora::upstreams::peer::HttpPeer;

use self::addresses::Addresses;
pub use self::addresses::LookupError;
pub use self::choice::Asking;
pub use self::dynamic::DynamicOrigins;
pub use self::endpoint::{Endpoint, EndpointState, Probe, Seat};
pub use self::group::OriginGroup;
use self::kept::Kept;
use self::room::Room;
pub use self::trust::{Trust, TrustError, is_new_enough};
use crate::runtime::clock::Clock;
use crate::runtime::resolver::Resolver;
use crate::sigv4::{Refused, Signer};
use crate::statics::Directory;
use crate::telemetry::metrics::OriginMetrics;

/// An origin of a snapshot.
pub struct Origin {
    /// As configured.
    pub config: model::Origin,
    /// The `Host` it gets, unless it gets the viewer's.
    pub host_header: Option<HeaderValue>,
    /// Its own name, and the port if it is not the scheme's.
    pub own_host: HeaderValue,
    /// Headers it gets with each request, secrets read.
    pub headers: Vec<(http::HeaderName, HeaderValue)>,
    /// Files of this machine in place of a server.
    pub directory: Option<Arc<Directory>>,
    /// What hooks may know of it.
    pub facts: Arc<OriginFacts>,
    /// Signs what it gets, for a bucket.
    pub signer: Option<Box<Signer>>,
    template: HttpPeer,
    /// Only addresses of the public internet are asked.
    public_only: bool,
    /// Something else can answer in its place, or its addresses are checked: how even a single one does is of use.
    watched: bool,
    /// The only address there will ever be.
    literal: Option<SocketAddr>,
    addresses: Arc<Addresses>,
    room: Option<Arc<Room>>,
    kept: Option<Arc<Kept>>,
    turn: AtomicUsize,
    outside: Outside,
    metrics: Option<Arc<OriginMetrics>>,
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin").field("name", &self.config.name).finish_non_exhaustive()
    }
}

/// What hooks may know of an origin.
fn facts(config: &model::Origin) -> OriginFacts {
    OriginFacts {
        name: config.name.as_str().into(),
        tls: config.tls,
        host: config.host.as_str().into(),
        port: config.port,
        path_prefix: config.path_prefix.as_str().into(),
        region: config.sigv4.as_ref().map(|signing| signing.region.as_str().into()),
        connect_timeout: config.connect_timeout,
        read_timeout: config.read_timeout,
        keepalive: config.keepalive,
    }
}

/// What origins need of the world.
#[derive(Clone)]
pub struct Outside {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The addresses of names.
    pub resolver: Arc<dyn Resolver>,
}

/// An address for a request.
#[derive(Debug)]
pub struct Chosen {
    /// Where it goes.
    pub peer: Box<HttpPeer>,
    /// Its place there; none where nobody needs to know.
    pub seat: Option<Seat>,
    /// The address was left out, and this request tries it.
    pub probe: bool,
}

impl Origin {
    /// Makes an origin ready. `old` is the one of the same name before a reload: its addresses are kept if they still fit.
    #[must_use]
    pub fn new(
        config: model::Origin,
        host_header: Option<HeaderValue>,
        headers: Vec<(http::HeaderName, HeaderValue)>,
        old: Option<&Self>,
        outside: Outside,
    ) -> Self {
        let of_url = [(config.host.clone(), config.port)];
        let places = if config.pool.addresses.is_empty() { &of_url[..] } else { &config.pool.addresses };
        let addresses = match old {
            Some(old) if old.addresses.are_of(places) => Arc::clone(&old.addresses),
            old => Arc::new(Addresses::new(places, old.map(|old| &*old.addresses))),
        };
        let room = config.pool.max_requests.map(|most| match old.and_then(|old| old.room.as_ref()) {
            Some(room) if room.most() == most => Arc::clone(room),
            _ => Arc::new(Room::new(most)),
        });
        let mut template = template(&config);
        let kept = config.pool.max_idle_connections.map(|_most| {
            // Connections to other addresses, or of other trust, are used no more: they take no place of those that are.
            let goes_on = |old: &&Self| {
                let (old, new) = (&old.config, &config);
                let places = (&old.host, old.port, &old.pool.addresses) == (&new.host, new.port, &new.pool.addresses);
                places && (old.tls, old.verify_tls) == (new.tls, new.verify_tls) && old.trust == new.trust
            };
            let before = old.filter(goes_on).and_then(|old| old.kept.as_ref());
            before.map_or_else(|| Arc::new(Kept::new()), Arc::clone)
        });
        if let Some(kept) = &kept {
            template.options.custom_l4 = Some(Arc::<Kept>::clone(kept));
        }
        let own_host =
            HeaderValue::from_str(&own_host(&config)).unwrap_or_else(|_invalid| HeaderValue::from_static(""));
        Self {
            watched: config.health_check.is_some(),
            literal: addresses.literal(),
            facts: Arc::new(facts(&config)),
            config,
            host_header,
            own_host,
            headers,
            directory: None,
            signer: None,
            template,
            public_only: false,
            addresses,
            room,
            kept,
            turn: AtomicUsize::new(0),
            outside,
            metrics: None,
        }
    }

    /// Serves files in place of asking a server.
    #[must_use]
    pub fn with_directory(mut self, directory: Arc<Directory>) -> Self {
        // Nobody is connected to: pingora asks the directory for a connection.
        self.literal = Some(SocketAddr::from(([0, 0, 0, 0], self.config.port)));
        self.template.group_key = directory.group();
        self.template.options.custom_l4 = Some(Arc::<Directory>::clone(&directory));
        self.directory = Some(directory);
        self
    }

    /// Signs requests to a bucket.
    #[must_use]
    pub fn with_signer(mut self, signer: Signer) -> Self {
        self.signer = Some(Box::new(signer));
        self
    }

    /// Signs a request, if it is for a bucket. The last thing that is done to it: its target is spelled as it is signed.
    ///
    /// # Errors
    /// If the bucket must not be asked this.
    pub fn sign(&self, request: &mut http::request::Parts) -> Result<(), Refused> {
        let Some(signer) = &self.signer else { return Ok(()) };
        let now = self.outside.clock.wall().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let target = (request.uri.path().to_owned(), request.uri.query().map(str::to_owned));
        let target = signer.sign(
            &request.method,
            (&target.0, target.1.as_deref()),
            &self.config.path_prefix,
            &mut request.headers,
            now,
        )?;
        let mut uri = std::mem::take(&mut request.uri).into_parts();
        uri.path_and_query = Some(target.try_into().map_err(|_invalid| Refused::Head)?);
        request.uri = uri.try_into().map_err(|_invalid| Refused::Head)?;
        Ok(())
    }

    /// Makes this an origin that a hook chose: its connections are kept apart from those of the config's origins. With
    /// `public_only` a name that has any address of this machine or of a private network is refused, whenever it gets it.
    #[must_use]
    pub fn chosen_by_hook(mut self, public_only: bool) -> Self {
        self.public_only = public_only;
        self.template.group_key = if public_only { 1 } else { 2 };
        self
    }

    /// With TLS of its own.
    #[must_use]
    pub fn with_trust(mut self, trust: &Trust) -> Self {
        trust.put_on(&mut self.template);
        if let Some(kept) = &self.kept {
            // Both tell connections apart.
            self.template.group_key ^= kept.group();
        }
        self
    }

    /// What happens to its addresses is counted here.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Arc<OriginMetrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Others can answer in its place.
    #[must_use]
    pub fn in_group(mut self) -> Self {
        self.watched = true;
        self
    }

    /// A peer for the next address in turn, for requests of the edge itself.
    ///
    /// # Errors
    /// If no address is known and none can be found.
    pub async fn peer(&self) -> Result<Box<HttpPeer>, LookupError> {
        let asking = Asking { tried: &[], probe: Probe::No, any: true };
        let chosen = self.choose(asking).await?;
        chosen.map(|chosen| chosen.peer).ok_or_else(|| LookupError::Empty(self.config.host.clone()))
    }

    /// An address for a request; none if all are left out and `any` is not asked for.
    ///
    /// # Errors
    /// If no address is known and none can be found.
    pub async fn choose(&self, asking: Asking<'_>) -> Result<Option<Chosen>, LookupError> {
        if let (Some(address), true) = (self.literal, !self.watched || self.directory.is_some()) {
            return Ok(Some(Chosen { peer: self.peer_at(address), seat: None, probe: false }));
        }
        let endpoints = self.endpoints().await?;
        let now = || self.outside.clock.monotonic();
        let Some((endpoint, probe)) = choice::choose(&endpoints, &self.config.pool, &self.turn, asking, now) else {
            return Ok(None);
        };
        let counted = self.config.pool.balance == Balance::LeastOutstanding;
        let seat = (endpoints.len() > 1 || self.watched).then(|| Seat::take(&endpoint, counted));
        Ok(Some(Chosen { peer: self.peer_at(endpoint.address), seat, probe }))
    }

    /// The addresses; the first time, this waits for a look-up.
    ///
    /// # Errors
    /// If no address is known and none can be found, or one is not of the public internet and has to be.
    pub async fn endpoints(&self) -> Result<Arc<Vec<Arc<Endpoint>>>, LookupError> {
        let every = self.config.resolve_every;
        let endpoints = match self.addresses.known() {
            Some(known) => {
                self.addresses.refresh_if_due(&self.outside, every);
                known
            }
            None => self.addresses.first(&self.outside, every, self.config.connect_timeout).await?,
        };
        if self.public_only && !endpoints.iter().all(|endpoint| public::is_public(endpoint.address.ip())) {
            return Err(LookupError::NotPublic(self.config.host.clone()));
        }
        Ok(endpoints)
    }

    /// The addresses that are known, if their state means anything.
    #[must_use]
    pub fn watched_endpoints(&self) -> Option<Arc<Vec<Arc<Endpoint>>>> {
        self.addresses.known().filter(|known| known.len() > 1 || self.watched)
    }

    fn peer_at(&self, address: SocketAddr) -> Box<HttpPeer> {
        let mut peer = Box::new(self.template.clone());
        peer._address = address.into();
        peer
    }

    /// Places among the requests at work, if they are limited.
    #[must_use]
    pub fn room(&self) -> Option<&Arc<Room>> {
        self.room.as_ref()
    }

    /// Its idle connections, if they are limited.
    #[must_use]
    pub fn kept(&self) -> Option<&Arc<Kept>> {
        self.kept.as_ref()
    }

    /// A connection was closed because enough of them are idle.
    pub fn not_kept(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.not_kept();
        }
    }

    /// Notes that an address did not answer.
    pub fn endpoint_failed(&self, endpoint: &Endpoint) {
        if endpoint.failed(self.outside.clock.monotonic(), &self.config.pool) {
            if let Some(metrics) = &self.metrics {
                metrics.ejected();
            }
            let (origin, address) = (&self.config.name, endpoint.address);
            tracing::warn!(
                origin,
                %address,
                seconds = self.config.pool.eject_for.as_secs(),
                "an address of an origin is left out: it failed {} times in a row",
                self.config.pool.eject_after
            );
        }
    }

    /// Notes what an address answered. An answer of 500 and up is a failure if there are others that do better: an error of
    /// the application does not take the last one away.
    pub fn endpoint_answered(&self, endpoint: &Endpoint, status: u16) {
        if status >= 500 {
            let known = self.addresses.known();
            let mut others = known.iter().flat_map(|known| known.iter());
            if others.any(|other| other.address != endpoint.address && other.is_usable()) {
                self.endpoint_failed(endpoint);
            }
        } else if endpoint.passed() {
            tracing::info!(origin = self.config.name, address = %endpoint.address, "an address works again");
        }
    }

    /// Notes that no connection came about.
    pub fn failed(&self) {
        if self.addresses.failed(&*self.outside.clock, self.config.failure_memory) {
            tracing::warn!(origin = self.config.name, "an origin is down: no connection comes about");
        }
    }

    /// Notes that it answered.
    pub fn answered(&self) {
        if self.addresses.answered() {
            tracing::info!(origin = self.config.name, "an origin answers again");
        }
    }

    /// Whether no connection came about lately.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.addresses.are_down(&*self.outside.clock)
    }

    /// How many addresses are known.
    #[must_use]
    pub fn address_count(&self) -> usize {
        self.addresses.count()
    }

    /// Nobody checks its addresses.
    fn endpoints_unchecked(&self) {
        self.addresses.known().iter().flat_map(|known| known.iter()).for_each(|endpoint| endpoint.unchecked());
    }

    /// Whether a request to one is a request to the other: address, protocol, trust and what is sent with it.
    fn is_same(&self, other: &Self) -> bool {
        self.config == other.config
            && self.headers == other.headers
            && self.host_header == other.host_header
            && self.template.group_key == other.template.group_key
            && Arc::ptr_eq(&self.addresses, &other.addresses)
    }
}

/// The name that an origin goes by: its host, and the port if it is not the scheme's.
#[must_use]
pub fn own_host(origin: &model::Origin) -> String {
    let default = if origin.tls { 443 } else { 80 };
    let host = if origin.host.contains(':') { format!("[{}]", origin.host) } else { origin.host.clone() };
    if origin.port == default { host } else { format!("{host}:{}", origin.port) }
}

/// The peer without its address: everything else is the same for each request.
fn template(config: &model::Origin) -> HttpPeer {
    let nowhere = SocketAddr::from(([0, 0, 0, 0], config.port));
    // An address is verified as a name is, but rustls does not send it as SNI (RFC 6066, 3).
    let name = match &config.trust.sni {
        _ if !config.tls => String::new(),
        Some(name) => name.clone(),
        None => config.host.clone(),
    };
    let mut peer = HttpPeer::new(nowhere, config.tls, name);
    let options = &mut peer.options;
    options.connection_timeout = Some(config.connect_timeout);
    options.total_connection_timeout = Some(config.connect_timeout);
    options.read_timeout = Some(config.read_timeout);
    options.write_timeout = Some(config.write_timeout);
    options.idle_timeout = Some(config.keepalive);
    options.verify_cert = config.verify_tls;
    options.verify_hostname = config.verify_tls;
    match config.http {
        OriginHttp::H1 => options.set_http_version(1, 1),
        OriginHttp::H2 => options.set_http_version(2, 1),
        OriginHttp::H2Only => options.set_http_version(2, 2),
    }
    if config.http != OriginHttp::H1 {
        options.max_h2_streams = 100;
        options.h2_ping_interval = Some(Duration::from_secs(30));
    }
    peer
}
