//! Lets images stay in the cache for a day where the origin does not say how long.
//!
//! The edge calls `handle` after the origin answered and before the response is stored. What it decides is in `is_image`:
//! plain values in and out, so that `cargo test` can test it. `edgeweir hook test` runs all of it, with the cases in
//! `cases/`.

use edgeweir_sdk::{Request, Response, Result, origin_response};

/// A day, in seconds.
const DAY: u32 = 24 * 60 * 60;

#[origin_response]
fn handle(_: &Request, response: &Response) -> Result<origin_response::Edits> {
    let edits = origin_response::Edits::new();
    let kind = response.header("content-type");
    if response.header("cache-control").is_none()
        && kind.is_some_and(|kind| is_image(kind.as_bytes()))
    {
        return edits
            .ttl(DAY)
            .set_header("cache-control", "public, max-age=86400");
    }
    Ok(edits)
}

fn is_image(content_type: &[u8]) -> bool {
    content_type.to_ascii_lowercase().starts_with(b"image/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_by_their_type() {
        assert!(is_image(b"Image/PNG"));
        assert!(!is_image(b"text/html"));
    }
}
