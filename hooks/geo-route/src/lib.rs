//! Chooses the path or the origin of a request by the viewer's country or continent. See README.md for the settings.
//!
//! The choice is made in `route`, which knows neither the edge nor the request.

use edgeweir_sdk::stage::RequestStage;
use edgeweir_sdk::validate::Problem;
use edgeweir_sdk::{Edits, Request, Result, origin_request, settings, validate, viewer_request};

mod route;

use route::{Route, Settings, prefixed};

/// Before the edge takes a config.
#[validate]
fn check(settings: &Settings) -> Result<(), Problem> {
    settings.check()
}

/// Before the cache: the new path is part of the cache key by itself, the origin is added to it.
#[viewer_request]
fn on_viewer_request(request: &Request) -> Result<viewer_request::Edits> {
    let settings = settings::<Settings>()?;
    let route = choose(&settings, request)?;
    let edits = apply(&route, request);
    Ok(match route.origin {
        Some(origin) => edits.cache_key(format!("geo-route={origin}")),
        None => edits,
    })
}

/// On a miss: the cache key stays as it was.
#[origin_request]
fn on_origin_request(request: &Request) -> Result<origin_request::Edits> {
    let settings = settings::<Settings>()?;
    Ok(apply(&choose(&settings, request)?, request))
}

fn choose<'a>(settings: &'a Settings, request: &Request) -> Result<Route<'a>> {
    settings.check()?;
    let viewer = request.viewer();
    let continent = if settings.asks_continent() { viewer.continent() } else { None };
    Ok(settings.choose(viewer.country().as_deref(), continent.as_deref()))
}

fn apply<S: RequestStage>(route: &Route<'_>, request: &Request) -> Edits<S> {
    let mut edits = Edits::new();
    if let Some(path) = route.path_prefix.and_then(|prefix| prefixed(prefix, &request.path())) {
        edits = edits.path(path);
    }
    if let Some(origin) = route.origin {
        edits = edits.origin(origin);
    }
    edits
}
