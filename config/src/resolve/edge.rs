//! The edge itself: defaults of the process, the gate, listeners, the admin API, logs and geo databases.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::{acme, log_target, secret, time};
use crate::decode::{List, Network};
use crate::model::{Admin, Gate, Http2, Listener, Log, LogLevel, LogTarget, Server, TlsVersion, ViewerCertificates};
use crate::schema::{self, File};

/// Where viewers connect if no listener is written.
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

pub(super) fn server(written: Option<&schema::Server>) -> Server {
    let none = schema::Server::default();
    let written = written.unwrap_or(&none);
    Server {
        threads: written.threads.value().map(|n| n.as_usize()),
        shutdown_delay: time(written.shutdown_delay.value(), 0),
        shutdown_timeout: time(written.shutdown_timeout.value(), 30_000),
        max_connections: written.max_connections.value().map_or(10_000, |n| n.as_usize()),
        max_connections_per_address: written.max_connections_per_address.value().map_or(1_000, |n| n.as_usize()),
        header_timeout: time(written.header_timeout.value(), 10_000),
        handshake_timeout: time(written.handshake_timeout.value(), 10_000),
        keepalive_timeout: time(written.keepalive_timeout.value(), 60_000),
        read_timeout: time(written.read_timeout.value(), 30_000),
        write_timeout: time(written.write_timeout.value(), 60_000),
        min_rate: written.min_rate.value().map(|size| size.0),
        min_rate_grace: time(written.min_rate_grace.value(), 10_000),
    }
}

pub(super) fn http2(written: Option<&schema::Http2>) -> Http2 {
    let none = schema::Http2::default();
    let written = written.unwrap_or(&none);
    let window = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
    Http2 {
        max_concurrent_streams: written.max_concurrent_streams.value().map_or(100, |n| n.as_u32()),
        stream_window: window(written.stream_window.value().map_or(128 << 10, |size| size.0)),
        connection_window: window(written.connection_window.value().map_or(256 << 10, |size| size.0)),
        max_resets: written.max_resets.value().map_or(50, |n| n.as_u32()),
        max_control_frames: written.max_control_frames.value().map_or(100, |n| n.as_u32()),
    }
}

pub(super) fn gate(written: Option<&schema::Gate>) -> Gate {
    let none = schema::Gate::default();
    let written = written.unwrap_or(&none);
    Gate {
        max_url: written.max_url.value().map_or(8_192, |n| n.as_usize()),
        max_headers: written.max_headers.value().map_or(32_768, |n| n.as_usize()),
        max_header_count: written.max_header_count.value().map_or(100, |n| n.as_usize()),
        max_body: written.max_body.value().map_or(64 << 30, |n| n.0),
        body_memory: written.body_memory.value().map_or(64 << 20, |n| n.as_usize()),
    }
}

pub(super) fn listeners(file: &File, base: &Path) -> Vec<Listener> {
    let Some(written) = file.listeners.value() else {
        return vec![Listener {
            address: DEFAULT_ADDRESS,
            http2: true,
            certificates: Vec::new(),
            min_tls: TlsVersion::V1_2,
            sni_must_match: true,
            proxy_protocol: false,
            viewer_certificates: None,
        }];
    };
    written.items.iter().filter_map(|listener| self::listener(listener.get_ref(), base)).collect()
}

fn listener(written: &schema::Listener, base: &Path) -> Option<Listener> {
    let certificates = written.certificates.value().map_or(&[][..], |list| list.items.as_slice());
    Some(Listener {
        address: written.address.value()?.0,
        http2: written.http2.value().copied().unwrap_or(true),
        certificates: certificates.iter().map(|c| acme::certificate(c.get_ref(), base)).collect(),
        min_tls: written.min_tls.value().copied().unwrap_or(TlsVersion::V1_2),
        sni_must_match: written.sni_must_match.value().copied().unwrap_or(true),
        proxy_protocol: written.proxy_protocol.value().copied().unwrap_or(false),
        viewer_certificates: written.viewer_certificates.value().and_then(|viewers| {
            let required = viewers.required.value().copied().unwrap_or(true);
            Some(ViewerCertificates { ca: base.join(&viewers.ca.value()?.0), required })
        }),
    })
}

pub(super) fn admin(file: &File, base: &Path) -> Option<Admin> {
    let written = file.admin.value()?;
    let token = written.token.value().map(|token| secret(&token.0, base));
    Some(Admin { address: written.address.value()?.0, token })
}

pub(super) fn log(written: Option<&schema::Log>, base: &Path) -> Log {
    let none = schema::Log::default();
    let written = written.unwrap_or(&none);
    let target = |sink: Option<&schema::LogSink>, default| sink.map_or(default, |sink| log_target(&sink.0, base));
    Log {
        access: target(written.access.value(), LogTarget::Stdout),
        events: target(written.events.value(), LogTarget::Stderr),
        level: written.level.value().copied().unwrap_or(LogLevel::Info),
        json: written.json.value().copied().unwrap_or(false),
    }
}

pub(super) fn networks(list: Option<&List<Network>>) -> Vec<IpNet> {
    list.map(|list| list.items.iter().map(|network| network.get_ref().0).collect()).unwrap_or_default()
}

pub(super) fn geo_databases(file: &File, base: &Path) -> Vec<PathBuf> {
    let list = file.geo.value().and_then(|geo| geo.databases.value());
    list.map(|list| list.items.iter().map(|path| base.join(&path.get_ref().0)).collect()).unwrap_or_default()
}
