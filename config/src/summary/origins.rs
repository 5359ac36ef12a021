//! Origins and their groups in words.

use crate::model::{Balance, Config, HostHeader, Origin, OriginGroup, OriginHttp, OriginPool, OriginTls, TlsVersion};
use crate::units::format_duration;

pub(super) fn origin(origin: &Origin) -> Vec<String> {
    let scheme = if origin.tls { "https" } else { "http" };
    let host = if origin.host.contains(':') { format!("[{}]", origin.host) } else { origin.host.clone() };
    let mut notes = vec![
        match origin.http {
            OriginHttp::H1 => "HTTP/1.1",
            OriginHttp::H2 => "HTTP/2 or HTTP/1.1",
            OriginHttp::H2Only => "HTTP/2",
        }
        .to_owned(),
    ];
    match &origin.host_header {
        HostHeader::Origin => {}
        HostHeader::Viewer => notes.push("host of the viewer".to_owned()),
        HostHeader::Fixed(host) => notes.push(format!("host {host}")),
    }
    if origin.tls && !origin.verify_tls {
        notes.push("certificate not checked".to_owned());
    }
    if let Some(directory) = &origin.directory {
        return vec![origin.name.clone(), directory.display().to_string(), "files of this machine".to_owned()];
    }
    if let Some(sigv4) = &origin.sigv4 {
        let writes = if sigv4.write { "" } else { ", read only" };
        notes.push(format!("signed for {} in {}{writes}", sigv4.service, sigv4.region));
    }
    notes.extend(pool(&origin.pool));
    if let Some(check) = &origin.health_check {
        notes.push(format!("checked by {} every {}", check.path, format_duration(check.interval)));
    }
    notes.extend(trust(&origin.trust));
    let url = format!("{scheme}://{host}:{}{}", origin.port, origin.path_prefix);
    vec![origin.name.clone(), url, notes.join(", ")]
}

fn pool(pool: &OriginPool) -> Vec<String> {
    let mut notes = Vec::new();
    if !pool.addresses.is_empty() {
        let addresses: Vec<String> = pool
            .addresses
            .iter()
            .map(|(host, port)| if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
            .collect();
        notes.push(format!("at {}", addresses.join(" ")));
    }
    if pool.balance == Balance::LeastOutstanding {
        notes.push("fewest requests at work first".to_owned());
    }
    if let Some(most) = pool.max_requests {
        let wait =
            if pool.queue.is_zero() { String::new() } else { format!(", others wait {}", format_duration(pool.queue)) };
        notes.push(format!("{most} requests at once{wait}"));
    }
    if let Some(most) = pool.max_idle_connections {
        notes.push(format!("{most} idle connections"));
    }
    notes
}

fn trust(trust: &OriginTls) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(ca) = &trust.ca {
        notes.push(format!("authorities of {}", ca.display()));
    }
    if let Some((certificate, _)) = &trust.client {
        notes.push(format!("shows {}", certificate.display()));
    }
    if let Some(name) = &trust.sni {
        notes.push(format!("SNI {name}"));
    }
    if trust.min == TlsVersion::V1_3 {
        notes.push("TLS 1.3".to_owned());
    }
    notes
}

pub(super) fn group(config: &Config, group: &OriginGroup) -> Vec<String> {
    let members = group.members.iter().filter_map(|id| config.origins.get(id.0));
    let members: Vec<&str> = members.map(|origin| origin.name.as_str()).collect();
    let statuses: Vec<String> = group.statuses.iter().map(u16::to_string).collect();
    let on = if statuses.is_empty() { "no status".to_owned() } else { statuses.join(" ") };
    vec![group.name.clone(), members.join(", then "), format!("next one also on {on}")]
}
