//! Checks its settings, and misbehaves in the check as they say.

use edgeweir_sdk::serde::Deserialize;
use edgeweir_sdk::validate::Problem;
use edgeweir_sdk::{Request, Result, log, validate, viewer_request};

#[derive(Deserialize)]
#[serde(crate = "edgeweir_sdk::serde", deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    mode: String,
    #[serde(default)]
    limits: Vec<u8>,
    #[serde(default)]
    secret: String,
}

#[validate]
fn check(settings: &Settings) -> Result<(), Vec<Problem>> {
    match settings.mode.as_str() {
        "spin" => loop {
            std::hint::black_box(());
        },
        "trap" => panic!("as the settings say"),
        "hoard" => drop(std::hint::black_box(vec![1_u8; 64 << 20])),
        "request" => drop(request_in_a_check()),
        "stage" => return Err(vec![Problem::new(validate::stage())]),
        "none" => return Err(Vec::new()),
        "tell" => return Err(vec![Problem::new(format!("the secret is {}\u{1b}[0m", settings.secret)).at("/secret")]),
        _ => log::info!("settings looked at"),
    }
    let zero = settings.limits.iter().enumerate().filter(|(_, limit)| **limit == 0);
    let problems: Vec<_> = zero.map(|(nth, _)| Problem::new("must not be 0").at(format!("/limits/{nth}"))).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Reads the request although there is none.
fn request_in_a_check() -> String {
    edgeweir_sdk::bindings::imports::edgeweir::hook::request::path()
}

#[viewer_request]
fn handle(_: &Request) -> Result<viewer_request::Verdict> {
    Ok(viewer_request::Verdict::next())
}
