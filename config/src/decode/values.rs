//! Single values: numbers with a range, times, sizes, and texts that `units` reads.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::de::DeValue;

use super::{Decode, Node, bad_value, string, wrong_type};
use crate::model::HostHeader;
use crate::report::{Problem, Report};
use crate::units;

/// The JSON Schema of a type that is written as one plain value.
macro_rules! plain_schema {
    ($name:ty $(; [$($param:tt)*])?, $($schema:tt)+) => {
        impl $(<$($param)*>)? JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($($schema)+)
            }
        }
    };
}

/// A type read from a string by a function of `units` whose error has a `help()`.
macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident($inner:ty), $wanted:literal, $parse:expr, $($schema:tt)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct $name(pub(crate) $inner);

        impl Decode for $name {
            fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
                let text = string(node, key, $wanted, out)?;
                match $parse(text) {
                    Ok(value) => Some(Self(value)),
                    Err(error) => {
                        // A password in a URL, for one.
                        if text.contains('@') {
                            out.hide(node.span());
                        }
                        bad_value(node, error.to_string(), error.help(), out);
                        None
                    }
                }
            }
        }

        plain_schema!($name, $($schema)+);
    };
}

text_value! {
    /// IP address and port.
    Address(SocketAddr), "an address and port as a string", units::parse_address,
    { "type": "string", "examples": ["127.0.0.1:8080", "[::]:443"] }
}
text_value! {
    /// A network or an address.
    Network(IpNet), "a network as a string", units::parse_network,
    { "type": "string", "examples": ["10.0.0.0/8", "fd00::/8"] }
}
text_value! {
    /// A host pattern.
    Host(units::HostPattern), "a host name as a string", units::HostPattern::parse,
    { "type": "string", "examples": ["example.com", "*.example.com", "*"] }
}
text_value! {
    /// A path pattern.
    Path(units::PathPattern), "a path pattern as a string", units::PathPattern::parse,
    { "type": "string", "minLength": 1, "maxLength": 255, "examples": ["/images/*.jpg", "*"] }
}
text_value! {
    /// A country.
    Country(String), "a country code as a string", units::parse_country,
    { "type": "string", "pattern": "^[A-Z]{2}$", "examples": ["CH", "US"] }
}
text_value! {
    /// A pattern for the value of a header field, cookie or parameter.
    ValuePattern(units::TextPattern), "a value as a string", units::TextPattern::parse,
    { "type": "string", "maxLength": 255, "examples": ["beta", "v2*"] }
}
text_value! {
    /// A header name, in lower case.
    HeaderName(String), "a header name as a string", units::parse_header_name,
    { "type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$" }
}
text_value! {
    /// A method that may be let through.
    Method(String), "a method as a string", units::parse_method,
    { "type": "string", "examples": ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"] }
}
text_value! {
    /// Where an origin is.
    Url(units::OriginUrl), "a URL as a string", units::OriginUrl::parse,
    { "type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^@?#]+$" }
}
text_value! {
    /// A name or address to connect to, with an optional port.
    Endpoint((String, Option<u16>)), "a host and port as a string", units::parse_endpoint,
    { "type": "string", "examples": ["10.0.0.1:8080", "app.internal", "[::1]:8080"] }
}
text_value! {
    /// A digest.
    Sha256([u8; 32]), "a SHA-256 as a string", units::parse_sha256,
    { "type": "string", "pattern": "^[0-9A-Fa-f]{64}$" }
}

/// Any text but the empty one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Text(pub(crate) String);
plain_schema!(Text, { "type": "string", "minLength": 1 });

impl Decode for Text {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let text = string(node, key, "a string", out)?;
        if text.is_empty() {
            bad_value(node, format!("`{key}` cannot be empty"), None, out);
            return None;
        }
        Some(Self(text.to_owned()))
    }
}

/// A file, relative to the config file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FilePath(pub(crate) PathBuf);
plain_schema!(FilePath, { "type": "string", "minLength": 1 });

impl Decode for FilePath {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let text = string(node, key, "a path as a string", out)?;
        if text.is_empty() || text.contains('\0') {
            bad_value(node, format!("`{key}` is not a path"), None, out);
            return None;
        }
        Some(Self(PathBuf::from(text)))
    }
}

/// What an origin gets as `Host`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HostHeaderText(pub(crate) HostHeader);
plain_schema!(HostHeaderText, { "type": "string", "examples": ["origin", "viewer", "www.example.com"] });

impl Decode for HostHeaderText {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let text = string(node, key, "a string", out)?;
        match units::parse_host_header(text) {
            Ok(host) => Some(Self(host)),
            Err(help) => {
                let help = help.unwrap_or_else(|| "write `origin`, `viewer`, or a host name".to_owned());
                bad_value(node, format!("`{text}` is not a host header"), Some(help), out);
                None
            }
        }
    }
}

impl Decode for bool {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        if let DeValue::Boolean(value) = node.get_ref() {
            return Some(*value);
        }
        wrong_type(node, key, "`true` or `false`", None, out);
        None
    }
}

/// Reports a number outside of its range.
fn out_of_range(node: &Node<'_>, key: &str, min: &str, max: &str, out: &mut Report) {
    out.push(
        Problem::error("out-of-range", node.span(), format!("`{key}` must be from {min} to {max}"))
            .label(format!("not from {min} to {max}")),
    );
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Count<const MIN: u64, const MAX: u64>(pub(crate) u64);
plain_schema!(Count<MIN, MAX>; [const MIN: u64, const MAX: u64], { "type": "integer", "minimum": MIN, "maximum": MAX });

impl<const MIN: u64, const MAX: u64> Count<MIN, MAX> {
    /// For sizes in memory. No range goes over 32 bits, so nothing is ever cut.
    pub(crate) fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// For ranges that fit; beyond, the most there is.
    pub(crate) fn as_u8(self) -> u8 {
        u8::try_from(self.0).unwrap_or(u8::MAX)
    }

    /// As above.
    pub(crate) fn as_u16(self) -> u16 {
        u16::try_from(self.0).unwrap_or(u16::MAX)
    }

    /// Nothing is ever cut, as above.
    pub(crate) fn as_u32(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> Decode for Count<MIN, MAX> {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let DeValue::Integer(number) = node.get_ref() else {
            let help = match node.get_ref() {
                DeValue::String(text) if text.parse::<u64>().is_ok() => Some(format!("write `{text}` without quotes")),
                _ => None,
            };
            wrong_type(node, key, "an integer", help, out);
            return None;
        };
        let number = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let number = number.filter(|n| (MIN..=MAX).contains(n));
        if number.is_none() {
            out_of_range(node, key, &MIN.to_string(), &MAX.to_string(), out);
        }
        number.map(Self)
    }
}

/// Status of a redirect to the same URL by HTTPS.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RedirectStatus(pub(crate) u16);
plain_schema!(RedirectStatus, { "enum": [301, 302, 307, 308] });

impl Decode for RedirectStatus {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let written = Count::<100, 599>::decode(node, key, out)?.0;
        let status = u16::try_from(written).ok().filter(|status| matches!(status, 301 | 302 | 307 | 308));
        if status.is_none() {
            bad_value(node, format!("`{key}` cannot be {written}"), Some("write 301, 302, 307 or 308".to_owned()), out);
        }
        status.map(Self)
    }
}

/// Requests per second: from 10^-6 to 10^9, or 0 for a throttle that lets nothing through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate(pub(crate) f64);
plain_schema!(Rate, { "type": "number", "minimum": 0, "maximum": 1e9 });

impl Decode for Rate {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let number = match node.get_ref() {
            DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix()).ok().map(|n| {
                // Over 2^53 digits are lost, but that is out of range anyway.
                n as f64
            }),
            DeValue::Float(n) => n.as_str().parse().ok(),
            _ => {
                wrong_type(node, key, "a number", Some("requests per second, as in `100` or `0.5`".to_owned()), out);
                return None;
            }
        };
        // NaN is in no range.
        let number = number.filter(|n: &f64| *n == 0.0 || (*n >= 1e-6 && *n <= 1e9));
        if number.is_none() {
            out_of_range(node, key, "0.000001 (or 0, with `burst = 0`)", "1000000000", out);
        }
        number.map(Self)
    }
}

/// A time from `MIN` to `MAX` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Time<const MIN: u64, const MAX: u64>(pub(crate) Duration);
plain_schema!(Time<MIN, MAX>; [const MIN: u64, const MAX: u64], {
    "type": "string",
    "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
    "minLength": 2,
    "examples": ["250ms", "5s", "1m30s"],
});

impl<const MIN: u64, const MAX: u64> Decode for Time<MIN, MAX> {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        if let DeValue::Integer(number) = node.get_ref() {
            let help = format!("write `\"{number}s\"` for seconds or `\"{number}ms\"` for milliseconds");
            wrong_type(node, key, "a time with a unit", Some(help), out);
            return None;
        }
        match units::parse_duration(string(node, key, "a time as a string", out)?) {
            Ok(time) if time >= Duration::from_millis(MIN) && time <= Duration::from_millis(MAX) => Some(Self(time)),
            Ok(_) => {
                let text = |ms| units::format_duration(Duration::from_millis(ms));
                out_of_range(node, key, &text(MIN), &text(MAX), out);
                None
            }
            Err(error) => {
                bad_value(node, error.to_string(), error.help(), out);
                None
            }
        }
    }
}

/// A size from `MIN` to `MAX` bytes: a string with a unit, or an integer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Size<const MIN: u64, const MAX: u64>(pub(crate) u64);
plain_schema!(Size<MIN, MAX>; [const MIN: u64, const MAX: u64], {
    "type": ["string", "integer"],
    "pattern": "^[0-9]+( ?([KMGT]i?)?B)?$",
    "minimum": MIN,
    "maximum": MAX,
    "examples": ["64KiB", "10MiB"],
});

impl<const MIN: u64, const MAX: u64> Size<MIN, MAX> {
    /// For sizes in memory; a 32-bit system cannot hold more than its largest number anyway.
    pub(crate) fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> Decode for Size<MIN, MAX> {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let bytes = match node.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            DeValue::String(text) => match units::parse_size(text) {
                Ok(bytes) => Some(bytes),
                Err(error) => {
                    bad_value(node, error.to_string(), error.help(), out);
                    return None;
                }
            },
            _ => {
                wrong_type(node, key, "a size", units::SizeError::NotANumber(String::new()).help(), out);
                return None;
            }
        };
        let bytes = bytes.filter(|b| (MIN..=MAX).contains(b));
        if bytes.is_none() {
            out_of_range(node, key, &units::format_size(MIN), &units::format_size(MAX), out);
        }
        bytes.map(Self)
    }
}
