//! One record of a database, in any of the layouts met in practice; borrowed from the database, nothing is copied.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Code;

/// What is read of a record. Unknown keys are skipped.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Record<'a> {
    #[serde(borrow)]
    country: Place<'a>,
    #[serde(borrow)]
    continent: Place<'a>,
    #[serde(borrow)]
    pub(super) city: Place<'a>,
    #[serde(borrow)]
    subdivisions: First<'a>,
    #[serde(borrow)]
    pub(super) location: Location<'a>,
    #[serde(borrow)]
    pub(super) postal: Postal<'a>,
    pub(super) autonomous_system_number: Option<u32>,
    // Flat layouts.
    country_code: Option<&'a str>,
    country_name: Option<&'a str>,
    continent_code: Option<&'a str>,
    state1: Option<&'a str>,
    pub(super) postcode: Option<&'a str>,
    pub(super) timezone: Option<&'a str>,
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl<'a> Record<'a> {
    pub(super) fn country_code(&self) -> Option<Code> {
        // A country code has two letters; a flat `country` may also hold the name.
        let two = |text: &&str| text.len() == 2;
        self.country.code.or(self.country_code).or(self.country.name).filter(two).and_then(Code::new)
    }

    pub(super) fn country_name(&self) -> Option<&'a str> {
        self.country.name.or(self.country_name).filter(|name| name.len() > 2)
    }

    pub(super) fn continent_code(&self) -> Option<Code> {
        self.continent.code.or(self.continent_code).or(self.continent.name).and_then(Code::new)
    }

    pub(super) fn region_code(&self) -> Option<Code> {
        self.subdivisions.0.code.and_then(Code::new)
    }

    pub(super) fn region_name(&self) -> Option<&'a str> {
        self.subdivisions.0.name.or(self.state1)
    }

    pub(super) fn position(&self) -> Option<(f64, f64)> {
        let nested = self.location.latitude.zip(self.location.longitude);
        nested.or_else(|| self.latitude.zip(self.longitude))
    }
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Location<'a> {
    latitude: Option<f64>,
    longitude: Option<f64>,
    pub(super) metro_code: Option<u32>,
    pub(super) time_zone: Option<&'a str>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Postal<'a> {
    pub(super) code: Option<&'a str>,
}

/// A place: `{ iso_code | code, names: { en } }`, or plain text in flat layouts (kept as its name).
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Place<'a> {
    code: Option<&'a str>,
    pub(super) name: Option<&'a str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Place<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlaceVisitor;
        impl<'de> Visitor<'de> for PlaceVisitor {
            type Value = Place<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a place")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Place { code: None, name: Some(text) })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut place = Place::default();
                while let Some(key) = map.next_key::<&str>()? {
                    match key {
                        "iso_code" | "code" => place.code = Some(map.next_value()?),
                        "names" => place.name = map.next_value::<Names<'_>>()?.en,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(place)
            }
        }
        deserializer.deserialize_any(PlaceVisitor)
    }
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Names<'a> {
    en: Option<&'a str>,
}

/// The first place of a list: the largest subdivision (MaxMind lists them from large to small).
#[derive(Debug, Default)]
struct First<'a>(Place<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for First<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FirstVisitor;
        impl<'de> Visitor<'de> for FirstVisitor {
            type Value = First<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of places")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let first = list.next_element()?.unwrap_or_default();
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first))
            }
        }
        deserializer.deserialize_seq(FirstVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The same visitors run over JSON text, which can borrow like a database does.
    fn record(json: &str) -> Record<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn maxmind_city() {
        let record = record(
            r#"{"city":{"geoname_id":1,"names":{"de":"Zürich","en":"Zurich"}},"continent":{"code":"EU","names":{"en":"Europe"}},
            "country":{"iso_code":"CH","names":{"en":"Switzerland"}},"location":{"accuracy_radius":20,"latitude":47.3,
            "longitude":8.5,"metro_code":501,"time_zone":"Europe/Zurich"},"postal":{"code":"8000"},
            "subdivisions":[{"iso_code":"ZH","names":{"en":"Zurich"}},{"iso_code":"112","names":{"en":"Small"}}]}"#,
        );
        assert_eq!(record.country_code(), Code::new("CH"));
        assert_eq!(record.country_name(), Some("Switzerland"));
        assert_eq!(record.continent_code(), Code::new("EU"));
        assert_eq!(record.region_code(), Code::new("ZH"));
        assert_eq!(record.region_name(), Some("Zurich"));
        assert_eq!(record.city.name, Some("Zurich"));
        assert_eq!(record.position(), Some((47.3, 8.5)));
        assert_eq!(record.location.metro_code, Some(501));
        assert_eq!(record.location.time_zone, Some("Europe/Zurich"));
        assert_eq!(record.postal.code, Some("8000"));
    }

    #[test]
    fn flat_records() {
        let flat = record(
            r#"{"city":"Bern","country_code":"ch","state1":"Bern","latitude":46.9,"longitude":7.4,"postcode":"3000",
            "timezone":"Europe/Zurich"}"#,
        );
        assert_eq!(flat.country_code(), Code::new("CH"));
        assert_eq!(flat.region_name(), Some("Bern"));
        assert_eq!(flat.city.name, Some("Bern"));
        assert_eq!(flat.position(), Some((46.9, 7.4)));
        let text = record(r#"{"country":"CH","country_name":"Switzerland","continent":"EU"}"#);
        assert_eq!(text.country_code(), Code::new("CH"));
        assert_eq!(text.continent_code(), Code::new("EU"));
        let name = record(r#"{"country":"Switzerland","country_code":"CH"}"#);
        assert_eq!(name.country_code(), Code::new("CH"));
        assert_eq!(name.country_name(), Some("Switzerland"));
    }

    #[test]
    fn asn_and_empty_records() {
        let asn = record(r#"{"autonomous_system_number":3303,"autonomous_system_organization":"Example"}"#);
        assert_eq!(asn.autonomous_system_number, Some(3303));
        assert_eq!(asn.country_code(), None);
        let empty = record(r#"{"subdivisions":[]}"#);
        assert_eq!(empty.region_code(), None);
        assert_eq!(empty.position(), None);
    }
}
