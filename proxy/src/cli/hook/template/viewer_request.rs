//! Sends viewers of a page that has moved to its new place.
//!
//! The edge calls `handle` on every request, before the cache. What it decides is in `new_place`: plain values in and out,
//! so that `cargo test` can test it. `edgeweir hook test` runs all of it, with the cases in `cases/`.

use std::collections::BTreeMap;

use edgeweir_sdk::serde::Deserialize;
use edgeweir_sdk::{Request, Result, http, settings, viewer_request};

/// The settings of the binding in edgeweir.toml: `settings = { moved = { "/old" = "/new" } }`.
#[derive(Default, Deserialize)]
#[serde(crate = "edgeweir_sdk::serde", deny_unknown_fields, default)]
struct Settings {
    /// Old path to new path.
    moved: BTreeMap<String, String>,
}

#[viewer_request]
fn handle(request: &Request) -> Result<viewer_request::Verdict> {
    let settings = settings::<Settings>()?;
    let Some(target) = new_place(&settings, &request.path(), request.query().as_deref()) else {
        // Not ours: go on, and let the origin know that the hook was here.
        return Ok(viewer_request::Edits::new()
            .set_header("x-hook", "no redirect")?
            .into());
    };
    let response = http::Response::builder()
        .status(308)
        .header("location", target)
        .body("")?;
    Ok(viewer_request::Verdict::respond(response))
}

/// Where the viewer should go instead; the query string is kept.
fn new_place(settings: &Settings, path: &str, query: Option<&str>) -> Option<String> {
    let new = settings.moved.get(path)?;
    Some(match query {
        Some(query) => format!("{new}?{query}"),
        None => new.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_kept() {
        let settings = Settings {
            moved: BTreeMap::from([("/old".to_owned(), "/new".to_owned())]),
        };
        assert_eq!(
            new_place(&settings, "/old", Some("a=1")).as_deref(),
            Some("/new?a=1")
        );
        assert_eq!(new_place(&settings, "/other", None), None);
    }
}
