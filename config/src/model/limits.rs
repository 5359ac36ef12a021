//! Limits on how much is asked: rates, and requests at once.

use super::{DistributionId, Throttle};

/// Limits of the edge, a distribution or a behavior, besides its `throttle`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// Requests at work at once, all viewers together.
    pub concurrency: Option<u32>,
    /// For each address.
    pub per_address: Option<PerAddress>,
    /// For each caller; not for the whole edge.
    pub per_caller: Option<PerCaller>,
}

/// Limits of each viewer's address by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct PerAddress {
    /// What each may use.
    pub each: Each,
    /// Leading bits of an IPv4 address that make it one viewer, 8 to 32. Default 32.
    pub ipv4_prefix: u8,
    /// Leading bits of an IPv6 address, 16 to 128. Default 64: what one subscriber usually has.
    pub ipv6_prefix: u8,
}

/// Limits of each caller by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct PerCaller {
    /// Who a caller is.
    pub by: CallerName,
    /// What each may use.
    pub each: Each,
}

/// What one of many viewers may use. At least one of the two.
#[derive(Debug, Clone, PartialEq)]
pub struct Each {
    /// Rate and burst.
    pub throttle: Option<Throttle>,
    /// Requests at work at once.
    pub concurrency: Option<u32>,
    /// How many viewers are told apart at once, 8 to 16,777,216. Default 65,536.
    pub max_clients: usize,
}

/// What names a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallerName {
    /// The value of a request header, lower case; all requests without it are one caller.
    Header(String),
    /// The principal that the authorizer names.
    Principal,
    /// A value of the authorizer's context.
    Context(String),
}

/// A throttle of each key of a plan for some of its requests, besides the plan's.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodThrottle {
    /// Only there; everywhere if none.
    pub distribution: Option<DistributionId>,
    /// Only behaviors with this pattern.
    pub path: Option<String>,
    /// Only this method.
    pub method: Option<String>,
    /// What each key may use.
    pub throttle: Throttle,
}
