//! Origins that hooks choose by host. Their addresses are kept for as long as the snapshot, for so many hosts at most.

use std::collections::HashMap;
use std::sync::Arc;

use edgeweir_config::{self as model, HostHeader, OriginHttp, OriginPool, OriginTls};
use edgeweir_hookhost::{DynamicOrigin, OriginChange};
use http::{HeaderName, HeaderValue};
use parking_lot::Mutex;

use super::{Origin, Outside, own_host};

/// Hosts whose addresses are kept; when there are more, any one of them is forgotten and resolved again when it is needed.
const MAX_HOSTS: usize = 1024;

/// Host and port.
type Place = (Box<str>, u16);

/// The hosts that were chosen so far.
pub struct DynamicOrigins {
    /// By host and port. Asked only by requests that have such an origin.
    known: Mutex<HashMap<Place, Arc<Origin>>>,
    outside: Outside,
}

impl std::fmt::Debug for DynamicOrigins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamicOrigins").field("known", &self.known.lock().len()).finish_non_exhaustive()
    }
}

impl DynamicOrigins {
    /// None yet.
    #[must_use]
    pub fn new(outside: Outside) -> Self {
        Self { known: Mutex::default(), outside }
    }

    /// The origin that a hook chose, with the timeouts of the one that it takes the place of; with none of its headers,
    /// which may be secrets.
    #[must_use]
    pub fn get(&self, chosen: &DynamicOrigin, instead_of: &model::Origin) -> Arc<Origin> {
        let config = config(chosen, instead_of);
        let host_header = match &chosen.host_header {
            Some(host) => Some(host.clone()),
            None => HeaderValue::from_str(&own_host(&config)).ok(),
        };
        self.kept(config, host_header, Vec::new(), !chosen.listed)
    }

    /// An origin of the config that a hook changed, or another host in its place, which gets none of its headers; none if
    /// it is more than a server that is asked over HTTP, and its host is to stay.
    #[must_use]
    pub fn changed(&self, change: &OriginChange, origin: &Origin) -> Option<Arc<Origin>> {
        let own = &origin.config;
        let tls = change.tls.unwrap_or(own.tls);
        let usual = if tls { 443 } else { 80 };
        let instead = match &change.host {
            Some((host, _)) => {
                let port = change.port.unwrap_or(if tls == own.tls { own.port } else { usual });
                DynamicOrigin {
                    tls,
                    host: host.clone(),
                    port,
                    path_prefix: "".into(),
                    host_header: None,
                    listed: false,
                }
            }
            None if own.directory.is_some() || own.sigv4.is_some() || own.trust != OriginTls::default() => return None,
            None => DynamicOrigin {
                tls,
                host: own.host.as_str().into(),
                port: own.port,
                path_prefix: "".into(),
                host_header: None,
                listed: true,
            },
        };
        let mut config = config(&instead, own);
        config.path_prefix = change.path_prefix.as_deref().unwrap_or(&own.path_prefix).into();
        config.connect_timeout = change.connect_timeout.unwrap_or(own.connect_timeout);
        config.read_timeout = change.read_timeout.unwrap_or(own.read_timeout);
        let stays = change.host.is_none();
        if stays {
            config.http = own.http;
            config.verify_tls = own.verify_tls;
            config.pool.addresses.clone_from(&own.pool.addresses);
        }
        let host_header = match &change.host_header {
            Some(host) => Some(host.clone()),
            None if stays => origin.host_header.clone(),
            None => HeaderValue::from_str(&own_host(&config)).ok(),
        };
        let headers = match &change.headers {
            Some(headers) if stays && change.keeps_headers => {
                let is_other = |(name, _): &&(HeaderName, HeaderValue)| headers.iter().all(|(new, _)| new != name);
                origin.headers.iter().filter(is_other).chain(headers).cloned().collect()
            }
            Some(headers) => headers.clone(),
            None if stays => origin.headers.clone(),
            None => Vec::new(),
        };
        let public_only = change.host.as_ref().is_some_and(|(_, listed)| !listed);
        Some(self.kept(config, host_header, headers, public_only))
    }

    /// With the addresses that are known of this host and port.
    fn kept(
        &self,
        config: model::Origin,
        host_header: Option<HeaderValue>,
        headers: Vec<(HeaderName, HeaderValue)>,
        public_only: bool,
    ) -> Arc<Origin> {
        let key = (config.host.as_str().into(), config.port);
        let mut known = self.known.lock();
        let old = known.get(&key).map(Arc::clone);
        let origin = Origin::new(config, host_header, headers, old.as_deref(), self.outside.clone());
        let origin = Arc::new(origin.chosen_by_hook(public_only));
        if old.is_none() {
            if known.len() >= MAX_HOSTS
                && let Some(any) = known.keys().next().cloned()
            {
                known.remove(&any);
            }
            known.insert(key, Arc::clone(&origin));
        }
        origin
    }
}

/// An origin like another one, at a host that a hook chose.
fn config(chosen: &DynamicOrigin, instead_of: &model::Origin) -> model::Origin {
    model::Origin {
        name: format!("dynamic:{}", chosen.host),
        tls: chosen.tls,
        host: chosen.host.clone().into(),
        port: chosen.port,
        path_prefix: chosen.path_prefix.clone().into(),
        host_header: HostHeader::Origin,
        http: OriginHttp::H1,
        verify_tls: true,
        headers: Vec::new(),
        pool: OriginPool {
            addresses: Vec::new(),
            max_requests: None,
            max_idle_connections: None,
            ..instead_of.pool.clone()
        },
        health_check: None,
        trust: OriginTls::default(),
        directory: None,
        sigv4: None,
        ..instead_of.clone()
    }
}
