//! Custom error responses.

use crate::model::ErrorResponse;
use crate::schema;

pub(super) fn responses(written: &schema::Distribution) -> Vec<ErrorResponse> {
    let list = written.error_responses.value().map_or(&[][..], |list| list.items.as_slice());
    let response = |written: &schema::ErrorResponse| {
        let status = u16::try_from(written.status.value()?.0).ok()?;
        Some(ErrorResponse {
            status,
            page: written.page.value().map(|page| page.0.clone()),
            response_status: written
                .response_status
                .value()
                .and_then(|status| u16::try_from(status.0).ok())
                .unwrap_or(status),
            ttl: written.ttl.value().map(|ttl| ttl.0),
        })
    };
    list.iter().filter_map(|each| response(each.get_ref())).collect()
}
