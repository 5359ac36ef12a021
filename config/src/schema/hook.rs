//! Hooks, and their use at a stage of a behavior.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::Spanned;

use super::{Secret, Settings};
use crate::decode::{
    Count, Decode, FilePath, List, Named, Node, Opt, Req, Size, Text, Time, keywords, string, table, wrong_type,
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
    /// The secrets that it may read.
    pub(crate) secrets: Opt<Secrets>,
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
        /// Secrets that the hook may read, by name: name = "text", { file = "…" } or { env = "…" }. A hook that
        /// reads any needs this key; `{}` gives it none. Default: not allowed.
        secrets: Opt<Secrets>,
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
            let BindingTable { hook, settings, key_value_stores, secrets, on_failure, on_errors } =
                BindingTable::decode(node, key, out)?;
            return Some(Self { hook, settings, key_value_stores, secrets, on_failure, on_errors });
        }
        let name = string(node, key, "the name of a hook or `{ hook = … }`", out)?;
        let hook = Req::Given(Spanned::new(node.span(), Text(name.to_owned())));
        Some(Self {
            hook,
            settings: Opt::Absent,
            key_value_stores: Opt::Absent,
            secrets: Opt::Absent,
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

/// Secrets by name.
#[derive(Debug)]
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
