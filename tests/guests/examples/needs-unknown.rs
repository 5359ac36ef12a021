//! Imports what no contract has.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({
    path: "../../sdk/wit",
    inline: "
        package edgeweir:guest;
        interface database {
            query: func(text: string) -> string;
        }
        world guest {
            import database;
            export edgeweir:hook/viewer-request@0.1.0;
        }
    ",
    generate_all,
});

use edgeweir::guest::database::query;
use exports::edgeweir::hook::viewer_request::{Guest, Verdict};

struct Hook;

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        Err(query("select 1"))
    }
}

export!(Hook);
