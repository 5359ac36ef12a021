//! The data that a hook's artefact carries beside its code, in custom sections: kept once for all calls, read in parts. Does
//! not know who asks.

use bytes::Bytes;
use wasmparser::{Parser, Payload};

use crate::load::LoadError;

/// How the names of sections with data start; the data's name follows.
const PREFIX: &str = "edgeweir:data/";
/// Longest name, in bytes.
const MAX_NAME: usize = 128;
/// Most names in one artefact: they are looked through at each read.
pub(crate) const MAX_NAMES: usize = 64;

/// The name of the data that a custom section of this name holds; none if it holds something else.
pub(crate) fn name_of(section: &str) -> Option<&str> {
    section.strip_prefix(PREFIX)
}

/// All data of one artefact, in memory: less than the artefact has bytes.
#[derive(Debug, Default)]
pub(crate) struct Held(Box<[(Box<str>, Bytes)]>);

impl Held {
    /// Copies the data out of a core module or a component, where it is in the component itself or in any module in it. Bytes that
    /// are no WASM end the look: whoever compiles them says what is wrong.
    ///
    /// # Errors
    /// When a name is there twice, is empty or too long, or there are too many.
    pub(crate) fn of(wasm: &[u8]) -> Result<Self, LoadError> {
        let mut held: Vec<(Box<str>, Bytes)> = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            let Ok(payload) = payload else { break };
            let Payload::CustomSection(section) = payload else { continue };
            let Some(name) = name_of(section.name()) else { continue };
            if name.is_empty() || name.len() > MAX_NAME {
                return Err(refused(format!("a name has {} bytes, and 1 to {MAX_NAME} are allowed", name.len())));
            }
            if held.iter().any(|(known, _)| **known == *name) {
                return Err(refused(format!("two sections are named `{PREFIX}{name}`")));
            }
            if held.len() == MAX_NAMES {
                return Err(refused(format!("it has more than {MAX_NAMES} names")));
            }
            held.push((name.into(), Bytes::copy_from_slice(section.data())));
        }
        Ok(Self(held.into()))
    }

    /// Size in bytes of the data of this name.
    pub(crate) fn size(&self, name: &str) -> Option<u32> {
        // An artefact is far smaller than 4 GiB.
        self.find(name).map(|bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX))
    }

    /// A part of the data of this name, without a copy.
    ///
    /// # Errors
    /// For the hook's author: when there is no such data, or it ends before the part does.
    pub(crate) fn read(&self, name: &str, offset: u32, length: u32) -> Result<Bytes, String> {
        let bytes = self.find(name).ok_or_else(|| {
            let name: String = name.chars().take(64).collect();
            format!("the hook has no data {name:?}")
        })?;
        let start = offset as usize;
        match start.checked_add(length as usize) {
            Some(end) if end <= bytes.len() => Ok(bytes.slice(start..end)),
            _ => Err(format!("{length} bytes from byte {offset} on are more than the data has: {} bytes", bytes.len())),
        }
    }

    fn find(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, bytes)| bytes)
    }
}

fn refused(detail: String) -> LoadError {
    LoadError::Data { detail }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{CustomSection, Module};

    use super::*;

    fn module(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut module = Module::new();
        for (name, data) in sections {
            module.section(&CustomSection { name: (*name).into(), data: (*data).into() });
        }
        module.finish()
    }

    #[test]
    fn parts_are_whole_or_an_error() {
        let held = Held::of(&module(&[("edgeweir:data/a", b"0123"), ("name", b""), ("edgeweir:data/b", b"")])).unwrap();
        assert_eq!((held.size("a"), held.size("b"), held.size("name"), held.size("")), (Some(4), Some(0), None, None));
        for (offset, length, part) in [(0, 4, "0123"), (1, 2, "12"), (4, 0, ""), (0, 0, ""), (3, 1, "3")] {
            assert_eq!(held.read("a", offset, length).unwrap(), part, "{offset} {length}");
        }
        for (offset, length) in [(0, 5), (4, 1), (5, 0), (u32::MAX, 1), (1, u32::MAX), (u32::MAX, u32::MAX)] {
            let error = held.read("a", offset, length).unwrap_err();
            assert_eq!(error, format!("{length} bytes from byte {offset} on are more than the data has: 4 bytes"));
        }
        assert_eq!(held.read("\"", 0, 0).unwrap_err(), r#"the hook has no data "\"""#);
        assert!(held.read(&"n".repeat(1 << 20), 0, 0).unwrap_err().len() < 100);
    }

    #[test]
    fn what_is_refused() {
        let refused = |sections: &[(&str, &[u8])]| Held::of(&module(sections)).unwrap_err().to_string();
        assert_eq!(
            refused(&[("edgeweir:data/a", b"1"), ("edgeweir:data/a", b"1")]),
            "the hook's data is not usable: two sections are named `edgeweir:data/a`"
        );
        assert_eq!(
            refused(&[("edgeweir:data/", b"1")]),
            "the hook's data is not usable: a name has 0 bytes, and 1 to 128 are allowed"
        );
        let long = format!("edgeweir:data/{}", "n".repeat(MAX_NAME + 1));
        assert!(refused(&[(&long, b"")]).contains("a name has 129 bytes"));
        let names: Vec<String> = (0..=MAX_NAMES).map(|nth| format!("edgeweir:data/{nth}")).collect();
        let sections: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
        assert!(Held::of(&module(&sections[..MAX_NAMES])).is_ok());
        assert!(refused(&sections).contains("more than 64 names"));
    }

    #[test]
    fn what_is_no_wasm_has_none() {
        let whole = module(&[("edgeweir:data/a", b"0123")]);
        for end in 0..whole.len() {
            assert_eq!(Held::of(&whole[..end]).unwrap().size("a"), None, "{end}");
        }
    }
}
