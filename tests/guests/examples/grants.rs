//! Reads a key-value store or a secret, as the query says, and answers with what came out.

use edgeweir_sdk::{Error, Request, Result, http, kv, secrets, viewer_request};

#[viewer_request]
fn handle(request: &Request) -> Result<viewer_request::Verdict> {
    let word = |name: &str| request.query_param(name).unwrap_or_default();
    let out = match word("do").as_str() {
        "get" => format!("{:?}", kv::store(&word("store")).text(&word("key"))),
        "length" => format!("{:?}", kv::store(&word("store")).get(&word("key"))?.map(|value| value.len())),
        "exists" => format!("{:?}", kv::store(&word("store")).exists(&word("key"))),
        "secret" => {
            secrets::get(&word("name")).and_then(|secret| secret.as_text().map(str::to_owned)).unwrap_or_default()
        }
        "debug" => format!("{:?}", secrets::get(&word("name"))),
        "require" => secrets::require(&word("name"))?.as_text().unwrap_or_default().to_owned(),
        other => return Err(Error::new(format!("unknown: {other}"))),
    };
    Ok(viewer_request::Verdict::respond(http::Response::builder().status(200).body(out)?))
}
