//! An authorizer that does what the token says, and a viewer-request hook that shows what it finds of the caller.
//!
//! A token is a list of words: `allow NAME`, `deny WHY`, `unauthorized`, `challenge TEXT`, `error`, `trap`, `spin`, `long`; after an
//! `allow` also `tenant NAME`, `key KEY`, `age SECONDS`. Words are separated by commas, as in `Bearer allow alice,tenant acme`.

use std::time::Duration;

use edgeweir_sdk::serde::Deserialize;
use edgeweir_sdk::{Error, Request, Result, authorizer, metrics, secrets, settings, viewer_request};

#[derive(Deserialize)]
#[serde(crate = "edgeweir_sdk::serde", deny_unknown_fields)]
struct Settings {
    /// What is read besides the token: `path`, `secret` (that named `tenant`) or the name of a header.
    #[serde(default)]
    reads: Option<String>,
    /// Where the token is: `cookie` or `query`, with the name `token`.
    #[serde(default)]
    from: Option<String>,
}

#[authorizer]
fn authorize(request: &Request) -> Result<authorizer::Verdict> {
    metrics::count("calls");
    let settings: Settings = settings()?;
    match settings.reads.as_deref() {
        Some("path") => drop(request.path()),
        Some("secret") => drop(secrets::get("tenant")),
        Some(name) => drop(request.header(name)),
        None => {}
    }
    let token = match settings.from.as_deref() {
        Some("cookie") => request.cookie("token").unwrap_or_default(),
        Some("query") => request.query_param("token").unwrap_or_default(),
        _ => {
            let line = request.header("authorization").map(|line| line.to_str().unwrap_or_default().to_owned());
            line.unwrap_or_default().trim_start_matches("Bearer ").to_owned()
        }
    };
    let mut words = token.split(',').map(|word| word.split_once(' ').unwrap_or((word, "")));
    let mut verdict = match words.next().unwrap_or_default() {
        ("allow", "") => authorizer::Verdict::allow_unnamed(),
        ("allow", name) => authorizer::Verdict::allow(name),
        ("deny", why) => authorizer::Verdict::deny().context("why", why),
        ("unauthorized", _) => authorizer::Verdict::unauthorized(),
        ("challenge", text) => authorizer::Verdict::unauthorized_with(text),
        ("long", _) => authorizer::Verdict::allow("x".repeat(300)),
        ("spin", _) => loop {
            std::hint::black_box(0);
        },
        ("trap", _) => panic!("as the token says"),
        (other, _) => return Err(Error::new(format!("no such word: {other}"))),
    };
    for (word, value) in words {
        verdict = match word {
            "key" => verdict.api_key(value),
            "age" => verdict.max_age(Duration::from_secs(value.parse()?)),
            name => verdict.context(name, value),
        };
    }
    Ok(verdict)
}

#[viewer_request]
fn show(request: &Request) -> Result<viewer_request::Edits> {
    let context = request.context();
    let seen = format!("{:?} {:?}", context.principal(), context.authorizer("tenant"));
    viewer_request::Edits::new().set_header("x-seen", seen)
}
