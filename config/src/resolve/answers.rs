//! Gateway responses and CORS.

use crate::decode::{List, Named, Text};
use crate::model::{Cors, GatewayResponse, ResponseType};
use crate::schema;

/// What a body is, if nothing else is said.
const JSON: &str = "application/json";

pub(super) fn responses(written: Option<&Named<schema::GatewayResponse>>) -> Vec<GatewayResponse> {
    let written = written.into_iter().flat_map(|named| named.iter());
    let response = |(name, written): (&toml::Spanned<String>, &schema::GatewayResponse)| {
        let (_, kind) = ResponseType::ALL.into_iter().find(|(known, _)| known == name.get_ref())?;
        let headers = written.headers.value().into_iter().flat_map(|named| named.iter());
        Some(GatewayResponse {
            kind,
            status: written.status.value().and_then(|status| u16::try_from(status.0).ok()),
            headers: headers.map(|(name, value)| (name.get_ref().to_ascii_lowercase(), value.0.clone())).collect(),
            body: written.body.value().map(|body| body.0.clone()),
            content_type: written.content_type.value().map_or_else(|| JSON.to_owned(), |text| text.0.clone()),
        })
    };
    written.filter_map(response).collect()
}

pub(super) fn cors(written: Option<&schema::Cors>) -> Option<Cors> {
    let written = written?;
    let texts = |list: Option<&List<Text>>| -> Vec<String> {
        list.map(|list| list.items.iter().map(|text| text.get_ref().0.clone()).collect()).unwrap_or_default()
    };
    Some(Cors {
        origins: written.origins.value()?.items.iter().map(|origin| origin.get_ref().0.clone()).collect(),
        methods: written
            .methods
            .value()
            .map(|list| list.items.iter().map(|method| method.get_ref().0.clone()).collect())
            .unwrap_or_default(),
        headers: texts(written.headers.value()),
        expose: texts(written.expose.value()),
        credentials: written.credentials.value().copied().unwrap_or(false),
        max_age: written.max_age.value().map(|time| time.0),
        overrides: written.overrides.value().copied().unwrap_or(true),
    })
}
