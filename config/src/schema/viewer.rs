//! How the edge knows who asks, and under which names it tells of it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::Spanned;
use toml::de::DeValue;

use crate::decode::{Decode, HeaderName, Node, Text, keywords, string, table};
use crate::model::AddressHeader;
use crate::report::Report;

table! {
    /// How the edge knows who asks, and under which names it tells of it.
    Viewer {
        /// The field in which `trusted_proxies` say who asks: "x-forwarded-for", or "forwarded" (RFC 7239). The other one is
        /// not read. Default: "x-forwarded-for".
        address_header: Opt<AddressHeader>,
        /// What the names of fields with facts about the viewer begin with, in place of "CloudFront-", such as "Edge-". What
        /// viewers send under such a name is dropped. Default: "CloudFront-".
        header_prefix: Opt<HeaderName>,
    }
}

keywords!(AddressHeader { "x-forwarded-for" => XForwardedFor, "forwarded" => Forwarded });

/// A fact about the viewer, and the field that carries it if that is not the fact's own.
#[derive(Debug)]
pub(crate) struct ViewerHeader {
    pub(crate) fact: Spanned<String>,
    pub(crate) header: Option<Spanned<String>>,
}

table! {
    /// A fact about the viewer in a field of another name.
    RenamedViewerHeader {
        /// The name of the field. What viewers send under it is dropped.
        header: Req<HeaderName>,
        /// The fact, such as "CloudFront-Viewer-Country".
        fact: Req<Text>,
    }
}

impl Decode for ViewerHeader {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        if !matches!(node.get_ref(), DeValue::Table(_)) {
            let text = string(node, key, "a string or `{ header = …, fact = … }`", out)?;
            return Some(Self { fact: Spanned::new(node.span(), text.to_owned()), header: None });
        }
        let table = RenamedViewerHeader::decode(node, key, out)?;
        let (header, fact) = (table.header.given()?, table.fact.given()?);
        Some(Self {
            fact: Spanned::new(fact.span(), fact.get_ref().0.clone()),
            header: Some(Spanned::new(header.span(), header.get_ref().0.clone())),
        })
    }
}

impl JsonSchema for ViewerHeader {
    fn schema_name() -> Cow<'static, str> {
        "ViewerHeader".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "string", "minLength": 1 },
            generator.subschema_for::<RenamedViewerHeader>(),
        ] })
    }
}
