//! Conditions of a behavior beside its path, ready to be compared.

use edgeweir_config as model;
use edgeweir_config::units::TextPattern;
use http::{HeaderName, Method};

use crate::geo::Code;

/// All must hold; of several values of one, any.
#[derive(Debug)]
pub struct Conditions {
    /// Header fields.
    pub headers: Vec<(HeaderName, Vec<TextPattern>)>,
    /// Cookies.
    pub cookies: Vec<(Box<str>, Vec<TextPattern>)>,
    /// Parameters of the query, decoded.
    pub query: Vec<(Box<str>, Vec<TextPattern>)>,
    /// Any if empty.
    pub methods: Vec<Method>,
    /// Any if empty.
    pub countries: Vec<Code>,
    /// What is in the cache key: requests for one URL that differ in what conditions look at may be another behavior's. The
    /// same for the same conditions, also after a reload.
    pub label: Box<str>,
}

impl Conditions {
    /// Of the configuration; none where there are no conditions.
    #[must_use]
    pub fn new(written: &model::Conditions) -> Option<Box<Self>> {
        if written.is_empty() {
            return None;
        }
        let named = |list: &[(String, Vec<TextPattern>)]| -> Vec<(Box<str>, Vec<TextPattern>)> {
            list.iter().map(|(name, patterns)| (name.as_str().into(), patterns.clone())).collect()
        };
        Some(Box::new(Self {
            // `config` lets only names of fields through.
            headers: written
                .headers
                .iter()
                .filter_map(|(name, patterns)| Some((HeaderName::from_bytes(name.as_bytes()).ok()?, patterns.clone())))
                .collect(),
            cookies: named(&written.cookies),
            query: named(&written.query),
            methods: written.methods.iter().filter_map(|method| method.parse().ok()).collect(),
            countries: written.countries.iter().filter_map(|country| Code::new(country)).collect(),
            label: written.to_string().into(),
        }))
    }
}
