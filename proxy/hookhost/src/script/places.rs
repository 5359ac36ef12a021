//! Where in its author's own files a place of a bundle is, by the source map (ECMA-426) at the bundle's end. The map stays out
//! of the engine, and goes beside the code into a section of the hook.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sourcemap::SourceMap;
use wasmparser::{Parser, Payload};

/// The section of a hook that has the map.
pub(super) const SECTION: &str = "edgeweir-source-map";
/// How the comment begins that has a map in it (ECMA-426, 11.1.2.1).
const COMMENT: &str = "//# sourceMappingURL=data:application/json";
const ENCODED: &str = ";base64,";

/// A source's map.
#[derive(Debug)]
pub(crate) struct Places {
    /// What errors call the bundle.
    file: String,
    json: Box<[u8]>,
    /// Read when it is wanted for the first time.
    map: OnceLock<Option<SourceMap>>,
}

/// As it is kept in a section.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    file: Cow<'a, str>,
    map: Cow<'a, str>,
}

/// A place in one of the author's files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) line: u32,
    pub(super) column: u32,
    /// The file's text, if the map has it.
    pub(super) text: Option<&'a str>,
}

/// A source without the map at its end, and the map.
///
/// # Errors
/// In words, if there is one that cannot be read.
pub(super) fn split<'a>(file: &str, source: &'a str) -> Result<(&'a str, Option<Places>), String> {
    let Some(at) = source.rfind(COMMENT) else { return Ok((source, None)) };
    let Some((code, comment)) = source.split_at_checked(at) else { return Ok((source, None)) };
    let comment = comment.trim_end();
    let starts_a_line = code.is_empty() || code.ends_with('\n');
    let encoded = comment.split_once(ENCODED).filter(|_encoded| starts_a_line && !comment.contains('\n'));
    // Or the words are in a text.
    let Some((_, encoded)) = encoded else { return Ok((source, None)) };
    let json = STANDARD.decode(encoded).map_err(|error| error.to_string())?;
    let places = Places { file: file.into(), json: json.into(), map: OnceLock::new() };
    SourceMap::from_slice(&places.json).map_err(|error| error.to_string())?;
    Ok((code, Some(places)))
}

impl Places {
    /// The map of a hook that has one.
    pub(crate) fn of(wasm: &[u8]) -> Option<Self> {
        let sections = Parser::new(0).parse_all(wasm).map_while(Result::ok);
        let section = sections.filter_map(|section| match section {
            Payload::CustomSection(section) if section.name() == SECTION => Some(section.data()),
            _ => None,
        });
        let Kept { file, map } = serde_json::from_slice(section.last()?).ok()?;
        Some(Self { file: file.into_owned(), json: map.into_owned().into_bytes().into(), map: OnceLock::new() })
    }

    /// What a hook has in its section: names and places, not the author's text.
    pub(super) fn section(&self) -> Vec<u8> {
        let mut map = String::from_utf8_lossy(&self.json);
        if let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_str(&map) {
            fields.remove("sourcesContent");
            map = serde_json::Value::Object(fields).to_string().into();
        }
        serde_json::to_vec(&Kept { file: Cow::Borrowed(&self.file), map }).unwrap_or_default()
    }

    /// Where a place of the bundle comes from. Lines and columns count from 1.
    pub(super) fn original(&self, line: u32, column: u32) -> Option<Place<'_>> {
        let map = self.map.get_or_init(|| SourceMap::from_slice(&self.json).ok()).as_ref()?;
        let token = map.lookup_token(line.checked_sub(1)?, column.checked_sub(1)?)?;
        let text = map.get_source_contents(token.get_src_id());
        Some(Place { file: token.get_source()?, line: token.get_src_line() + 1, column: token.get_src_col() + 1, text })
    }

    /// A message in which the author's places stand for those of the bundle.
    pub(crate) fn told(&self, message: &str) -> String {
        let mut told = String::with_capacity(message.len());
        let mut rest = message;
        while let Some((before, after)) = rest.split_once(&self.file) {
            told.push_str(before);
            match place(after).and_then(|(line, column, after)| Some((self.original(line, column)?, after))) {
                Some((Place { file, line, column, .. }, after)) => {
                    // Writing to a string cannot fail.
                    let _infallible = write!(told, "{file}:{line}:{column}");
                    rest = after;
                }
                None => {
                    told.push_str(&self.file);
                    rest = after;
                }
            }
        }
        told.push_str(rest);
        told
    }
}

/// `:LINE:COLUMN`, and what follows.
fn place(text: &str) -> Option<(u32, u32, &str)> {
    let number = |text: &str| -> Option<(u32, usize)> {
        let digits = text.strip_prefix(':')?.bytes().take_while(u8::is_ascii_digit).count();
        Some((text.get(1..=digits)?.parse().ok()?, digits + 1))
    };
    let (line, length) = number(text)?;
    let text = text.get(length..)?;
    let (column, length) = number(text)?;
    Some((line, column, text.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `src/a.ts` has two lines, which are the bundle's second and third, two columns to the right.
    const MAP: &str =
        r#"{"version":3,"sources":["src/a.ts"],"sourcesContent":["one\ntwo"],"names":[],"mappings":";EAAA;EACA"}"#;

    fn bundle(map: &str) -> String {
        format!("// ours\n  one\n  two\n//# sourceMappingURL=data:application/json;base64,{}\n", STANDARD.encode(map))
    }

    #[test]
    fn the_map_at_the_end_is_taken_off() {
        let source = bundle(MAP);
        let (code, places) = split("fn.js", &source).unwrap();
        assert_eq!(code, "// ours\n  one\n  two\n");
        let places = places.unwrap();
        let place = places.original(3, 3).unwrap();
        assert_eq!(place, Place { file: "src/a.ts", line: 2, column: 1, text: Some("one\ntwo") });
        assert_eq!(places.original(0, 0), None);
    }

    #[test]
    fn what_is_none_stays_in_the_source() {
        let quoted = format!("const a = '{COMMENT};base64,AAAA';\nb();\n");
        for source in ["a();\n", "//# sourceMappingURL=fn.js.map\n", &quoted, &format!("a(); {COMMENT};base64,AA==\n")]
        {
            let (code, places) = split("fn.js", source).unwrap();
            assert!(code == source && places.is_none(), "{source}");
        }
        for broken in ["//# sourceMappingURL=data:application/json;base64,#", &bundle("{"), &bundle("[]")] {
            split("fn.js", broken).unwrap_err();
        }
    }

    #[test]
    fn places_in_messages_are_the_authors() {
        let source = bundle(MAP);
        let places = split("fn.js", &source).unwrap().1.unwrap();
        let told =
            places.told("Error: fn.js is not x, at f (fn.js:2:5) < g (fn.js:3:3) < fn.js:1:1 < fn.js:9999999999:1");
        assert_eq!(
            told,
            "Error: fn.js is not x, at f (src/a.ts:1:1) < g (src/a.ts:2:1) < fn.js:1:1 < fn.js:9999999999:1"
        );
    }

    #[test]
    fn a_section_has_the_places_and_not_the_text() {
        let source = bundle(MAP);
        let places = split("fn.js", &source).unwrap().1.unwrap();
        let mut module = wasm_encoder::Module::new();
        module.section(&wasm_encoder::CustomSection { name: SECTION.into(), data: places.section().into() });
        let wasm = module.finish();
        assert!(!String::from_utf8_lossy(&wasm).contains("two"));
        let kept = Places::of(&wasm).unwrap();
        assert_eq!(kept.told("fn.js:3:3"), "src/a.ts:2:1");
        assert!(Places::of(b"\0asm\x01\0\0\0").is_none());
    }
}
