//! What of an object's key a purge can name: distribution, host, path and query.

use super::{Fnv, Scope};
use crate::key;

/// The names that an object goes by. The path and the query are kept as text, for prefixes.
#[derive(Debug, Clone)]
pub struct Identity {
    distribution: Fnv,
    /// The host, or what stands for all of them.
    host: Fnv,
    path_and_query: Box<[u8]>,
}

const EVERYTHING: u8 = 0;
const DISTRIBUTION: u8 = 1;
const HOST: u8 = 2;
const SHARED: u8 = 3;

impl Identity {
    /// Of the bytes that a [`KeyBuilder`](crate::KeyBuilder) made.
    #[must_use]
    pub fn of_key(bytes: &[u8]) -> Self {
        let (mut distribution, mut host) = (&[][..], None);
        let (mut path, mut query) = (&[][..], None);
        for (part, value) in key::raw_parts(bytes) {
            match part {
                key::RawPart::Distribution => distribution = value,
                key::RawPart::Host => host = Some(without_port(value)),
                key::RawPart::Path => path = value,
                key::RawPart::Query => query = Some(value),
                key::RawPart::Scheme | key::RawPart::Other => {}
            }
        }
        let mut text = Vec::with_capacity(path.len() + query.map_or(0, |query| 1 + query.len()));
        text.extend_from_slice(path);
        if let Some(query) = query {
            text.push(b'?');
            text.extend_from_slice(query);
        }
        Self {
            distribution: of_distribution(distribution),
            host: host.map_or_else(|| shared(distribution), |host| of_host(distribution, host)),
            path_and_query: text.into_boxed_slice(),
        }
    }

    /// The states that hashes of purges about this object start from.
    pub(super) fn scopes(&self) -> [Fnv; 3] {
        [everything(), self.distribution, self.host]
    }

    /// Path and query, as they are in the key.
    pub(super) fn text(&self) -> &[u8] {
        &self.path_and_query
    }

    /// Bytes on the heap.
    pub(crate) fn weight(&self) -> usize {
        self.path_and_query.len()
    }
}

/// The states that hashes of a purge start from: two where a host has objects of its own and shared ones.
pub(super) fn of_scope(scope: &Scope) -> [Option<Fnv>; 2] {
    match scope {
        Scope::Everything => [Some(everything()), None],
        Scope::Distribution(name) => [Some(of_distribution(name.as_bytes())), None],
        Scope::Host { distribution, host } => {
            let host = host.to_ascii_lowercase();
            let own = of_host(distribution.as_bytes(), without_port(host.as_bytes()));
            [Some(own), Some(shared(distribution.as_bytes()))]
        }
    }
}

fn everything() -> Fnv {
    Fnv::START.byte(EVERYTHING)
}

fn of_distribution(name: &[u8]) -> Fnv {
    Fnv::START.byte(DISTRIBUTION).framed(name)
}

fn of_host(distribution: &[u8], host: &[u8]) -> Fnv {
    Fnv::START.byte(HOST).framed(distribution).framed(host)
}

fn shared(distribution: &[u8]) -> Fnv {
    Fnv::START.byte(SHARED).framed(distribution)
}

/// A purge is about a host on all its ports.
fn without_port(host: &[u8]) -> &[u8] {
    let name = match host.iter().rposition(|byte| *byte == b':') {
        Some(at) if !host[at..].contains(&b']') => &host[..at],
        _ => host,
    };
    name.strip_suffix(b".").unwrap_or(name)
}
