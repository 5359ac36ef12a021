//! Origins that hooks choose by host. Their addresses are kept for as long as the snapshot, for so many hosts at most.

use std::collections::HashMap;
use std::sync::Arc;

use edgeweir_config::{self as model, HostHeader, OriginHttp, OriginPool, OriginTls};
use edgeweir_hookhost::DynamicOrigin;
use http::HeaderValue;
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
        let config = model::Origin {
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
        };
        let host_header = match &chosen.host_header {
            Some(host) => Some(host.clone()),
            None => HeaderValue::from_str(&own_host(&config)).ok(),
        };
        let key = (chosen.host.clone(), chosen.port);
        let mut known = self.known.lock();
        let old = known.get(&key).map(Arc::clone);
        let origin = Origin::new(config, host_header, Vec::new(), old.as_deref(), self.outside.clone());
        let origin = Arc::new(origin.chosen_by_hook(!chosen.listed));
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
