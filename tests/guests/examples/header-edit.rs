//! What a typical hook does: reads three headers and a fact, sets two headers.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "viewer-request-hook", path: "../../sdk/wit" });

use edgeweir::hook::request::header_values;
use edgeweir::hook::types::{Header, HeaderEdit};
use edgeweir::hook::viewer::country;
use exports::edgeweir::hook::viewer_request::{Edit, Guest, Verdict};

struct Hook;

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        let size = ["accept", "user-agent", "accept-language"]
            .iter()
            .flat_map(|name| header_values(name))
            .map(|value| value.len())
            .sum::<usize>();
        let set = |name: &str, value: String| {
            Edit::Header(HeaderEdit::Set(Header { name: name.into(), value: value.into_bytes() }))
        };
        Ok(Verdict::Next(vec![set("x-size", size.to_string()), set("x-country", country().unwrap_or_default())]))
    }
}

export!(Hook);
