//! Response headers policies.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::de::DeValue;

use super::Cors;
use crate::decode::{Decode, HeaderName, List, Node, Time, bad_value, keyword, string, table, wrong_type};
use crate::report::{Problem, Report};
use crate::units::check_header_value;

/// Ten years: browsers take any time for HSTS.
const LONGEST: u64 = 3_650 * 86_400_000;

table! {
    /// What is put on and taken off answers on their way to viewers (CloudFront: "response headers policies").
    ResponseHeadersPolicy {
        /// Names of header fields that are taken off.
        remove_headers: Opt<List<HeaderName>>,
        /// Header fields for the security of pages.
        security_headers: Opt<SecurityHeaders>,
        /// Any other header fields.
        custom_headers: Opt<List<CustomHeader>>,
        /// Which pages of other origins may use it (CORS). A `cors` of the behavior goes before it.
        cors: Opt<Cors>,
        /// Say in `Server-Timing` what the edge did and how long the origin took.
        server_timing: Opt<ServerTiming>,
    }
}

table! {
    /// A header field that is put on.
    CustomHeader {
        /// Its name.
        header: Req<HeaderName>,
        /// Its value; may be empty.
        value: Req<HeaderText>,
        /// Take the place of what the origin or a hook says. `false`: only where they say nothing. Default: true.
        overrides as "override": Opt<bool>,
    }
}

table! {
    /// Header fields for the security of pages. Each has `override`: take the place of what the origin or a hook says;
    /// `false`: only where they say nothing. Default: true.
    SecurityHeaders {
        /// `Content-Security-Policy`.
        content_security_policy: Opt<HeaderValueTable>,
        /// `X-Content-Type-Options: nosniff`.
        content_type_options: Opt<OverrideTable>,
        /// `X-Frame-Options`.
        frame_options: Opt<FrameOptions>,
        /// `Referrer-Policy`.
        referrer_policy: Opt<ReferrerPolicy>,
        /// `Strict-Transport-Security`; sent to viewers with TLS only (RFC 6797, 7.2).
        strict_transport_security: Opt<StrictTransportSecurity>,
        /// `X-XSS-Protection`, for old browsers.
        xss_protection: Opt<XssProtection>,
    }
}

table! {
    /// A header field with any value.
    HeaderValueTable {
        /// Its value.
        value: Req<HeaderText>,
        /// Take the place of what the origin or a hook says. Default: true.
        overrides as "override": Opt<bool>,
    }
}

table! {
    /// A header field with one possible value.
    OverrideTable {
        /// Take the place of what the origin or a hook says. Default: true.
        overrides as "override": Opt<bool>,
    }
}

table! {
    /// `X-Frame-Options` (RFC 7034).
    FrameOptions {
        /// "DENY" or "SAMEORIGIN".
        value: Req<FrameOption>,
        /// Take the place of what the origin or a hook says. Default: true.
        overrides as "override": Opt<bool>,
    }
}

table! {
    /// `Referrer-Policy`.
    ReferrerPolicy {
        /// "no-referrer", "no-referrer-when-downgrade", "origin", "origin-when-cross-origin", "same-origin",
        /// "strict-origin", "strict-origin-when-cross-origin" or "unsafe-url".
        value: Req<Referrer>,
        /// Take the place of what the origin or a hook says. Default: true.
        overrides as "override": Opt<bool>,
    }
}

table! {
    /// `Strict-Transport-Security` (RFC 6797).
    StrictTransportSecurity {
        /// How long browsers ask with TLS only, up to 3650d.
        max_age: Req<Time<0, LONGEST>>,
        /// For all names below the host too. Default: false.
        include_subdomains: Opt<bool>,
        /// The host may be put on the list that browsers have from the start. Default: false.
        preload: Opt<bool>,
        /// Take the place of what the origin or a hook says. Default: true.
        overrides as "override": Opt<bool>,
    }
}

table! {
    /// `X-XSS-Protection`.
    XssProtection {
        /// `1` or `0`.
        protection: Req<bool>,
        /// `mode=block`. Default: false.
        mode_block: Opt<bool>,
        /// `report=`; not together with `mode_block`.
        report_uri: Opt<HeaderText>,
        /// Take the place of what the origin or a hook says. Default: true.
        overrides as "override": Opt<bool>,
    }
}

table! {
    /// `Server-Timing` (W3C), with CloudFront's names.
    ServerTiming {
        /// Percentage of the answers that have it, 0 to 100, with up to four decimals. Viewers who send
        /// `Pragma: server-timing` always get it.
        sampling_rate: Req<Percentage>,
    }
}

/// The value of a header field; may be empty.
#[derive(Debug, Clone)]
pub(crate) struct HeaderText(pub(crate) String);

impl Decode for HeaderText {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let text = string(node, key, "a string", out)?;
        match check_header_value(text) {
            Ok(()) => Some(Self(text.to_owned())),
            Err(error) => {
                bad_value(node, error.to_string(), error.help(), out);
                None
            }
        }
    }
}

impl JsonSchema for HeaderText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "HeaderText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": 1783 })
    }
}

/// Parts of a million.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Percentage(pub(crate) u32);

impl Decode for Percentage {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let number: Option<f64> = match node.get_ref() {
            DeValue::Integer(number) => {
                // What has more digits than a float keeps is out of range.
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number as f64)
            }
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => {
                wrong_type(node, key, "a number", Some("a percentage, as in `50` or `0.01`".to_owned()), out);
                return None;
            }
        };
        let Some(number) = number.filter(|number| (0.0..=100.0).contains(number)) else {
            out.push(
                Problem::error("out-of-range", node.span(), format!("`{key}` must be from 0 to 100"))
                    .label("not from 0 to 100"),
            );
            return None;
        };
        // In range, so nothing is cut.
        Some(Self((number * 10_000.0).round() as u32))
    }
}

impl JsonSchema for Percentage {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Percentage".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 100 })
    }
}

/// A value that is one of a few words, kept as it is sent.
macro_rules! sent_words {
    ($(#[$doc:meta])* $name:ident [$($word:literal),+ $(,)?]) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name(pub(crate) &'static str);

        impl Decode for $name {
            fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
                keyword(node, key, &[$(($word, Self($word))),+], out)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "enum": [$($word),+] })
            }
        }
    };
}

sent_words! {
    /// Values of `X-Frame-Options`.
    FrameOption ["DENY", "SAMEORIGIN"]
}
sent_words! {
    /// Values of `Referrer-Policy`.
    Referrer [
        "no-referrer",
        "no-referrer-when-downgrade",
        "origin",
        "origin-when-cross-origin",
        "same-origin",
        "strict-origin",
        "strict-origin-when-cross-origin",
        "unsafe-url",
    ]
}
