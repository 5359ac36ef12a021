//! A hook with 8 MiB of data that does what `header-edit` does, and reads one byte of its data for each call.

use std::hint::black_box;

use edgeweir_sdk::{Request, Result, viewer_request};

/// Not zero, so that it is in the file.
static DATA: [u8; 8 << 20] = [0xa5; 8 << 20];

#[viewer_request]
fn handle(request: &Request) -> Result<viewer_request::Verdict> {
    let names = ["accept", "user-agent", "accept-language"];
    let size: usize = names.iter().flat_map(|name| request.header_values(name)).map(|value| value.len()).sum();
    let country = request.viewer().country().unwrap_or_default();
    let byte = black_box(&DATA)[size * 4096 % DATA.len()];
    let size = size + usize::from(byte) - 0xa5;
    Ok(viewer_request::Edits::new().set_header("x-size", size.to_string())?.set_header("x-country", country)?.into())
}
