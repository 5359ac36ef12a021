//! Who is let in by where the viewer is (CloudFront: "Restrict the geographic distribution of your content").

use std::net::IpAddr;

use edgeweir_config::{self as model, UnknownViewer};
use ipnet::IpNet;

use crate::geo::{Code, GeoFacts};

/// A geo restriction, ready.
#[derive(Debug)]
pub struct GeoRules {
    allow: Option<Places>,
    deny: Option<Places>,
    unknown: UnknownViewer,
}

/// Viewers by where they are.
#[derive(Debug)]
struct Places {
    countries: Vec<Code>,
    continents: Vec<Code>,
    /// Sorted.
    asns: Vec<u32>,
    cidrs: Vec<IpNet>,
}

impl GeoRules {
    /// Of the configuration.
    #[must_use]
    pub fn new(written: &model::GeoRestriction) -> Self {
        let places = |list: &Option<model::GeoList>| list.as_ref().map(Places::new);
        Self { allow: places(&written.allow), deny: places(&written.deny), unknown: written.unknown }
    }

    /// Whether the geo databases are asked at all.
    #[must_use]
    pub fn needs_facts(&self) -> bool {
        [&self.allow, &self.deny].into_iter().flatten().any(Places::needs_facts)
    }

    /// Whether a viewer is let in. `facts` are none where nothing is known.
    #[must_use]
    pub fn permits(&self, address: IpAddr, facts: Option<&GeoFacts>) -> bool {
        if self.deny.as_ref().is_some_and(|places| places.have(address, facts)) {
            return false;
        }
        if self.allow.as_ref().is_some_and(|places| places.have(address, facts)) {
            return true;
        }
        let unknown = self.needs_facts() && facts.is_none_or(|facts| facts.country.is_none());
        if unknown { self.unknown == UnknownViewer::Allow } else { self.allow.is_none() }
    }
}

impl Places {
    fn new(list: &model::GeoList) -> Self {
        let mut asns = list.asns.clone();
        asns.sort_unstable();
        Self {
            countries: list.countries.iter().filter_map(|code| Code::new(code)).collect(),
            continents: list.continents.iter().filter_map(|continent| Code::new(continent.as_str())).collect(),
            asns,
            cidrs: list.cidrs.clone(),
        }
    }

    fn needs_facts(&self) -> bool {
        !(self.countries.is_empty() && self.continents.is_empty() && self.asns.is_empty())
    }

    fn have(&self, address: IpAddr, facts: Option<&GeoFacts>) -> bool {
        self.cidrs.iter().any(|net| net.contains(&address))
            || facts.is_some_and(|facts| {
                facts.country.is_some_and(|country| self.countries.contains(&country))
                    || facts.continent.is_some_and(|continent| self.continents.contains(&continent))
                    || facts.asn.is_some_and(|asn| self.asns.binary_search(&asn).is_ok())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(toml: &str) -> GeoRules {
        let text = format!(
            "geo.databases = [\"x\"]\n[origins.o]\nurl = \"http://a\"\n[distributions.d]\nhosts = [\"*\"]\norigin = \"o\"\n\
             geo_restriction = {toml}"
        );
        let config = edgeweir_config::parse(&text, "".as_ref()).unwrap().config;
        GeoRules::new(config.distributions[0].behaviors[0].geo_restriction.as_ref().unwrap())
    }

    #[test]
    fn lists_and_what_is_in_neither() {
        let facts = |country: &str, continent: &str, asn: u32| GeoFacts {
            country: Code::new(country),
            continent: Code::new(continent),
            asn: Some(asn).filter(|asn| *asn > 0),
            ..GeoFacts::default()
        };
        let (swiss, french, nowhere) = (facts("CH", "EU", 1), facts("FR", "EU", 2), facts("", "", 0));
        let inside = "10.1.2.3".parse().unwrap();
        let outside = "192.0.2.1".parse().unwrap();
        for (toml, wanted) in [
            // Swiss, French, unknown, unknown in 10.0.0.0/8.
            ("{ allow = { countries = [\"CH\"] } }", [true, false, false, false]),
            ("{ allow = { countries = [\"CH\"] }, unknown = \"allow\" }", [true, false, true, true]),
            ("{ allow = { countries = [\"CH\"], cidrs = [\"10.0.0.0/8\"] } }", [true, false, false, true]),
            ("{ allow = { continents = [\"EU\"] }, deny = { asns = [9, 2] } }", [true, false, false, false]),
            ("{ deny = { countries = [\"FR\", \"IT\"] } }", [true, false, true, true]),
            ("{ deny = { countries = [\"FR\"] }, unknown = \"deny\" }", [true, false, false, false]),
            ("{ deny = { cidrs = [\"10.0.0.0/8\"] } }", [true, true, true, false]),
            ("{ allow = { cidrs = [\"10.0.0.0/8\"] } }", [false, false, false, true]),
        ] {
            let rules = rules(toml);
            let found = [(outside, &swiss), (outside, &french), (outside, &nowhere), (inside, &nowhere)]
                .map(|(address, facts)| rules.permits(address, Some(facts)));
            assert_eq!(found, wanted, "{toml}");
        }
    }
}
