//! Which distribution a host belongs to: exact names before wildcards, longer wildcards before shorter, `*` last.

use std::collections::HashMap;

use edgeweir_config::Distribution;
use edgeweir_config::units::HostPattern;

/// An index over the hosts of all distributions. An exact host costs one hash, a wildcard one for each label.
#[derive(Debug, Default)]
pub struct HostIndex {
    exact: HashMap<Box<str>, usize>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, usize>,
    any: Option<usize>,
}

impl HostIndex {
    /// Indexes the distributions in their order.
    #[must_use]
    pub fn new(distributions: &[Distribution]) -> Self {
        let mut index = Self::default();
        for (number, distribution) in distributions.iter().enumerate() {
            for host in &distribution.hosts {
                index.add(host, number);
            }
        }
        index
    }

    fn add(&mut self, host: &HostPattern, number: usize) {
        let text = host.as_str();
        if text == "*" {
            self.any.get_or_insert(number);
        } else if let Some(rest) = text.strip_prefix("*.") {
            self.wildcard.entry(rest.into()).or_insert(number);
        } else {
            self.exact.entry(text.into()).or_insert(number);
        }
    }

    /// The distribution of a host: lower case, without port.
    #[must_use]
    pub fn find(&self, host: &str) -> Option<usize> {
        if let Some(&number) = self.exact.get(host) {
            return Some(number);
        }
        if !self.wildcard.is_empty() {
            let mut rest = host;
            while let Some((_label, parent)) = rest.split_once('.') {
                if let Some(&number) = self.wildcard.get(parent) {
                    return Some(number);
                }
                rest = parent;
            }
        }
        self.any
    }
}
