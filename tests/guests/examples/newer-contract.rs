//! Built against a later 0.1 of the contract, but uses only what 0.1.0 has.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({
    inline: "
        package edgeweir:hook@0.1.7;
        interface types {
            record header { name: string, value: list<u8> }
            variant header-edit { set(header), append(header), remove(string) }
            record generated-response { status: u16, headers: list<header>, body: list<u8> }
        }
        interface context {
            settings: func() -> string;
            later: func() -> string;
        }
        interface viewer-request {
            use types.{header-edit, generated-response};
            variant edit {
                header(header-edit),
                path(string),
                query(option<string>),
                note(string),
                cache-key(string),
                origin(string),
                body(list<u8>),
                cost(u32),
                api-key(string),
            }
            variant verdict { next(list<edit>), respond(generated-response) }
            handle: func() -> result<verdict, string>;
        }
        world guest {
            import context;
            export viewer-request;
        }
    ",
});

use edgeweir::hook::context::settings;
use exports::edgeweir::hook::viewer_request::{Edit, Guest, Verdict};

struct Hook;

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        Ok(Verdict::Next(vec![Edit::Note(settings())]))
    }
}

export!(Hook);
