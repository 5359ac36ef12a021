//! Hooks, and their use at a stage of a behavior.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::Spanned;
use toml::de::DeValue;

use super::{Secret, Settings};
use crate::decode::{
    Count, Decode, FilePath, Host, List, Named, Node, Opt, Req, Size, Text, Time, keywords, string, table, wrong_type,
};
use crate::model::FailurePolicy;
use crate::report::Report;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

table! {
    /// A WASM hook. Either `file` or `deployed = true`.
    Hook {
        /// The `.wasm` file, at most 10MiB.
        file: Opt<FilePath>,
        /// `true`: the version that `edgeweir hook deploy FILE --as NAME` put in force last, from the state folder.
        deployed: Opt<bool>,
        /// Longest time of one call, 1ms to 30s. Default: "50ms".
        timeout: Opt<Time<1, 30_000>>,
        /// Memory of one call, 64KiB to 64MiB. Default: "16MiB".
        memory: Opt<Size<{64 * KIB}, {64 * MIB}>>,
        /// Calls at once, 1 to 20,000. More wait for a place, at most for `timeout`, and then fail with 503. Default: 256.
        max_concurrent: Opt<Count<1, 20_000>>,
    }
}

/// Use of a hook: its name, or a table.
#[derive(Debug)]
pub(crate) struct Binding {
    /// Name of the hook.
    pub(crate) hook: Req<Text>,
    /// What it is told.
    pub(crate) settings: Opt<Settings>,
    /// The stores that it may read.
    pub(crate) key_value_stores: Opt<List<Text>>,
    /// The key sets that it may use.
    pub(crate) jwks: Opt<List<Text>>,
    /// The secrets that it may read.
    pub(crate) secrets: Opt<Secrets>,
    /// Whether it may read and replace the request's body.
    pub(crate) request_body: Opt<RequestBody>,
    /// The origins that it may send requests to.
    pub(crate) fetch: Opt<List<Text>>,
    /// The largest answer to them.
    pub(crate) fetch_max: Opt<Size<1, { 8 * MIB }>>,
    /// Hosts that it may choose as origins.
    pub(crate) dynamic_origins: Opt<List<Host>>,
    /// What happens when it fails.
    pub(crate) on_failure: Opt<FailurePolicy>,
    /// Whether it also sees errors.
    pub(crate) on_errors: Opt<bool>,
}

table! {
    /// Use of a hook with settings.
    BindingTable {
        /// Name of the hook.
        hook: Req<Text>,
        /// What the hook is told, in its own terms. A value { file = "…" } or { env = "…" } inside is a secret that
        /// is read when the config is loaded.
        settings: Opt<Settings>,
        /// Names of the key-value stores that the hook may read. A hook that reads any needs this key; `[]` gives it
        /// none. Default: not allowed.
        key_value_stores: Opt<List<Text>>,
        /// Names of the key sets that the hook may check signatures of tokens with. Default: none.
        jwks: Opt<List<Text>>,
        /// Secrets that the hook may read, by name: name = "text", { file = "…" } or { env = "…" }. A hook that
        /// reads any needs this key; `{}` gives it none. Default: not allowed.
        secrets: Opt<Secrets>,
        /// Only at viewer-request and origin-request: the hook may read the request's body, and replace it. `true`, or
        /// the most bytes that it may read, 1B to 4MiB. The edge then waits for the body before it calls the hook.
        /// Default: false; `true` stands for "40KiB" at viewer-request and "1MiB" at origin-request.
        request_body: Opt<RequestBody>,
        /// Names of the origins that the hook may send requests to, inside its `timeout`. A hook that sends any needs
        /// this key; `[]` gives it none. Default: not allowed.
        fetch: Opt<List<Text>>,
        /// Largest body of an answer to `fetch`, at most 8MiB; more is an error for the hook. Default: "1MiB".
        fetch_max: Opt<Size<1, {8 * MIB}>>,
        /// Only at viewer-request and origin-request: hosts that the hook may choose as origins besides those of the config: names,
        /// addresses, or `*.example.com`. Addresses of this machine and of private networks are refused, unless the
        /// host is listed in full. Default: none.
        dynamic_origins: Opt<List<Host>>,
        /// What happens when the hook fails: "closed" answers with an error, "open" goes on without the hook, "last-good"
        /// calls the newest version before a reload that worked, and is "closed" if there is none. Default: "closed".
        on_failure: Opt<FailurePolicy>,
        /// Only at viewer-response: run it also on answers of the origin with status 400 and up, and on the edge's own
        /// errors. Default: false, as in CloudFront.
        on_errors: Opt<bool>,
    }
}

keywords!(FailurePolicy { "closed" => Closed, "open" => Open, "last-good" => LastGood });

impl Decode for Binding {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        if node.get_ref().is_table() {
            let BindingTable {
                hook,
                settings,
                key_value_stores,
                jwks,
                secrets,
                request_body,
                fetch,
                fetch_max,
                dynamic_origins,
                on_failure,
                on_errors,
            } = BindingTable::decode(node, key, out)?;
            return Some(Self {
                hook,
                settings,
                key_value_stores,
                jwks,
                secrets,
                request_body,
                fetch,
                fetch_max,
                dynamic_origins,
                on_failure,
                on_errors,
            });
        }
        let name = string(node, key, "the name of a hook or `{ hook = … }`", out)?;
        let hook = Req::Given(Spanned::new(node.span(), Text(name.to_owned())));
        Some(Self {
            hook,
            settings: Opt::Absent,
            key_value_stores: Opt::Absent,
            jwks: Opt::Absent,
            secrets: Opt::Absent,
            request_body: Opt::Absent,
            fetch: Opt::Absent,
            fetch_max: Opt::Absent,
            dynamic_origins: Opt::Absent,
            on_failure: Opt::Absent,
            on_errors: Opt::Absent,
        })
    }
}

impl JsonSchema for Binding {
    fn schema_name() -> Cow<'static, str> {
        "Binding".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "string", "minLength": 1 },
            generator.subschema_for::<BindingTable>(),
        ] })
    }
}

/// The largest body that a hook may read.
const MAX_BODY: u64 = 4 * MIB;

/// How much of the request's body a hook may read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RequestBody {
    /// As much as the stage allows by default, or nothing.
    Switch(bool),
    /// So many bytes.
    Bytes(u64),
}

impl Decode for RequestBody {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        match node.get_ref() {
            DeValue::Boolean(value) => Some(Self::Switch(*value)),
            DeValue::String(_) | DeValue::Integer(_) => {
                Size::<1, MAX_BODY>::decode(node, key, out).map(|size| Self::Bytes(size.0))
            }
            _ => {
                let help = "write `true`, or the most bytes that the hook may read, as in `\"100KiB\"`".to_owned();
                wrong_type(node, key, "`true`, `false` or a size", Some(help), out);
                None
            }
        }
    }
}

impl JsonSchema for RequestBody {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RequestBody".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "type": "boolean" }, Size::<1, MAX_BODY>::json_schema(generator)] })
    }
}

/// Secrets by name.
#[derive(Debug, Clone)]
pub(crate) struct Secrets(pub(crate) Named<Secret>);

impl Decode for Secrets {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        if !node.get_ref().is_table() {
            // Whatever it is, it was meant to be secret.
            out.hide(node.span());
            let help = "write `{ NAME = { env = \"…\" } }`".to_owned();
            wrong_type(node, key, "a table of secrets", Some(help), out);
            return None;
        }
        Named::decode(node, key, out).map(Self)
    }
}

impl JsonSchema for Secrets {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secrets".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Named::<Secret>::json_schema(generator)
    }
}
