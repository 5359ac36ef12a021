//! The answer of a compiler process: a line that names the form, a tag, then machine code or the words of an error, to the
//! end. Both ends are the same program.

use std::io::{self, Write};

use crate::load::LoadError;

const FORM: &[u8] = b"edgeweir-compiled-1\n";
/// Longest words of an error, in bytes; they may repeat names of the hook.
const MAX_WORDS: usize = 16 << 10;

pub(super) fn encode(result: &Result<Vec<u8>, LoadError>, output: &mut impl Write) -> io::Result<()> {
    output.write_all(FORM)?;
    let (tag, words) = match result {
        Ok(code) => {
            output.write_all(b"+")?;
            return output.write_all(code);
        }
        Err(LoadError::NotWasm) => (b'w', String::new()),
        Err(LoadError::Encode { detail }) => (b'e', detail.clone()),
        Err(LoadError::UnknownImport { import }) => (b'i', import.clone()),
        Err(LoadError::UnknownExport { export }) => (b'x', export.clone()),
        Err(LoadError::NoStage { exports }) => (b's', exports.join("\0")),
        Err(LoadError::Mismatch { detail }) => (b'm', detail.clone()),
        Err(LoadError::Compile { detail }) => (b'c', detail.clone()),
        Err(other) => (b'c', other.to_string()),
    };
    output.write_all(&[tag])?;
    output.write_all(words.as_bytes().get(..MAX_WORDS).unwrap_or(words.as_bytes()))
}

pub(super) fn decode(mut answer: Vec<u8>) -> Result<Vec<u8>, LoadError> {
    let Some((&tag, rest)) = answer.strip_prefix(FORM).and_then(<[u8]>::split_first) else {
        return Err(LoadError::Compiler { detail: "it is not a compiler of this edge".into() });
    };
    if tag == b'+' {
        answer.drain(..=FORM.len());
        return Ok(answer);
    }
    let words = String::from_utf8_lossy(rest).into_owned();
    Err(match tag {
        b'w' => LoadError::NotWasm,
        b'e' => LoadError::Encode { detail: words },
        b'i' => LoadError::UnknownImport { import: words },
        b'x' => LoadError::UnknownExport { export: words },
        b's' => {
            let exports = words.split('\0').filter(|name| !name.is_empty());
            LoadError::NoStage { exports: exports.map(str::to_owned).collect() }
        }
        b'm' => LoadError::Mismatch { detail: words },
        _ => LoadError::Compile { detail: words },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_arrives() {
        let mut sent = Vec::new();
        encode(&Ok(b"\x7fELF+".to_vec()), &mut sent).unwrap();
        assert_eq!(decode(sent).unwrap(), b"\x7fELF+");
        let words = || "größer".to_owned();
        for error in [
            LoadError::NotWasm,
            LoadError::Encode { detail: words() },
            LoadError::UnknownImport { import: words() },
            LoadError::UnknownExport { export: words() },
            LoadError::NoStage { exports: vec!["`a`".into(), "`b`".into()] },
            LoadError::NoStage { exports: Vec::new() },
            LoadError::Mismatch { detail: words() },
            LoadError::Compile { detail: words() },
        ] {
            let told = error.to_string();
            let mut sent = Vec::new();
            encode(&Err(error), &mut sent).unwrap();
            assert_eq!(decode(sent).unwrap_err().to_string(), told);
        }
    }

    #[test]
    fn other_programs_are_not_taken_for_a_compiler() {
        for answer in
            [&b""[..], b"hello\n", b"edgeweir-compiled-1", b"edgeweir-compiled-1\n", b"edgeweir-compiled-2\n+x"]
        {
            assert_eq!(
                decode(answer.to_vec()).unwrap_err().to_string(),
                "the compiler failed: it is not a compiler of this edge"
            );
        }
    }
}
