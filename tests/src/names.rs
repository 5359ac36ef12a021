//! Names of origins that a test gives addresses, and takes them away.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use edgeweir_proxy::runtime::resolver::{Answer, Resolver, SystemResolver};

/// Answers for the names that it knows; the system is asked for others.
#[derive(Debug, Default)]
pub struct Names {
    known: Mutex<HashMap<String, Vec<SocketAddr>>>,
    asked: AtomicUsize,
}

impl Names {
    /// From now on a name has these addresses, whatever port is asked for; with none, looking it up fails.
    pub fn set(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().expect("an address and port")).collect();
        self.known.lock().expect("no panic while locked").insert(name.to_owned(), addresses);
    }

    /// How often known names were looked up.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolver for Names {
    fn look_up<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a> {
        let known = self.known.lock().expect("no panic while locked").get(host).cloned();
        let Some(known) = known else { return SystemResolver.look_up(host, port) };
        Box::pin(async move {
            let gone = || io::Error::new(io::ErrorKind::NotFound, "the test says that there is no such name");
            let answer = if known.is_empty() { Err(gone()) } else { Ok(known) };
            self.asked.fetch_add(1, Ordering::SeqCst);
            answer
        })
    }
}
