//! Authorizers of behaviors.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::Spanned;

use super::hook::Secrets;
use super::{Binding, Settings};
use crate::decode::{Decode, List, Named, Node, Opt, Size, Text, Time, bad_value, string, table};
use crate::model::{CallerName, FailurePolicy, IdentitySource};
use crate::report::Report;
use crate::units::parse_header_name;

const MIB: u64 = 1 << 20;

table! {
    /// A hook that says who may use a behavior, asked before all other hooks.
    Authorizer {
        /// Name of the hook; it has to have an authorizer.
        hook: Req<Text>,
        /// What tells who asks: "header:NAME", "query:NAME", "cookie:NAME", "method", "path", "address". Each has to be
        /// there, or the answer is 401 without a call. Answers are kept under their values.
        /// Default: ["header:authorization"].
        identity: Opt<List<Identity>>,
        /// A regular expression that the token has to match, or the answer is 401 without a call. The token is the value of
        /// the first header, query parameter or cookie in `identity`. Default: any.
        identity_validation: Opt<Text>,
        /// How long an answer is kept, up to 1h; "0s" asks for each request. Default: "5m".
        ttl: Opt<Time<0, 3_600_000>>,
        /// What the hook is told, in its own terms. A value { file = "…" } or { env = "…" } inside is a secret that
        /// is read when the config is loaded.
        settings: Opt<Settings>,
        /// Names of the key-value stores that the hook may read.
        key_value_stores: Opt<List<Text>>,
        /// Names of the key sets that the hook may check signatures of tokens with. Default: none.
        jwks: Opt<List<Text>>,
        /// Secrets that the hook may read, by name.
        secrets: Opt<Secrets>,
        /// Names of the origins that the hook may send requests to.
        fetch: Opt<List<Text>>,
        /// Largest body of an answer to `fetch`, at most 8MiB. Default: "1MiB".
        fetch_max: Opt<Size<1, {8 * MIB}>>,
        /// Headers that the origin and later hooks get, whatever the viewer sent: name = "principal" or "context:NAME".
        /// Default: none.
        headers: Opt<Named<Said>>,
        /// Let callers with different `headers` share cached responses. Default: false, they are in the cache key.
        share_cache: Opt<bool>,
        /// `WWW-Authenticate` of a 401, unless the hook says one. Default: "Bearer".
        challenge: Opt<Text>,
        /// What happens when the hook fails: "closed" answers with 500, "last-good" calls the newest version before a reload
        /// that worked. Default: "closed".
        on_failure: Opt<FailurePolicy>,
    }
}

impl Authorizer {
    /// What it has in common with other uses of hooks.
    pub(crate) fn as_binding(node: &Spanned<Self>) -> Spanned<Binding> {
        fn again<T: Clone, const REQUIRED: bool>(
            field: &crate::decode::Field<T, REQUIRED>,
        ) -> crate::decode::Field<T, REQUIRED> {
            use crate::decode::Field;
            match field {
                Field::Absent => Field::Absent,
                Field::Broken => Field::Broken,
                Field::Given(value) => Field::Given(value.clone()),
            }
        }
        let written = node.get_ref();
        let binding = Binding {
            hook: again(&written.hook),
            settings: again(&written.settings),
            key_value_stores: again(&written.key_value_stores),
            jwks: again(&written.jwks),
            secrets: again(&written.secrets),
            request_body: Opt::Absent,
            fetch: again(&written.fetch),
            fetch_max: again(&written.fetch_max),
            dynamic_origins: Opt::Absent,
            on_failure: again(&written.on_failure),
            on_errors: Opt::Absent,
        };
        Spanned::new(node.span(), binding)
    }
}

/// A part of a request that tells who asks.
#[derive(Debug, Clone)]
pub(crate) struct Identity(pub(crate) IdentitySource);

impl Decode for Identity {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let text = string(node, key, "a string", out)?;
        let source = match text.split_once(':') {
            None => match text {
                "method" => Some(IdentitySource::Method),
                "path" => Some(IdentitySource::Path),
                "address" => Some(IdentitySource::Address),
                _ => None,
            },
            Some(("header", name)) => parse_header_name(name).ok().map(IdentitySource::Header),
            Some(("query", name)) if !name.is_empty() => Some(IdentitySource::Query(name.to_owned())),
            Some(("cookie", name)) if !name.is_empty() => Some(IdentitySource::Cookie(name.to_owned())),
            Some(_) => None,
        };
        if source.is_none() {
            let help = "write `header:NAME`, `query:NAME`, `cookie:NAME`, `method`, `path` or `address`".to_owned();
            bad_value(node, format!("`{}` is no identity source", text.escape_debug()), Some(help), out);
        }
        source.map(Self)
    }
}

impl JsonSchema for Identity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Identity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(method|path|address|(header|query|cookie):.+)$" })
    }
}

/// What the authorizer says.
#[derive(Debug, Clone)]
pub(crate) struct Said(pub(crate) CallerName);

impl Decode for Said {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let text = string(node, key, "a string", out)?;
        let name = match text.split_once(':') {
            None if text == "principal" => Some(CallerName::Principal),
            Some(("context", name)) if !name.is_empty() => Some(CallerName::Context(name.to_owned())),
            _ => None,
        };
        if name.is_none() {
            let help = "write `principal` or `context:NAME`".to_owned();
            bad_value(node, format!("an authorizer does not say `{}`", text.escape_debug()), Some(help), out);
        }
        name.map(Self)
    }
}

impl JsonSchema for Said {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Said".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(principal|context:.+)$" })
    }
}
