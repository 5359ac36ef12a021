//! The levels at which a request can be limited, and their order. Must not know any bucket.

use std::fmt;

/// A level, in the order in which API Gateway applies its limits: the key's limit for the method, the key's limit, the
/// limit of a method or stage for all callers, the account
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html>). After them those that
/// it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LevelKind {
    /// One API key on one method, by its usage plan.
    KeyMethod,
    /// One API key, by its usage plan.
    Key,
    /// All viewers of one behavior, or of one method there.
    Behavior,
    /// All viewers of one distribution.
    Distribution,
    /// All viewers of this edge.
    Edge,
    /// One address on one behavior.
    BehaviorAddress,
    /// One address on one distribution.
    DistributionAddress,
    /// One address on this edge.
    EdgeAddress,
    /// One caller, by a header or by what an authorizer says, on one behavior.
    BehaviorCaller,
    /// One caller on one distribution.
    DistributionCaller,
}

impl LevelKind {
    /// How many levels there are.
    pub const COUNT: usize = 10;
    /// All levels, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::KeyMethod,
        Self::Key,
        Self::Behavior,
        Self::Distribution,
        Self::Edge,
        Self::BehaviorAddress,
        Self::DistributionAddress,
        Self::EdgeAddress,
        Self::BehaviorCaller,
        Self::DistributionCaller,
    ];

    /// The name in logs, metrics and fields.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeyMethod => "key-method",
            Self::Key => "key",
            Self::Behavior => "behavior",
            Self::Distribution => "distribution",
            Self::Edge => "edge",
            Self::BehaviorAddress => "behavior-address",
            Self::DistributionAddress => "distribution-address",
            Self::EdgeAddress => "edge-address",
            Self::BehaviorCaller => "behavior-caller",
            Self::DistributionCaller => "distribution-caller",
        }
    }

    /// The name of its limit of requests at once.
    #[must_use]
    pub const fn at_once(self) -> &'static str {
        match self {
            Self::KeyMethod => "key-method-concurrency",
            Self::Key => "key-concurrency",
            Self::Behavior => "behavior-concurrency",
            Self::Distribution => "distribution-concurrency",
            Self::Edge => "edge-concurrency",
            Self::BehaviorAddress => "behavior-address-concurrency",
            Self::DistributionAddress => "distribution-address-concurrency",
            Self::EdgeAddress => "edge-address-concurrency",
            Self::BehaviorCaller => "behavior-caller-concurrency",
            Self::DistributionCaller => "distribution-caller-concurrency",
        }
    }

    /// Whether its bucket is one viewer's own, who may be told how it stands: the others tell what others do.
    #[must_use]
    pub const fn is_personal(self) -> bool {
        !matches!(self, Self::Behavior | Self::Distribution | Self::Edge)
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for LevelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_in_order_and_indexed() {
        for (at, level) in LevelKind::ALL.into_iter().enumerate() {
            assert_eq!(level.index(), at);
        }
        assert!(LevelKind::ALL.is_sorted());
        assert_eq!(LevelKind::KeyMethod.to_string(), "key-method");
    }
}
