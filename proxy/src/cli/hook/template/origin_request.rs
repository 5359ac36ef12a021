//! Tells the origin where the viewer is from, and keeps a header of the viewer's from it.
//!
//! The edge calls `handle` before it asks the origin: on a miss, or where nothing is cached. What it decides is in
//! `country_or`: plain values in and out, so that `cargo test` can test it. `edgeweir hook test` runs all of it, with the
//! cases in `cases/`.

use edgeweir_sdk::serde::Deserialize;
use edgeweir_sdk::{Request, Result, origin_request, settings};

/// The settings of the binding in edgeweir.toml: `settings = { unknown = "ZZ" }`.
#[derive(Default, Deserialize)]
#[serde(crate = "edgeweir_sdk::serde", deny_unknown_fields, default)]
struct Settings {
    /// What the origin gets where the country is not known.
    unknown: Option<String>,
}

#[origin_request]
fn handle(request: &Request) -> Result<origin_request::Edits> {
    let settings = settings::<Settings>()?;
    let country = country_or(request.viewer().country(), &settings);
    origin_request::Edits::new()
        .set_header("x-country", country)?
        .remove_header("x-debug")
}

fn country_or(country: Option<String>, settings: &Settings) -> String {
    country
        .or_else(|| settings.unknown.clone())
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_say_what_is_unknown() {
        assert_eq!(
            country_or(Some("CH".to_owned()), &Settings::default()),
            "CH"
        );
        assert_eq!(country_or(None, &Settings::default()), "unknown");
        assert_eq!(
            country_or(
                None,
                &Settings {
                    unknown: Some("ZZ".to_owned())
                }
            ),
            "ZZ"
        );
    }
}
