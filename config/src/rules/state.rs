//! Where keys, quotas and usage are kept.

use crate::model::SecretSource;
use crate::report::{Problem, Report};
use crate::schema::{Backend, File};

/// How the URL of a server begins.
const SCHEME: &str = "redis://";

pub(super) fn check(file: &File, out: &mut Report) {
    let Some(state) = file.state.given() else { return };
    let written = state.get_ref();
    let redis = written.backend.value() == Some(&Backend::Redis);
    let named = [
        ("url", written.url.given().map(toml::Spanned::span)),
        ("prefix", written.prefix.given().map(toml::Spanned::span)),
    ];
    if redis && written.url.is_absent() {
        out.push(
            Problem::error("missing-key", state.span(), "the backend `redis` needs a `url`").help(
                "write `url = \"redis://127.0.0.1:6379\"`, or `{ file = … }` or `{ env = … }` if it has a password",
            ),
        );
    }
    if !redis && !matches!(written.backend, crate::decode::Field::Broken) {
        for (name, span) in named.into_iter().filter_map(|(name, span)| Some((name, span?))) {
            out.push(
                Problem::error("no-effect", span, format!("`{name}` is for the backend `redis`"))
                    .help("add `backend = \"redis\"`"),
            );
        }
    }
    if let Some(url) = written.url.given()
        && let SecretSource::Inline(text) = &url.get_ref().0
        && !text.starts_with(SCHEME)
    {
        out.push(
            Problem::error(
                "bad-value",
                url.span(),
                format!("the URL of a Redis or Valkey server begins with `{SCHEME}`"),
            )
            .help("as in `redis://127.0.0.1:6379/0`; connections with TLS are not made"),
        );
    }
}
