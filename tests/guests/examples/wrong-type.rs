//! Exports a stage whose function returns something else than the contract says.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({
    inline: "
        package edgeweir:hook@0.1.0;
        interface viewer-request {
            handle: func() -> string;
        }
        world guest {
            export viewer-request;
        }
    ",
});

use exports::edgeweir::hook::viewer_request::Guest;

struct Hook;

impl Guest for Hook {
    fn handle() -> String {
        "no verdict".into()
    }
}

export!(Hook);
