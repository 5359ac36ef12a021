//! Asks for the response where there is none.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({
    path: "../../sdk/wit",
    inline: "
        package edgeweir:guest;
        world guest {
            import edgeweir:hook/response@0.1.0;
            export edgeweir:hook/viewer-request@0.1.0;
        }
    ",
    generate_all,
});

use edgeweir::hook::response::status;
use exports::edgeweir::hook::viewer_request::{Guest, Verdict};

struct Hook;

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        Err(status().to_string())
    }
}

export!(Hook);
