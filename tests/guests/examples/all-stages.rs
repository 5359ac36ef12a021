//! Runs at all four stages and leaves a header `x-stage` with the stage's name at each.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "all", path: "../../sdk/wit" });

use edgeweir::hook::types::{Header, HeaderEdit};
use edgeweir::hook::{context, response};
use exports::edgeweir::hook::{origin_request, origin_response, viewer_request, viewer_response};

struct Hook;

fn mark() -> HeaderEdit {
    HeaderEdit::Append(Header { name: "x-stage".into(), value: context::stage().into_bytes() })
}

impl viewer_request::Guest for Hook {
    fn handle() -> Result<viewer_request::Verdict, String> {
        let note = viewer_request::Edit::Note("from viewer-request".into());
        Ok(viewer_request::Verdict::Next(vec![viewer_request::Edit::Header(mark()), note]))
    }
}

impl origin_request::Guest for Hook {
    fn handle() -> Result<origin_request::Verdict, String> {
        Ok(origin_request::Verdict::Next(vec![origin_request::Edit::Header(mark())]))
    }
}

impl origin_response::Guest for Hook {
    fn handle() -> Result<Vec<origin_response::Edit>, String> {
        Ok(vec![origin_response::Edit::Header(mark())])
    }
}

impl viewer_response::Guest for Hook {
    fn handle() -> Result<Vec<viewer_response::Edit>, String> {
        let seen = format!("{} {:?}", response::status(), response::cache_outcome());
        let seen = HeaderEdit::Set(Header { name: "x-seen".into(), value: seen.into_bytes() });
        Ok(vec![viewer_response::Edit::Header(mark()), viewer_response::Edit::Header(seen)])
    }
}

export!(Hook);
