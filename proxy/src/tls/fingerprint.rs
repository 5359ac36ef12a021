//! Fingerprints of what a viewer speaks TLS with: JA3 (Salesforce, "JA3 and JA3S") and JA4 (FoxIO, "JA4: TLS Client
//! Fingerprinting"). They tell libraries and their settings apart, not people; whoever wants to can have another's.

use std::fmt::Write as _;

use http::HeaderValue;
use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::hello::ClientHello;

/// Hex digits of each hash in a JA4.
const SHORT: usize = 12;

/// Both, as fields carry them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprints {
    /// 32 hex digits.
    pub ja3: HeaderValue,
    /// In three parts, as `t13d1516h2_8daaf6152771_e5627efa2ab1`.
    pub ja4: HeaderValue,
}

impl Fingerprints {
    /// Of a handshake's first message.
    #[must_use]
    pub fn of(hello: &ClientHello) -> Option<Self> {
        let value = |text: String| HeaderValue::from_str(&text).ok();
        Some(Self { ja3: value(ja3(hello))?, ja4: value(ja4(hello))? })
    }
}

fn ja3(hello: &ClientHello) -> String {
    hex(&Md5::digest(ja3_text(hello)))
}

/// What JA3 hashes: version, suites, extensions, groups and point formats, in the viewer's order.
fn ja3_text(hello: &ClientHello) -> String {
    let mut text = hello.version.to_string();
    for list in [&hello.suites, &hello.extensions, &hello.groups] {
        text.push(',');
        join(&mut text, '-', list.iter());
    }
    text.push(',');
    join(&mut text, '-', hello.formats.iter());
    text
}

fn ja4(hello: &ClientHello) -> String {
    let newest = match &hello.versions {
        Some(versions) => versions.iter().max().copied().unwrap_or_default(),
        None => hello.version,
    };
    let version = match newest {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    };
    let name = if hello.extensions.contains(&ClientHello::SERVER_NAME) { 'd' } else { 'i' };
    let (suites, extensions) = (hello.suites.len().min(99), hello.extensions.len().min(99));
    let (first, last) = hello.protocol.map_or(('0', '0'), ends);
    let mut text = format!("t{version}{name}{suites:02}{extensions:02}{first}{last}_");
    text.push_str(&short(&codes(hello.suites.clone())));
    text.push('_');
    let named = |kind: &u16| *kind != ClientHello::SERVER_NAME && *kind != ClientHello::ALPN;
    let mut rest = codes(hello.extensions.iter().copied().filter(named).collect());
    if !hello.signatures.is_empty() {
        rest.push('_');
        join(&mut rest, ',', hello.signatures.iter().map(|code| format!("{code:04x}")));
    }
    text.push_str(&short(&rest));
    text
}

/// What JA4 says of a protocol's name: its ends, or those of its hex form where one is neither letter nor digit.
fn ends((first, last): (u8, u8)) -> (char, char) {
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return (first.into(), last.into());
    }
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
    (digit(first >> 4), digit(last & 0x0f))
}

/// Sorted, in hex.
fn codes(mut list: Vec<u16>) -> String {
    list.sort_unstable();
    let mut text = String::with_capacity(5 * list.len());
    join(&mut text, ',', list.iter().map(|code| format!("{code:04x}")));
    text
}

/// The beginning of a hash; zeros for nothing.
fn short(text: &str) -> String {
    if text.is_empty() {
        return "0".repeat(SHORT);
    }
    let mut digest = hex(&Sha256::digest(text));
    digest.truncate(SHORT);
    digest
}

fn join<T: std::fmt::Display>(text: &mut String, between: char, list: impl Iterator<Item = T>) {
    for (at, item) in list.enumerate() {
        if at > 0 {
            text.push(between);
        }
        // Writing to a string does not fail.
        let _always = write!(text, "{item}");
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _always = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests;
