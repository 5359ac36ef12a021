//! Sends the request that the query describes and answers with what came of it.

use edgeweir_sdk::{Request, Result, fetch, http, viewer_request};

#[viewer_request]
fn handle(request: &Request) -> Result<viewer_request::Verdict> {
    let word = |name: &str| request.query_param(name).unwrap_or_default();
    let method = request.query_param("method").unwrap_or_else(|| "GET".to_owned());
    let target = request.query_param("target").unwrap_or_else(|| "/asked".to_owned());
    let mut asked = http::Request::builder().method(method.as_str()).uri(target);
    if let Some((name, value)) = word("header").split_once(':') {
        asked = asked.header(name, value);
    }
    // So much work first that the edge takes the call off its workers.
    let work: u64 = word("work").parse().unwrap_or(0);
    let sum = (0..work).fold(0_u64, |sum, number| std::hint::black_box(sum.wrapping_mul(31).wrapping_add(number)));
    asked = asked.header("x-work", sum.to_string());
    let body = vec![b'x'; word("bytes").parse().unwrap_or(0)];
    let out = match fetch::send(&word("origin"), asked.body(body)?) {
        Ok(answer) => {
            let names: Vec<&str> = answer.headers().keys().map(|name| name.as_str()).collect();
            let text = String::from_utf8_lossy(answer.body());
            format!(
                "{} {} {} {}",
                answer.status(),
                answer.body().len(),
                names.join(","),
                text.get(..200).unwrap_or(&text)
            )
        }
        Err(error) => format!("error: {}", error.message()),
    };
    Ok(viewer_request::Verdict::respond(http::Response::builder().status(200).body(out)?))
}
