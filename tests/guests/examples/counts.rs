//! Counts as the query says: `name` and `by`; `many` counts names of that number; `trap` fails after it.

use edgeweir_sdk::{Request, Result, metrics, viewer_request};

#[viewer_request]
fn handle(request: &Request) -> Result<viewer_request::Verdict> {
    let number = |name: &str| request.query_param(name).and_then(|text| text.parse::<u64>().ok());
    if let Some(name) = request.query_param("name") {
        metrics::add(&name, number("by").unwrap_or(1));
    }
    for nth in 0..number("many").unwrap_or(0) {
        metrics::count(&format!("name_{nth}"));
    }
    assert!(number("trap").is_none(), "as the query says");
    Ok(viewer_request::Verdict::next())
}
