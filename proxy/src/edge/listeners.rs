//! The open listeners: made before a configuration is in force, kept where the address stays, closed where it goes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use edgeweir_config::Config;
use parking_lot::Mutex;
use pingora::proxy::HttpProxy;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::core::Core;
use super::{BuildError, Env, StartError, certificates};
use crate::acme::Access;
use crate::flow::Flow;
use crate::runtime::accept::{self, AcceptContext, AcceptLimits, ListenerState};
use crate::runtime::frames::FrameLimits;
use crate::runtime::head::HeadFlaw;
use crate::tls::{Slot, Supplies, Termination};

/// All listeners of an edge.
pub(super) struct Listeners {
    core: Arc<Core>,
    app: Arc<HttpProxy<Flow>>,
    shutdown: watch::Receiver<bool>,
    env: Arc<Env>,
    open: Mutex<Vec<Open>>,
}

struct Open {
    /// As configured; port 0 stays 0 here.
    wanted: SocketAddr,
    local: SocketAddr,
    state: Arc<ListenerState>,
    tls: Option<Arc<Termination>>,
    stop: watch::Sender<bool>,
}

/// Listeners of a configuration that is not in force yet. Dropped, it closes what it opened.
pub(super) struct Prepared {
    parts: Vec<Part>,
}

struct Part {
    wanted: SocketAddr,
    tls: Option<Arc<Termination>>,
    h2c: bool,
    proxy_protocol: bool,
    /// None where the address is open already.
    fresh: Option<(TcpListener, SocketAddr)>,
}

struct Context(Arc<Core>);

impl AcceptContext for Context {
    fn limits(&self) -> AcceptLimits {
        let snapshot = self.0.snapshot.load();
        let server = &snapshot.config.server;
        AcceptLimits {
            total: server.max_connections,
            per_address: server.max_connections_per_address,
            handshake_timeout: server.handshake_timeout,
            max_head: snapshot.config.gate.max_headers,
            frames: FrameLimits {
                resets: snapshot.config.http2.max_resets,
                control: snapshot.config.http2.max_control_frames,
            },
            fingerprints: snapshot.tells_fingerprints,
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.snapshot.load().trusts(address)
    }

    fn opened(&self) {
        self.0.metrics.connection_opened();
    }

    fn head_refused(&self, flaw: HeadFlaw) {
        self.0.metrics.fault(flaw.fault().as_str());
    }

    fn refused(&self, why: &'static str) {
        self.0.metrics.connection_refused(why);
    }
}

impl Listeners {
    pub(super) fn new(
        core: Arc<Core>,
        app: Arc<HttpProxy<Flow>>,
        shutdown: watch::Receiver<bool>,
        env: Arc<Env>,
    ) -> Self {
        Self { core, app, shutdown, env, open: Mutex::default() }
    }

    /// Binds what is not open yet and reads all certificates. Changes nothing.
    pub(super) fn prepare(&self, config: &Config) -> Result<Prepared, StartError> {
        let problems = certificates::check_authority(config, &*self.env);
        if !problems.is_empty() {
            return Err(BuildError { problems }.into());
        }
        let open: Vec<(SocketAddr, Option<Arc<Termination>>)> =
            self.open.lock().iter().map(|open| (open.wanted, open.tls.clone())).collect();
        let directory = config.acme.as_ref().map_or("", |acme| &acme.directory_url);
        let mut parts = Vec::with_capacity(config.listeners.len());
        for (at, listener) in config.listeners.iter().enumerate() {
            let tls = if listener.certificates.is_empty() {
                None
            } else {
                let problem = |error: crate::tls::TlsError| BuildError {
                    problems: vec![super::core::bad_certificate(config, at, &error)],
                };
                let before = open.iter().find(|(wanted, _)| *wanted == listener.address);
                let supplies = Supplies {
                    acme: Some(Access { registry: &self.core.acme, directory }),
                    before: before.and_then(|(_, tls)| tls.as_deref()),
                };
                let made = Termination::new(listener, supplies).map_err(problem)?;
                certificates::warn(made.slots(), self.core.clock.wall());
                Some(Arc::new(made))
            };
            let wanted = listener.address;
            let fresh = if open.iter().any(|(open, _)| *open == wanted) {
                None
            } else {
                let bound = accept::bind(wanted).and_then(|(bound, shared)| Ok((bound.local_addr()?, bound, shared)));
                let (local, bound, shared) = bound.map_err(|source| {
                    let error = StartError::Bind { address: wanted, source };
                    let place = config.source.place(&["listeners", &at.to_string(), "address"]);
                    if place.is_empty() { error } else { super::core::unusable_at(place, &error).into() }
                })?;
                if shared {
                    tracing::warn!(
                        "another process listens on {wanted} too; connections are shared between the two until one stops"
                    );
                }
                Some((bound, local))
            };
            parts.push(Part { wanted, tls, h2c: listener.http2, proxy_protocol: listener.proxy_protocol, fresh });
        }
        Ok(Prepared { parts })
    }

    /// Puts them in force: new ones accept, changed ones change, those that are gone close.
    pub(super) fn commit(&self, prepared: Prepared) {
        let mut open = self.open.lock();
        let mut next = Vec::with_capacity(prepared.parts.len());
        for part in prepared.parts {
            let kept = open.iter().position(|open| open.wanted == part.wanted).map(|at| open.remove(at));
            let mut entry = match (kept, part.fresh) {
                (Some(kept), _) => kept,
                (None, Some((listener, local))) => {
                    // In force before the first connection is taken.
                    let state = Arc::new(ListenerState::default());
                    state.tls.store(part.tls.clone());
                    state.proxy_protocol.store(part.proxy_protocol, Ordering::Relaxed);
                    self.start(part.wanted, local, listener, state)
                }
                // It was open when this was prepared and is gone now: only one reload runs at a time, so it is not.
                (None, None) => continue,
            };
            entry.state.tls.store(part.tls.clone());
            entry.tls = part.tls;
            entry.state.h2c.store(part.h2c, Ordering::Relaxed);
            entry.state.proxy_protocol.store(part.proxy_protocol, Ordering::Relaxed);
            next.push(entry);
        }
        for gone in open.drain(..) {
            gone.stop.send_replace(true);
        }
        *open = next;
    }

    fn start(&self, wanted: SocketAddr, local: SocketAddr, listener: TcpListener, state: Arc<ListenerState>) -> Open {
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(accept::run(
            listener,
            Arc::clone(&state),
            Arc::clone(&self.app),
            Arc::new(Context(Arc::clone(&self.core))),
            Arc::clone(&self.core.connections),
            stopped,
            self.shutdown.clone(),
        ));
        Open { wanted, local, state, tls: None, stop }
    }

    /// All certificates, each with the listener that shows it.
    pub(super) fn certificates(&self) -> Vec<(SocketAddr, Arc<Slot>)> {
        let open = self.open.lock();
        let slots = open.iter().flat_map(|open| {
            let slots = open.tls.iter().flat_map(|tls| tls.slots());
            slots.map(|slot| (open.local, Arc::clone(slot)))
        });
        slots.collect()
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.open.lock().iter().map(|open| open.local).collect()
    }

    /// Closes all.
    pub(super) fn stop(&self) {
        for open in self.open.lock().drain(..) {
            open.stop.send_replace(true);
        }
    }
}
