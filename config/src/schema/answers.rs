//! What the edge answers by itself: gateway responses and CORS.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::decode::{Count, Decode, List, Method, Named, Node, Text, Time, bad_value, string, table};
use crate::report::Report;
use crate::units::{OriginPattern, Template};

/// A day in milliseconds: browsers keep no preflight longer.
const DAY: u64 = 86_400_000;

table! {
    /// What is different in the edge's own answers of a type.
    GatewayResponse {
        /// Another status, 200 to 599. Of `DEFAULT_4XX` and `DEFAULT_5XX`: for all answers without a setting of their own.
        status: Opt<Count<200, 599>>,
        /// Header fields, in place of the edge's: name = "value", with variables such as `$context.requestId`.
        headers: Opt<Named<TemplateText>>,
        /// Another body, with variables such as `$context.error.messageString`. What comes from the request is escaped for
        /// JSON, HTML and XML. Default: `{"message":$context.error.messageString}`.
        body: Opt<TemplateText>,
        /// Media type of the body. Default: "application/json".
        content_type: Opt<Text>,
    }
}

table! {
    /// Which pages of other origins may use a behavior. The edge answers preflights by itself, and its errors have the
    /// fields too.
    Cors {
        /// Whose pages: "https://app.example.com", "https://*.example.com", "*.example.com", "http://localhost:*", "*".
        origins: Req<List<WebOrigin>>,
        /// Methods. Default: those of the behavior.
        methods: Opt<List<Method>>,
        /// Request header fields; ["*"] for all but `Authorization`, which has to be listed. Default: none.
        headers: Opt<List<Text>>,
        /// Response header fields that pages may read; ["*"] for all. Default: none.
        expose: Opt<List<Text>>,
        /// Whether browsers send cookies, client certificates and such, and let pages read the answers. Default: false.
        credentials: Opt<bool>,
        /// How long a browser keeps the answer to a preflight, up to 24h. Default: the browser's own time.
        max_age: Opt<Time<0, DAY>>,
        /// Take the place of what the origin says of CORS. `false`: only where it says nothing. Default: true.
        overrides as "override": Opt<bool>,
    }
}

/// A pattern of web origins.
#[derive(Debug)]
pub(crate) struct WebOrigin(pub(crate) OriginPattern);

impl Decode for WebOrigin {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        match OriginPattern::parse(string(node, key, "an origin as a string", out)?) {
            Ok(pattern) => Some(Self(pattern)),
            Err(error) => {
                bad_value(node, error.to_string(), error.help(), out);
                None
            }
        }
    }
}

impl JsonSchema for WebOrigin {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "WebOrigin".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["https://app.example.com", "https://*.example.com", "*"] })
    }
}

/// A text with variables.
#[derive(Debug)]
pub(crate) struct TemplateText(pub(crate) Template);

impl Decode for TemplateText {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        match Template::parse(string(node, key, "a string", out)?) {
            Ok(template) => Some(Self(template)),
            Err(error) => {
                bad_value(node, error.to_string(), error.help(), out);
                None
            }
        }
    }
}

impl JsonSchema for TemplateText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TemplateText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}
