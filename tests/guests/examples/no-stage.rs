//! Exports something, but no stage.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({
    path: "../../sdk/wit",
    inline: "
        package edgeweir:guest;
        interface other {
            run: func() -> string;
        }
        world guest {
            export other;
        }
    ",
    generate_all,
});

use exports::edgeweir::guest::other::Guest;

struct Hook;

impl Guest for Hook {
    fn run() -> String {
        "no stage".into()
    }
}

export!(Hook);
