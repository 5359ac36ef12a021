//! What an origin has beside its URL: addresses, health, limits, trust; and groups of origins.

use std::path::PathBuf;
use std::time::Duration;

use super::{OriginGroupId, OriginId, TlsVersion};

/// Where requests go: an origin, or a group of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One origin.
    Origin(OriginId),
    /// The members of a group, in order.
    Group(OriginGroupId),
}

/// Origins of which the next answers where one fails (CloudFront: "Origin failover").
#[derive(Debug, Clone, PartialEq)]
pub struct OriginGroup {
    /// Its name in the config; no origin has the same.
    pub name: String,
    /// In order; at least two.
    pub members: Vec<OriginId>,
    /// Statuses of an answer for which the next member is asked. Default 500, 502, 503 and 504.
    pub statuses: Vec<u16>,
}

/// The addresses of an origin and how requests are spread over them.
#[derive(Debug, Clone, PartialEq)]
pub struct OriginPool {
    /// Names or IP addresses (no brackets) and ports to connect to in place of the URL's; empty for that.
    pub addresses: Vec<(String, u16)>,
    /// Which of the addresses comes next.
    pub balance: Balance,
    /// Failures in a row after which an address is left out; 0 for never. Default 5.
    pub eject_after: u32,
    /// How long it is left out. Default 10 s.
    pub eject_for: Duration,
    /// Requests at work at once; none for no limit.
    pub max_requests: Option<u32>,
    /// Idle connections that are kept; none for no limit of its own.
    pub max_idle_connections: Option<u32>,
    /// How long a request waits for a place among `max_requests`. Default 0: not at all.
    pub queue: Duration,
}

/// How requests are spread over the addresses of an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// One after the other. Default.
    RoundRobin,
    /// The one with the fewest requests at work.
    LeastOutstanding,
}

/// A request that is sent to each address again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthCheck {
    /// Path and query, put after the path of the URL. Default `/`.
    pub path: String,
    /// From the end of one check to the next. Default 10 s.
    pub interval: Duration,
    /// For connection and response head together. Default 2 s.
    pub timeout: Duration,
    /// Checks in a row that have to pass before an address that failed is used again. Default 2.
    pub healthy: u32,
    /// Checks in a row that have to fail before an address is left out. Default 3.
    pub unhealthy: u32,
    /// Statuses that pass; empty for 200 to 399.
    pub statuses: Vec<u16>,
}

/// TLS towards an origin, beside whether its certificate is checked.
#[derive(Debug, Clone, PartialEq)]
pub struct OriginTls {
    /// PEM file of the authorities that its certificate is checked against, in place of the system's.
    pub ca: Option<PathBuf>,
    /// PEM files of the certificate that the edge shows, with its chain, and of its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The name that is asked for (SNI) and that its certificate must have, in place of the URL's host.
    pub sni: Option<String>,
    /// Oldest TLS version that is accepted. Default 1.2.
    pub min: TlsVersion,
}

impl Default for OriginTls {
    fn default() -> Self {
        Self { ca: None, client: None, sni: None, min: TlsVersion::V1_2 }
    }
}
