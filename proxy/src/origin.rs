//! Origins at run time: their addresses, resolved again and again, and ready-made pingora peers.
//!
//! A name is resolved by the system (`/etc/hosts` and DNS) off the data path. While an answer ages, requests use it and
//! one of them starts a new look-up; a failed look-up keeps the last good answer. pingora never gets a name: its own
//! look-up blocks and panics.

mod dynamic;
mod public;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use edgeweir_config::{self as model, OriginHttp};
use http::HeaderValue;
use pingora::upstreams::peer::HttpPeer;

use crate::runtime::clock::Clock;
use crate::sigv4::{Refused, Signer};
use crate::statics::Directory;

pub use dynamic::DynamicOrigins;

/// After a failed look-up the next one waits this long.
const RETRY_LOOKUP: Duration = Duration::from_secs(1);
/// Addresses of a name that are kept; a name with more is cut.
const MAX_ADDRESSES: usize = 64;

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
    /// Signs what it gets, for a bucket.
    pub signer: Option<Box<Signer>>,
    template: HttpPeer,
    /// Only addresses of the public internet are asked.
    public_only: bool,
    /// The only address there will ever be, if the host is one.
    literal: Option<SocketAddr>,
    addresses: Arc<Addresses>,
    turn: AtomicUsize,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin").field("name", &self.config.name).finish_non_exhaustive()
    }
}

/// Why an origin has no address.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The system's answer.
    #[error("cannot resolve `{host}`")]
    Failed {
        /// The name asked for.
        host: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The name exists and has no address.
    #[error("`{0}` has no address")]
    Empty(String),
    /// The name has an address of this machine or of a private network, and may not.
    #[error("`{0}` has an address that is not of the public internet; list the host in full to allow that")]
    NotPublic(String),
    /// No answer within the connect timeout.
    #[error("no answer for `{0}` in time")]
    Timeout(String),
}

/// The addresses of one host, kept over reloads.
#[derive(Debug)]
struct Addresses {
    known: ArcSwapOption<Vec<SocketAddr>>,
    /// When the next look-up is due, in nanoseconds of the clock.
    due: AtomicU64,
    looking: AtomicBool,
    /// Until when it counts as down, in nanoseconds of the clock.
    down_until: AtomicU64,
    /// Only one request at a time waits for the first answer with a look-up of its own; the others wait for it.
    first: tokio::sync::Mutex<()>,
}

impl Origin {
    /// Makes an origin ready. `old` is the one of the same name before a reload: its addresses are kept if they still fit.
    #[must_use]
    pub fn new(
        config: model::Origin,
        host_header: Option<HeaderValue>,
        headers: Vec<(http::HeaderName, HeaderValue)>,
        old: Option<&Self>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let literal = config.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, config.port));
        let addresses = match old {
            Some(old) if old.config.host == config.host && old.config.port == config.port => Arc::clone(&old.addresses),
            _ => Arc::new(Addresses {
                known: ArcSwapOption::from_pointee(literal.map(|address| vec![address])),
                due: AtomicU64::new(if literal.is_some() { u64::MAX } else { 0 }),
                looking: AtomicBool::new(false),
                down_until: AtomicU64::new(0),
                first: tokio::sync::Mutex::new(()),
            }),
        };
        let template = template(&config);
        let own_host =
            HeaderValue::from_str(&own_host(&config)).unwrap_or_else(|_invalid| HeaderValue::from_static(""));
        Self {
            config,
            host_header,
            own_host,
            headers,
            directory: None,
            signer: None,
            template,
            public_only: false,
            literal,
            addresses,
            turn: AtomicUsize::new(0),
            clock,
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
        let now = self.clock.wall().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
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

    /// A peer for the next address in turn; `attempt` counts up from 0 within a request, so that a retry gets another one.
    ///
    /// # Errors
    /// If no address is known and none can be found.
    pub async fn peer(&self, attempt: usize) -> Result<Box<HttpPeer>, LookupError> {
        if let Some(address) = self.literal {
            return Ok(self.peer_at(address));
        }
        let known = self.addresses.known.load_full();
        let addresses = match known {
            Some(known) => {
                self.refresh_if_due();
                known
            }
            None => self.first_lookup().await?,
        };
        if self.public_only && !addresses.iter().all(|address| public::is_public(address.ip())) {
            return Err(LookupError::NotPublic(self.config.host.clone()));
        }
        let turn = if addresses.len() == 1 {
            0
        } else if attempt == 0 {
            self.turn.fetch_add(1, Ordering::Relaxed)
        } else {
            self.turn.load(Ordering::Relaxed).wrapping_sub(1).wrapping_add(attempt)
        };
        let address =
            addresses.get(turn % addresses.len()).ok_or_else(|| LookupError::Empty(self.config.host.clone()))?;
        Ok(self.peer_at(*address))
    }

    fn peer_at(&self, address: SocketAddr) -> Box<HttpPeer> {
        let mut peer = Box::new(self.template.clone());
        peer._address = address.into();
        peer
    }

    /// Notes that no connection came about.
    pub fn failed(&self) {
        self.addresses.down_until.store(after(&*self.clock, self.config.failure_memory), Ordering::Relaxed);
    }

    /// Notes that it answered.
    pub fn answered(&self) {
        if self.addresses.down_until.load(Ordering::Relaxed) != 0 {
            self.addresses.down_until.store(0, Ordering::Relaxed);
        }
    }

    /// Whether no connection came about lately.
    #[must_use]
    pub fn is_down(&self) -> bool {
        let until = self.addresses.down_until.load(Ordering::Relaxed);
        until != 0 && self.clock.monotonic() < until
    }

    /// How many addresses are known.
    #[must_use]
    pub fn address_count(&self) -> usize {
        self.addresses.known.load().as_ref().map_or(0, |known| known.len())
    }

    fn refresh_if_due(&self) {
        if self.clock.monotonic() < self.addresses.due.load(Ordering::Relaxed)
            || self.addresses.looking.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let addresses = Arc::clone(&self.addresses);
        let (host, port) = (self.config.host.clone(), self.config.port);
        let (clock, every) = (Arc::clone(&self.clock), self.config.resolve_every);
        tokio::spawn(async move {
            let pause = match lookup(&host, port).await {
                Ok(found) => {
                    addresses.known.store(Some(Arc::new(found)));
                    every
                }
                Err(error) => {
                    tracing::warn!(%host, error = %crate::fault::chain(&error), "look-up failed, the last answer is kept");
                    RETRY_LOOKUP.min(every)
                }
            };
            addresses.due.store(after(&*clock, pause), Ordering::Relaxed);
            addresses.looking.store(false, Ordering::Relaxed);
        });
    }

    async fn first_lookup(&self) -> Result<Arc<Vec<SocketAddr>>, LookupError> {
        let timeout = || LookupError::Timeout(self.config.host.clone());
        tokio::time::timeout(self.config.connect_timeout, async {
            let _one_at_a_time = self.addresses.first.lock().await;
            if let Some(known) = self.addresses.known.load_full() {
                return Ok(known);
            }
            let found = Arc::new(lookup(&self.config.host, self.config.port).await?);
            self.addresses.known.store(Some(Arc::clone(&found)));
            self.addresses.due.store(after(&*self.clock, self.config.resolve_every), Ordering::Relaxed);
            Ok(found)
        })
        .await
        .map_err(|_elapsed| timeout())?
    }
}

fn after(clock: &dyn Clock, pause: Duration) -> u64 {
    clock.monotonic().saturating_add(u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX))
}

async fn lookup(host: &str, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
    let mut found: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|source| LookupError::Failed { host: host.to_owned(), source })?
        .collect();
    found.truncate(MAX_ADDRESSES);
    if found.is_empty() { Err(LookupError::Empty(host.to_owned())) } else { Ok(found) }
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
    let name = if config.tls { config.host.clone() } else { String::new() };
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
