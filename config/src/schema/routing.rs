//! Which requests a behavior takes, beside its path, and from whom: conditions, geo restriction, viewer protocol.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::Spanned;
use toml::de::DeValue;

use crate::decode::{Count, Country, Decode, List, Method, Network, Node, ValuePattern, keywords, table, wrong_type};
use crate::model::{Continent, UnknownViewer, ViewerProtocolPolicy};
use crate::report::{Problem, Report};

table! {
    /// Conditions of a behavior beside its path. A request must meet all of them; of several values of one, any.
    Match {
        /// Header fields: name = "value" or ["value", "…"], where `*` is any number of characters. "*" alone: it must be there.
        headers: Opt<Wanted>,
        /// Cookies, as `headers`. Their names are case-sensitive.
        cookies: Opt<Wanted>,
        /// Parameters of the query, as `headers`, percent-decoded. Their names are case-sensitive.
        query: Opt<Wanted>,
        /// Methods: with others the next behavior has its turn, where `methods` of the behavior refuses them.
        methods: Opt<List<Method>>,
        /// Countries of viewers (ISO 3166-1 alpha-2), by the geo databases.
        countries: Opt<List<Country>>,
    }
}

table! {
    /// Which viewers are refused with 403 for where they are. An empty one in a behavior lifts the distribution's.
    GeoRestriction {
        /// Only these are let in.
        allow: Opt<GeoList>,
        /// These are refused, also if `allow` has them.
        deny: Opt<GeoList>,
        /// What becomes of viewers whose country no database knows: "allow" or "deny". Default: "deny" with `allow`, else
        /// "allow".
        unknown: Opt<UnknownViewer>,
    }
}

table! {
    /// Viewers by where they are: who is in any of the lists is meant.
    GeoList {
        /// Countries (ISO 3166-1 alpha-2), such as "CH".
        countries: Opt<List<Country>>,
        /// Continents: "AF", "AN", "AS", "EU", "NA", "OC", "SA".
        continents: Opt<List<Continent>>,
        /// Numbers of autonomous systems, such as 64500.
        asns: Opt<List<Count<1, 4_294_967_295>>>,
        /// Networks, such as "192.0.2.0/24". They need no geo database.
        cidrs: Opt<List<Network>>,
    }
}

keywords!(ViewerProtocolPolicy {
    "allow-all" => AllowAll, "redirect-to-https" => RedirectToHttps, "https-only" => HttpsOnly,
});
keywords!(UnknownViewer { "allow" => Allow, "deny" => Deny });
keywords!(Continent {
    "AF" => Africa, "AN" => Antarctica, "AS" => Asia, "EU" => Europe, "NA" => NorthAmerica, "OC" => Oceania,
    "SA" => SouthAmerica,
});

/// Named things and the patterns of which their value must match one.
#[derive(Debug)]
pub(crate) struct Wanted(pub(crate) Vec<(Spanned<String>, Vec<Spanned<ValuePattern>>)>);

impl Decode for Wanted {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            wrong_type(node, key, "a table of names", Some(format!("write `{key} = {{ name = \"value\" }}`")), out);
            return None;
        };
        let mut wanted = Vec::with_capacity(table.len());
        for (name, value) in table {
            let patterns = match value.get_ref() {
                DeValue::Array(_) => List::<ValuePattern>::decode(value, name.get_ref(), out).map(|list| list.items),
                _ => ValuePattern::decode(value, name.get_ref(), out).map(|one| vec![Spanned::new(value.span(), one)]),
            };
            if patterns.as_ref().is_some_and(Vec::is_empty)
                && matches!(value.get_ref(), DeValue::Array(all) if all.is_empty())
            {
                out.push(
                    Problem::error("empty-list", value.span(), "no value would match")
                        .help("write `\"*\"` for any value"),
                );
            }
            wanted.extend(patterns.map(|patterns| (Spanned::new(name.span(), name.get_ref().to_string()), patterns)));
        }
        Some(Self(wanted))
    }
}

impl JsonSchema for Wanted {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Wanted".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<ValuePattern>();
        json_schema!({
            "type": "object",
            "additionalProperties": { "oneOf": [value, { "type": "array", "minItems": 1, "items": value }] },
        })
    }
}
