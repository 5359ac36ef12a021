//! Limits: how often, and how many at once.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Throttle;
use crate::decode::{Count, Decode, Method, Node, Rate, Text, bad_value, string, table};
use crate::model::CallerName;
use crate::report::Report;
use crate::units::parse_header_name;

/// Most requests at once.
const MOST: u64 = 10_000_000;

table! {
    /// Limits of the whole edge: they count each request that finds a behavior.
    Limits {
        /// For all requests together. Default: no limit.
        throttle: Opt<Throttle>,
        /// Requests at work at once, 1 to 10,000,000; more are answered with 429. Default: no limit.
        concurrency: Opt<Count<1, MOST>>,
        /// For each viewer's address by itself. Default: no limit.
        per_address: Opt<PerAddress>,
    }
}

table! {
    /// Limits of each viewer's address by itself: `rate` and `burst`, `concurrency`, or all.
    PerAddress {
        /// Requests per second; fractions are allowed. 0 with a `burst` of 0 refuses all.
        rate: Opt<Rate>,
        /// Requests that may come at once.
        burst: Opt<Count<0, 1_000_000_000>>,
        /// Requests at work at once.
        concurrency: Opt<Count<1, MOST>>,
        /// Leading bits of an IPv4 address that count as one viewer, 8 to 32. Default: 32.
        ipv4_prefix: Opt<Count<8, 32>>,
        /// Leading bits of an IPv6 address that count as one viewer, 16 to 128. Default: 64.
        ipv6_prefix: Opt<Count<16, 128>>,
        /// How many viewers have a bucket of their own at once, 8 to 16,777,216; 24 bytes of memory for each. If more are
        /// active, newcomers may be refused early; nobody gets more. Default: 65536.
        max_clients: Opt<Count<8, 16_777_216>>,
    }
}

table! {
    /// Limits of each caller by itself: `rate` and `burst`, `concurrency`, or all.
    PerCaller {
        /// Who a caller is: "header:NAME" for the value of a header, "principal" or "context:NAME" for what the
        /// behavior's authorizer says. Requests without it count as one caller.
        by: Req<Caller>,
        /// Requests per second; fractions are allowed. 0 with a `burst` of 0 refuses all.
        rate: Opt<Rate>,
        /// Requests that may come at once.
        burst: Opt<Count<0, 1_000_000_000>>,
        /// Requests at work at once.
        concurrency: Opt<Count<1, MOST>>,
        /// How many callers have a bucket of their own at once, 8 to 16,777,216. Default: 65536.
        max_clients: Opt<Count<8, 16_777_216>>,
    }
}

table! {
    /// What each key of a plan may use of some methods or behaviors, besides the plan's `throttle`. `path`, `method`, or
    /// both.
    MethodThrottle {
        /// Only in this distribution. Default: in all of the plan's.
        distribution: Opt<Text>,
        /// Only for the behaviors with this path, spelled as there. Default: for all.
        path: Opt<Text>,
        /// Only for this method. Default: for all together.
        method: Opt<Method>,
        /// Requests per second; fractions are allowed. 0 with a `burst` of 0 refuses all.
        rate: Req<Rate>,
        /// Requests that may come at once, at least 1, or 0 with a `rate` of 0.
        burst: Req<Count<0, 1_000_000_000>>,
    }
}

/// What names a caller.
#[derive(Debug)]
pub(crate) struct Caller(pub(crate) CallerName);

impl Decode for Caller {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let text = string(node, key, "a string", out)?;
        let name = match text.split_once(':') {
            None if text == "principal" => Some(CallerName::Principal),
            Some(("header", name)) => parse_header_name(name).ok().map(CallerName::Header),
            Some(("context", name)) if !name.is_empty() => Some(CallerName::Context(name.to_owned())),
            _ => None,
        };
        if name.is_none() {
            let help = "write `header:NAME`, `principal` or `context:NAME`".to_owned();
            bad_value(node, format!("`{}` names no caller", text.escape_debug()), Some(help), out);
        }
        name.map(Self)
    }
}

impl JsonSchema for Caller {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Caller".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(principal|header:.+|context:.+)$" })
    }
}
