//! `header-edit` with 8 MiB of data that the edge holds: reads four parts of it for each call, at other places each time.

use edgeweir_sdk::{Request, Result, clock, viewer_request};

edgeweir_sdk::data! {
    static DATA = &[0xa5; 8 << 20];
}

const PART: usize = 64;

#[viewer_request]
fn handle(request: &Request) -> Result<viewer_request::Verdict> {
    let names = ["accept", "user-agent", "accept-language"];
    let size: usize = names.iter().flat_map(|name| request.header_values(name)).map(|value| value.len()).sum();
    let country = request.viewer().country().unwrap_or_default();
    // Knuth's multiplier (The Art of Computer Programming, 3.3.4): high bits that look random.
    let mut place = clock::now().subsec_millis();
    let mut other = 0;
    for _ in 0..4 {
        place = place.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let start = place as usize % (DATA.len() - PART);
        other += DATA.read(start..start + PART).iter().filter(|byte| **byte != 0xa5).count();
    }
    let size = size + other;
    Ok(viewer_request::Edits::new().set_header("x-size", size.to_string())?.set_header("x-country", country)?.into())
}
