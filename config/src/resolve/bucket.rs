//! Buckets and directories as origins.

use std::path::Path;

use super::secret;
use crate::model::SigV4;
use crate::schema;
use crate::units::OriginUrl;

/// Where an origin is. A directory is nowhere: what looks for its address finds this machine.
pub(super) fn place(written: &schema::Origin) -> Option<OriginUrl> {
    if !written.directory.is_absent() {
        return Some(OriginUrl { tls: false, host: "localhost".to_owned(), port: 80, path_prefix: String::new() });
    }
    Some(written.url.value()?.0.clone())
}

pub(super) fn sigv4(written: &schema::Origin, base: &Path) -> Option<SigV4> {
    let written = written.sigv4.value()?;
    Some(SigV4 {
        region: written.region.value()?.0.clone(),
        service: written.service.value().map_or_else(|| "s3".to_owned(), |text| text.0.clone()),
        access_key: secret(&written.access_key.value()?.0, base),
        secret_key: secret(&written.secret_key.value()?.0, base),
        session_token: written.session_token.value().map(|token| secret(&token.0, base)),
        write: written.write.value().copied().unwrap_or(false),
        query: written
            .query
            .value()
            .map(|list| list.items.iter().map(|name| name.get_ref().0.clone()).collect())
            .unwrap_or_default(),
    })
}
