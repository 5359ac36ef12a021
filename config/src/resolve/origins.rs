//! Origins and their groups.

use std::path::Path;

use super::names::Names;
use super::{bucket, secret, time};
use crate::model::{
    Balance, HealthCheck, HostHeader, Origin, OriginGroup, OriginHttp, OriginId, OriginPool, OriginTls, TlsVersion,
};
use crate::report::Report;
use crate::schema::{self, File};

/// Statuses for which the next member of a group is asked by default.
const DEFAULT_STATUSES: [u16; 4] = [500, 502, 503, 504];

/// All origins.
pub(super) fn origins(file: &File, base: &Path) -> Vec<Origin> {
    let Some(origins) = file.origins.value() else { return Vec::new() };
    origins.iter().filter_map(|(name, written)| origin(name.get_ref(), written, base)).collect()
}

fn origin(name: &str, written: &schema::Origin, base: &Path) -> Option<Origin> {
    let url = bucket::place(written)?;
    let headers = written.headers.value().map_or(&[][..], |headers| headers.0.as_slice());
    Some(Origin {
        name: name.to_owned(),
        tls: url.tls,
        host: url.host,
        port: url.port,
        path_prefix: url.path_prefix,
        host_header: written.host_header.value().map_or(HostHeader::Origin, |h| h.0.clone()),
        connect_timeout: time(written.connect_timeout.value(), 5_000),
        read_timeout: time(written.read_timeout.value(), 30_000),
        write_timeout: time(written.write_timeout.value(), 30_000),
        keepalive: time(written.keepalive.value(), 60_000),
        failure_memory: time(written.failure_memory.value(), 1_000),
        http: written.http.value().copied().unwrap_or(OriginHttp::H1),
        verify_tls: written.verify_tls.value().copied().unwrap_or(true),
        headers: headers
            .iter()
            .map(|(name, value)| (name.get_ref().clone(), secret(&value.get_ref().0, base)))
            .collect(),
        resolve_every: time(written.resolve_every.value(), 30_000),
        pool: pool(written, url.port),
        health_check: written.health_check.value().map(health_check),
        trust: written.tls.value().map(|tls| trust(tls, base)).unwrap_or_default(),
        directory: written.directory.value().map(|path| base.join(&path.0)),
        sigv4: bucket::sigv4(written, base),
    })
}

fn pool(written: &schema::Origin, port: u16) -> OriginPool {
    let addresses = written.addresses.value().map_or(&[][..], |list| list.items.as_slice());
    OriginPool {
        addresses: addresses
            .iter()
            .map(|address| {
                let (host, own) = address.get_ref().0.clone();
                (host, own.unwrap_or(port))
            })
            .collect(),
        balance: written.balance.value().copied().unwrap_or(Balance::RoundRobin),
        eject_after: written.eject_after.value().map_or(5, |count| count.as_u32()),
        eject_for: time(written.eject_for.value(), 10_000),
        max_requests: written.max_requests.value().map(|count| count.as_u32()),
        max_idle_connections: written.max_idle_connections.value().map(|count| count.as_u32()),
        queue: time(written.queue.value(), 0),
    }
}

fn health_check(written: &schema::HealthCheck) -> HealthCheck {
    let statuses = written.statuses.value().map_or(&[][..], |list| list.items.as_slice());
    HealthCheck {
        path: written.path.value().map_or_else(|| "/".to_owned(), |path| path.0.clone()),
        interval: time(written.interval.value(), 10_000),
        timeout: time(written.timeout.value(), 2_000),
        healthy: written.healthy.value().map_or(2, |count| count.as_u32()),
        unhealthy: written.unhealthy.value().map_or(3, |count| count.as_u32()),
        statuses: statuses.iter().map(|status| status.get_ref().as_u16()).collect(),
    }
}

fn trust(written: &schema::OriginTls, base: &Path) -> OriginTls {
    let joined = |path: &crate::decode::FilePath| base.join(&path.0);
    OriginTls {
        ca: written.ca.value().map(joined),
        client: written.certificate.value().map(joined).zip(written.key.value().map(joined)),
        sni: written.sni.value().map(|name| name.0.as_str().to_owned()),
        min: written.min_tls.value().copied().unwrap_or(TlsVersion::V1_2),
    }
}

/// All groups.
pub(super) fn groups(file: &File, names: &Names, out: &mut Report) -> Vec<OriginGroup> {
    let Some(groups) = file.origin_groups.value() else { return Vec::new() };
    let group = |(name, written): (&toml::Spanned<String>, &schema::OriginGroup)| OriginGroup {
        name: name.get_ref().clone(),
        members: written
            .members
            .value()
            .into_iter()
            .flat_map(|list| &list.items)
            .map(|member| OriginId(names.origin(member, out)))
            .collect(),
        statuses: match written.statuses.value() {
            Some(list) => list.items.iter().map(|status| status.get_ref().as_u16()).collect(),
            None => DEFAULT_STATUSES.to_vec(),
        },
    };
    groups.iter().map(group).collect()
}
