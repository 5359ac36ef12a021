//! The library that functions find beside the language: its text lies in a section of the engine.

use serde::Deserialize;
use wasmparser::{Parser, Payload};

/// The section, as `sdk/js` names it.
const SECTION: &str = "edgeweir-library";

/// Parts, in the order in which they are made.
#[derive(Debug, Deserialize)]
pub(super) struct Library<P> {
    /// What all functions need.
    pub(super) all: Vec<P>,
    /// What those of Lambda@Edge need besides.
    pub(super) node: Vec<P>,
}

impl<P> Default for Library<P> {
    fn default() -> Self {
        Self { all: Vec::new(), node: Vec::new() }
    }
}

/// The parts of an engine: each a name and a text.
///
/// # Errors
/// If it has no library, or one that cannot be read.
pub(super) fn text(engine: &[u8]) -> Result<Library<(String, String)>, String> {
    for payload in Parser::new(0).parse_all(engine) {
        if let Payload::CustomSection(section) = payload.map_err(|error| error.to_string())?
            && section.name() == SECTION
        {
            return serde_json::from_slice(section.data()).map_err(|error| format!("its library: {error}"));
        }
    }
    Err("it has no library".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_without_a_library_is_told() {
        let section = |name: &str, data: &[u8]| {
            let mut module = wasm_encoder::Module::new();
            module.section(&wasm_encoder::CustomSection { name: name.into(), data: data.into() });
            module.finish()
        };
        assert_eq!(text(&section("other", b"")).unwrap_err(), "it has no library");
        assert!(text(&section(SECTION, b"{")).unwrap_err().starts_with("its library: "));
        let found = text(&section(SECTION, br#"{"all":[["a","export default 1"]],"node":[]}"#)).unwrap();
        assert_eq!((found.all, found.node.len()), (vec![("a".to_owned(), "export default 1".to_owned())], 0));
    }
}
