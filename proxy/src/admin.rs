//! The admin API: health, metrics, status, reload, deployed hooks and purges, over a Unix socket in the state folder and, if
//! wanted, over TCP.
//!
//! Whoever can open the Unix socket (the owner of the state folder) may do everything. Over TCP reading is open and
//! everything that changes state needs a bearer token. The edge is behind [`Control`]; nothing here knows pingora.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::purge::{BadOrder, Order};
use crate::state::KeyError;

mod access;
pub mod client;
pub mod keys;
mod routes;
mod server;
mod socket;
pub mod tenant;

pub use server::{AdminServer, AdminToken};

/// Name of the Unix socket in the state folder.
pub const SOCKET: &str = "admin.sock";

/// What the admin API can ask of the edge.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// Whether the edge wants new requests: false before the start is done and from the stop signal on.
    fn ready(&self) -> bool;
    /// What is wrong although requests are served.
    fn concern(&self) -> Option<String>;
    /// The metrics page in OpenMetrics text.
    fn metrics(&self) -> String;
    /// Version, snapshot number, uptime, listeners, connections.
    fn status(&self) -> serde_json::Value;
    /// Loads the configuration file again, all or nothing.
    ///
    /// # Errors
    /// Why the old configuration stays.
    async fn reload(&self) -> Result<serde_json::Value, ReloadFailure>;

    /// Takes objects out of the cache, or counts them; gives the receipt.
    ///
    /// # Errors
    /// What of the order cannot be understood; then nothing is purged.
    async fn purge(&self, order: Order) -> Result<serde_json::Value, BadOrder>;

    /// Makes, changes, removes and lists API keys, and tells what they use.
    ///
    /// # Errors
    /// Why not; then nothing has changed.
    async fn keys(&self, call: keys::Call) -> Result<keys::Answer, KeyError>;

    /// Puts a version of a deployed hook in force, all or nothing.
    ///
    /// # Errors
    /// Why the version before stays.
    async fn deploy(&self, hook: &str, version: &str) -> Result<serde_json::Value, ReloadFailure>;
}

/// Why a reload was refused.
#[derive(Debug, Clone)]
pub struct ReloadFailure {
    /// 409 if there is nothing to load or another reload is under way, 422 if the file is bad, 500 otherwise.
    pub status: u16,
    /// What the caller is told; JSON with at least `error`, and `report` (text for people) if the file is bad.
    pub body: serde_json::Value,
}

/// Why an admin listener did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The folder of the socket cannot be made or closed to others.
    #[error("cannot prepare the state folder `{}`", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something that is no socket stands in the way.
    #[error("`{}` exists and is not a socket", path.display())]
    NotASocket {
        /// What stands there.
        path: PathBuf,
    },
    /// Addresses of Unix sockets are short (unix(7): 108 bytes with the terminator).
    #[error("the path of the admin socket is too long, choose a shorter `state_dir`: `{}`", path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// An edge with another configuration has the socket.
    #[error(
        "the state folder is in use: an edge that runs {tenant} has the admin socket `{}`, and this one runs `{}`; set \
         `state_dir` in one of the two, or stop that edge",
        path.display(),
        file.display()
    )]
    Occupied {
        /// The socket.
        path: PathBuf,
        /// Who has it.
        tenant: tenant::Tenant,
        /// Our configuration.
        file: PathBuf,
    },
    /// The socket cannot be made.
    #[error("cannot listen on the admin socket `{}`", path.display())]
    Socket {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The TCP address cannot be had.
    #[error("cannot listen on the admin address {address}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Serves the admin API on a Unix socket that only the owner can open. A socket that is there, of a dead process or of
/// an edge that still runs, is replaced without a gap; its own edge does not notice, and leaves the new one alone when
/// it goes. Needs a tokio runtime.
///
/// # Errors
/// The folder or the socket cannot be made; see [`AdminError`].
pub fn serve_unix(path: &Path, control: Arc<dyn Control>) -> Result<AdminServer, AdminError> {
    let (listener, guard) = socket::bind(path)?;
    let router = routes::router(control, None);
    Ok(AdminServer::start(server::Listener::Unix(listener), router, Some(guard), None))
}

/// Serves the admin API on TCP; `token` is the bearer token for calls that change state, without one they are refused.
/// Port 0 lets the system choose. Needs a tokio runtime.
///
/// # Errors
/// The address cannot be had.
pub async fn serve_tcp(
    address: SocketAddr,
    token: Option<&str>,
    control: Arc<dyn Control>,
) -> Result<(SocketAddr, AdminServer), AdminError> {
    let failed = |source| AdminError::Tcp { address, source };
    let listener = server::bind_tcp(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let gate = Arc::new(access::Gate::new(bound.ip(), token));
    let router = routes::router(control, Some(Arc::clone(&gate)));
    Ok((bound, AdminServer::start(server::Listener::Tcp(listener), router, None, Some(AdminToken(gate)))))
}

#[cfg(test)]
mod tests;
