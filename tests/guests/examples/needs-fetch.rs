//! Imports `fetch`, which its bindings have to grant.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({
    path: "../../sdk/wit",
    inline: "
        package edgeweir:guest;
        world guest {
            import edgeweir:hook/fetch@0.1.0;
            export edgeweir:hook/viewer-request@0.1.0;
        }
    ",
    generate_all,
});

use edgeweir::hook::fetch::{Outgoing, send};
use exports::edgeweir::hook::viewer_request::{Guest, Verdict};

struct Hook;

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        let request = Outgoing {
            origin: "api".into(),
            method: "GET".into(),
            target: "/".into(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        send(&request).map(Verdict::Respond)
    }
}

export!(Hook);
