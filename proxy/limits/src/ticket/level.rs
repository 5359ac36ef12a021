//! The levels at which a request can be limited, and their order. Must not know any bucket.

use std::fmt;

/// A level, in the order in which API Gateway applies its limits: the key's limit for the method, the key's limit, the
/// limit of a method or stage for all callers, the account
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LevelKind {
    /// One API key on one method, by its usage plan.
    KeyMethod,
    /// One API key, by its usage plan.
    Key,
    /// All viewers of one behavior.
    Behavior,
    /// All viewers of one distribution.
    Distribution,
    /// All viewers of this edge.
    Edge,
}

impl LevelKind {
    /// How many levels there are.
    pub const COUNT: usize = 5;
    /// All levels, in order.
    pub const ALL: [Self; Self::COUNT] = [Self::KeyMethod, Self::Key, Self::Behavior, Self::Distribution, Self::Edge];

    /// The name in logs, metrics and fields.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeyMethod => "key-method",
            Self::Key => "key",
            Self::Behavior => "behavior",
            Self::Distribution => "distribution",
            Self::Edge => "edge",
        }
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
