//! Values of a case file: sizes, times, names of stages and versions.

use std::time::Duration;

use anyhow::anyhow;
use edgeweir_config::units::{parse_duration, parse_size};
use edgeweir_hookhost::Stage;
use http::Version;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::Value;
use toml::value::{Datetime, Offset};

/// One text, or a list of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::hook) struct OneOrMore(Vec<String>);

impl OneOrMore {
    /// The texts, in order.
    pub(in crate::cli::hook) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = OneOrMore;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMore, E> {
                Ok(OneOrMore(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<OneOrMore, A::Error> {
                let mut all = Vec::new();
                while let Some(text) = texts.next_element()? {
                    all.push(text);
                }
                Ok(OneOrMore(all))
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

/// One of a few words. A type of its own, because serde would borrow a `&str` from the text.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli::hook) struct Word(pub(in crate::cli::hook) &'static str);

/// The stage of this name.
pub(in crate::cli::hook) fn stage_of(name: &str) -> Option<Stage> {
    Stage::EXPORTS.into_iter().find(|stage| stage.as_str() == name)
}

pub(super) fn stage<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Stage, D::Error> {
    let name = String::deserialize(deserializer)?;
    let names = Stage::EXPORTS.map(|stage| format!("`{stage}`")).join(", ");
    stage_of(&name).ok_or_else(|| Error::custom(format!("`{name}` is no stage: stages are {names}")))
}

pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let helped = |error: edgeweir_config::units::SizeError| match error.help() {
        Some(help) => Error::custom(format!("{error}: {help}")),
        None => Error::custom(error),
    };
    parse_size(&text).map(Some).map_err(helped)
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let helped = |error: edgeweir_config::units::DurationError| match error.help() {
        Some(help) => Error::custom(format!("{error}: {help}")),
        None => Error::custom(error),
    };
    parse_duration(&text).map(Some).map_err(helped)
}

pub(super) fn outcome<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Word>, D::Error> {
    const OUTCOMES: [&str; 7] = ["hit", "stale", "miss", "expired", "revalidated", "bypass", "collapsed"];
    let name = String::deserialize(deserializer)?;
    one_of(&name, &OUTCOMES, "cache outcome").map(Word).map(Some)
}

pub(super) fn tls_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Word>, D::Error> {
    let name = String::deserialize(deserializer)?;
    one_of(&name, &["TLSv1.2", "TLSv1.3"], "TLS version").map(Word).map(Some)
}

pub(super) fn http_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Version>, D::Error> {
    let name = String::deserialize(deserializer)?;
    Ok(Some(match one_of(&name, &["1.0", "1.1", "2.0"], "HTTP version")? {
        "1.0" => Version::HTTP_10,
        "1.1" => Version::HTTP_11,
        _ => Version::HTTP_2,
    }))
}

fn one_of<E: Error>(name: &str, known: &[&'static str], what: &str) -> Result<&'static str, E> {
    let found = known.iter().copied().find(|known| *known == name);
    found.ok_or_else(|| Error::custom(format!("`{name}` is no {what}: it is one of {}", known.join(", "))))
}

/// A moment with an offset, in milliseconds of Unix time.
pub(super) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let moment = Datetime::deserialize(deserializer)?;
    match unix_ms(&moment) {
        Some(ms) => Ok(Some(ms)),
        None => Err(Error::custom(format!(
            "`{moment}` is no moment from 1970 on: write date, time and offset, as in `2026-01-01T00:00:00Z`"
        ))),
    }
}

fn unix_ms(moment: &Datetime) -> Option<u64> {
    let (date, time, offset) = (moment.date?, moment.time?, moment.offset?);
    // Days from civil (Howard Hinnant), with years that begin in March.
    let (year, month, day) = (i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    let minutes = match offset {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let (second, nanosecond) = (time.second.unwrap_or(0), time.nanosecond.unwrap_or(0));
    let seconds =
        days * 86_400 + i64::from(time.hour) * 3600 + (i64::from(time.minute) - minutes) * 60 + i64::from(second);
    u64::try_from(seconds * 1000 + i64::from(nanosecond / 1_000_000)).ok()
}

/// Settings as the edge hands them to a hook: JSON, dates as text.
pub(super) fn json(table: &toml::Table) -> anyhow::Result<Value> {
    let entries: anyhow::Result<_> = table.iter().map(|(name, value)| Ok((name.clone(), json_value(value)?))).collect();
    Ok(Value::Object(entries?))
}

fn json_value(value: &toml::Value) -> anyhow::Result<Value> {
    Ok(match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => serde_json::Number::from_f64(*number)
            .map(Value::Number)
            .ok_or_else(|| anyhow!("`{number}` in the settings is no finite number"))?,
        toml::Value::Boolean(value) => Value::from(*value),
        toml::Value::Datetime(date) => Value::from(date.to_string()),
        toml::Value::Array(items) => Value::Array(items.iter().map(json_value).collect::<anyhow::Result<_>>()?),
        toml::Value::Table(table) => json(table)?,
    })
}
