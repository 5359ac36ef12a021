//! The limits of a configuration, ready: buckets and gauges by scope.

use std::net::IpAddr;
use std::sync::Arc;

use edgeweir_limits::{Bucket, ClientBuckets, ClientGauges, Gauge};
use http::{HeaderName, Method};

/// Limits of the edge, a distribution or a behavior.
#[derive(Debug, Default)]
pub struct Limits {
    /// For all its requests.
    pub throttle: Option<Arc<Bucket>>,
    /// For all its requests with a method, in place of `throttle`; of behaviors only.
    pub methods: Vec<(Method, Arc<Bucket>)>,
    /// How many of them may be at work.
    pub gauge: Option<Gauge>,
    /// For each address.
    pub per_address: Option<PerAddress>,
    /// For each caller.
    pub per_caller: Option<PerCaller>,
}

/// What each of many may use.
#[derive(Debug)]
pub struct Each {
    /// How often.
    pub buckets: Option<Arc<ClientBuckets>>,
    /// How many at once.
    pub gauges: Option<ClientGauges>,
}

/// Limits of each viewer's address.
#[derive(Debug)]
pub struct PerAddress {
    /// What each may use.
    pub each: Each,
    /// Leading bits that make an IPv4 address one viewer.
    pub ipv4_prefix: u8,
    /// Leading bits that make an IPv6 address one viewer.
    pub ipv6_prefix: u8,
}

/// Limits of each caller.
#[derive(Debug)]
pub struct PerCaller {
    /// What each may use.
    pub each: Each,
    /// Who a caller is.
    pub by: CallerName,
}

/// What names a caller.
#[derive(Debug)]
pub enum CallerName {
    /// A request header.
    Header(HeaderName),
    /// The authorizer's principal.
    Principal,
    /// A value of the authorizer's context.
    Context(Box<str>),
}

/// Limits of the keys of a plan, besides the plan's throttle. Each key has its own bucket.
#[derive(Debug, Default)]
pub struct PlanLimits {
    /// How many requests of a key may be at work.
    pub gauges: Option<ClientGauges>,
    /// For some of a key's requests; the first that fits counts.
    pub methods: Vec<MethodLimit>,
}

/// A throttle for some requests of each key.
#[derive(Debug)]
pub struct MethodLimit {
    /// Only there.
    pub distribution: Option<usize>,
    /// Only behaviors with this pattern.
    pub path: Option<Box<str>>,
    /// Only this method.
    pub method: Option<Method>,
    /// The buckets.
    pub buckets: Arc<ClientBuckets>,
}

impl Limits {
    /// Whether there is any.
    #[must_use]
    pub fn any(&self) -> bool {
        self.throttle.is_some()
            || !self.methods.is_empty()
            || self.gauge.is_some()
            || self.per_address.is_some()
            || self.per_caller.is_some()
    }

    /// The bucket of a method, else the one for all.
    #[must_use]
    pub fn bucket(&self, method: &Method) -> Option<&Arc<Bucket>> {
        let own = self.methods.iter().find(|(limited, _)| limited == method).map(|(_, bucket)| bucket);
        own.or(self.throttle.as_ref())
    }
}

impl PerAddress {
    /// The bytes that stand for a viewer: the family and the leading bits of its address.
    #[must_use]
    pub fn name(&self, address: IpAddr) -> [u8; 17] {
        let mut name = [0; 17];
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let bits = u32::MAX.checked_shl(32 - u32::from(self.ipv4_prefix.min(32))).unwrap_or(0);
                name[0] = 4;
                name[1..5].copy_from_slice(&(address.to_bits() & bits).to_be_bytes());
            }
            IpAddr::V6(address) => {
                let bits = u128::MAX.checked_shl(128 - u32::from(self.ipv6_prefix.min(128))).unwrap_or(0);
                name[0] = 6;
                name[1..].copy_from_slice(&(address.to_bits() & bits).to_be_bytes());
            }
        }
        name
    }
}

impl PlanLimits {
    /// The buckets for a request of a key.
    #[must_use]
    pub fn buckets(&self, distribution: usize, path: &str, method: &Method) -> Option<&Arc<ClientBuckets>> {
        let fits = |limit: &&MethodLimit| {
            limit.distribution.is_none_or(|only| only == distribution)
                && limit.path.as_deref().is_none_or(|only| only == path)
                && limit.method.as_ref().is_none_or(|only| only == method)
        };
        self.methods.iter().find(fits).map(|limit| &limit.buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_are_told_apart_by_prefix() {
        let per = |ipv4_prefix, ipv6_prefix| PerAddress {
            each: Each { buckets: None, gauges: None },
            ipv4_prefix,
            ipv6_prefix,
        };
        let same = |per: &PerAddress, a: &str, b: &str| {
            per.name(a.parse().expect("an address")) == per.name(b.parse().expect("an address"))
        };
        let usual = per(32, 64);
        assert!(!same(&usual, "192.0.2.1", "192.0.2.2"));
        assert!(same(&usual, "192.0.2.1", "::ffff:192.0.2.1"));
        assert!(same(&usual, "2001:db8::1", "2001:db8::ffff:1:2:3"));
        assert!(!same(&usual, "2001:db8::1", "2001:db8:0:1::1"));
        assert!(!same(&usual, "0.0.0.0", "::"));
        let wide = per(24, 48);
        assert!(same(&wide, "192.0.2.1", "192.0.2.200") && !same(&wide, "192.0.2.1", "192.0.3.1"));
        assert!(same(&wide, "2001:db8::1", "2001:db8:0:ffff::1") && !same(&wide, "2001:db8::1", "2001:db8:1::1"));
        assert!(!same(&per(32, 128), "2001:db8::1", "2001:db8::2"));
    }
}
