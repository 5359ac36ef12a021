//! Imports WASI as std does on wasm32-wasip2, and calls it only when its settings say so.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({
    path: "../../sdk/wit",
    inline: "
        package edgeweir:guest;
        package wasi:io@0.2.6 {
            interface error {
                resource error {
                    to-debug-string: func() -> string;
                }
            }
            interface streams {
                use error.{error};
                variant stream-error { last-operation-failed(error), closed }
                resource output-stream {
                    blocking-flush: func() -> result<_, stream-error>;
                }
            }
        }
        package wasi:cli@0.2.6 {
            interface stderr {
                use wasi:io/streams@0.2.6.{output-stream};
                get-stderr: func() -> output-stream;
            }
        }
        world guest {
            import wasi:cli/stderr@0.2.6;
            import edgeweir:hook/context@0.1.0;
            export edgeweir:hook/viewer-request@0.1.0;
        }
    ",
    generate_all,
});

use edgeweir::hook::context::settings;
use exports::edgeweir::hook::viewer_request::{Guest, Verdict};
use wasi::cli::stderr::get_stderr;

struct Hook;

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        if settings() == "call" {
            return match get_stderr().blocking_flush() {
                Ok(()) => Err("flushed".into()),
                Err(error) => Err(format!("{error:?}")),
            };
        }
        Ok(Verdict::Next(Vec::new()))
    }
}

export!(Hook);
