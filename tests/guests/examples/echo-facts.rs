//! Answers with everything it can read, one fact a line.
#![expect(missing_docs, unsafe_code, reason = "generated bindings")]

wit_bindgen::generate!({ world: "viewer-request-hook", path: "../../sdk/wit" });

use std::fmt::Debug;

use edgeweir::hook::types::GeneratedResponse;
use edgeweir::hook::{context, request, viewer};
use exports::edgeweir::hook::viewer_request::{Guest, Verdict};

struct Hook;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Guest for Hook {
    fn handle() -> Result<Verdict, String> {
        let mut out = String::new();
        let mut line = |name: &str, value: &dyn Debug| out.push_str(&format!("{name}={value:?}\n"));
        line("method", &request::method());
        line("scheme", &request::scheme());
        line("authority", &request::authority());
        line("path", &request::path());
        line("query", &request::query());
        line("header-names", &request::header_names());
        for header in request::headers() {
            line(&format!("header {}", header.name), &text(&header.value));
        }
        line("X-Many", &request::header_values("X-Many").iter().map(|v| text(v)).collect::<Vec<_>>());
        line("connection", &request::header_values("connection"));
        line("cookie a", &request::cookie("a"));
        line("param q", &request::query_param("q"));
        line("address", &viewer::address());
        line("port", &viewer::port());
        line("http-version", &viewer::http_version());
        line("tls-version", &viewer::tls_version());
        line("country", &viewer::country());
        line("continent", &viewer::continent());
        line("region", &viewer::region());
        line("city", &viewer::city());
        line("asn", &viewer::asn());
        line("time-zone", &viewer::time_zone());
        line("coordinates", &viewer::coordinates());
        line("device", &viewer::device());
        line("distribution", &context::distribution());
        line("behavior", &context::behavior());
        line("origin", &context::origin());
        line("stage", &context::stage());
        line("request-id", &context::request_id());
        line("settings", &context::settings());
        line("note", &context::note());
        Ok(Verdict::Respond(GeneratedResponse { status: 200, headers: Vec::new(), body: out.into_bytes() }))
    }
}

export!(Hook);
