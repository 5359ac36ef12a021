//! Reads the data that it carries, as the query says, and answers with what came out.

use edgeweir_sdk::bindings::optional::edgeweir::hook::data as contract;
use edgeweir_sdk::serde::Deserialize;
use edgeweir_sdk::validate::Problem;
use edgeweir_sdk::{Error, Request, Result, http, validate, viewer_request};

edgeweir_sdk::data! {
    static DIGITS = b"0123456789";
    /// Half a MiB, which is found by its name among others.
    static LARGE = &[0x2e; 512 << 10];
}

/// Another static of a name that is there already.
mod words {
    edgeweir_sdk::data! {
        /// Six bytes a record, sorted.
        pub(super) static DIGITS = b"eight five  four  nine  one   seven six   three two   zero  ";
    }
}

/// Two of one name: the linker puts them together.
mod twice {
    pub(super) fn first() -> Vec<u8> {
        edgeweir_sdk::data!(static SAME = b"first");
        SAME.read(..)
    }

    pub(super) fn second() -> Vec<u8> {
        edgeweir_sdk::data!(static SAME = b"second");
        SAME.read(..)
    }
}

#[derive(Deserialize)]
#[serde(crate = "edgeweir_sdk::serde")]
struct Settings {
    word: Option<String>,
}

#[validate]
fn check(settings: &Settings) -> Result<(), Problem> {
    match settings.word.as_deref().map(place) {
        Some(Err(before)) => Err(Problem::new(format!("is no word; {before} come before it")).at("/word")),
        _ => Ok(()),
    }
}

fn place(word: &str) -> Result<Vec<u8>, usize> {
    words::DIGITS.search(6, |record| record.trim_ascii_end().cmp(word.as_bytes()))
}

#[viewer_request]
fn handle(request: &Request) -> Result<viewer_request::Verdict> {
    let word = |name: &str| request.query_param(name).unwrap_or_default();
    let number = |name: &str| word(name).parse::<u32>().map_err(|error| Error::new(error.to_string()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let out = match word("do").as_str() {
        "size" => format!("{:?}", contract::size(&word("name"))),
        "read" => {
            format!("{:?}", contract::read(&word("name"), number("offset")?, number("length")?).map(|part| text(&part)))
        }
        "length" => {
            format!("{:?}", contract::read(&word("name"), number("offset")?, number("length")?).map(|part| part.len()))
        }
        "range" => text(&DIGITS.read(number("start")? as usize..number("end")? as usize)),
        "whole" => format!("{} {}", LARGE.len(), LARGE.read(..).iter().all(|byte| *byte == 0x2e)),
        "find" => format!("{:?}", place(&word("word")).map(|record| text(&record))),
        "twice" => format!("{} {}", text(&twice::first()), text(&twice::second())),
        other => return Err(Error::new(format!("unknown: {other}"))),
    };
    Ok(viewer_request::Verdict::respond(http::Response::builder().status(200).body(out)?))
}
