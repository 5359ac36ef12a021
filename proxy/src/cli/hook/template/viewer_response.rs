//! Adds headers that protect pages in the browser, and takes away what tells about the server.
//!
//! The edge calls `handle` before a response goes to the viewer, hit or miss. What it decides is in `protection`: plain
//! values in and out, so that `cargo test` can test it. `edgeweir hook test` runs all of it, with the cases in `cases/`.

use edgeweir_sdk::{Request, Response, Result, viewer_response};

#[viewer_response]
fn handle(_: &Request, response: &Response) -> Result<viewer_response::Edits> {
    let kind = response.header("content-type");
    let mut edits = viewer_response::Edits::new().remove_header("x-powered-by")?;
    for (name, value) in protection(kind.as_ref().map_or(b"", |kind| kind.as_bytes())) {
        edits = edits.set_header(*name, *value)?;
    }
    Ok(edits)
}

/// Pages get all of them, everything else only what matters for files.
fn protection(content_type: &[u8]) -> &'static [(&'static str, &'static str)] {
    let all = &[
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
    ];
    if content_type.starts_with(b"text/html") {
        all
    } else {
        &all[..1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_get_more_than_files() {
        assert_eq!(protection(b"text/html; charset=utf-8").len(), 3);
        assert_eq!(protection(b"image/png").len(), 1);
    }
}
