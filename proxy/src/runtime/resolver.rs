//! How names of origins become addresses. Passed in, so that tests can move a name.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

/// The addresses of a name, each with the port that was asked for.
pub type Answer<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// A resolver that can be replaced in tests.
pub trait Resolver: Send + Sync + 'static {
    /// Looks a name up.
    fn look_up<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a>;
}

/// The system's: `/etc/hosts` and DNS.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn look_up<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}
