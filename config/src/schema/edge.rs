//! The edge itself: process limits, the gate, listeners, the admin API, logs and geo databases.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Secret;
use crate::decode::{Address, Count, Decode, FilePath, Host, List, Node, Size, Time, keyword_or, keywords, table};
use crate::model::{LogLevel, LogTarget, TlsVersion};
use crate::report::Report;

/// An hour in milliseconds: longest of most times.
const HOUR: u64 = 3_600_000;
/// Bytes.
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

table! {
    /// Limits and times of the whole process.
    Server {
        /// Worker threads, 1 to 1,024. Default: one for each core. A change needs a restart.
        threads: Opt<Count<1, 1024>>,
        /// How long `/readyz` answers 503 before the listeners close, up to 1h. Default: "0s".
        shutdown_delay: Opt<Time<0, HOUR>>,
        /// How long requests in flight may take after the listeners closed, up to 1h. Default: "30s".
        shutdown_timeout: Opt<Time<0, HOUR>>,
        /// Open viewer connections in all, 1 to 10,000,000. Default: 10000.
        max_connections: Opt<Count<1, 10_000_000>>,
        /// Open viewer connections from one address, 1 to 10,000,000. Default: 1000.
        max_connections_per_address: Opt<Count<1, 10_000_000>>,
        /// From the first byte of a request head to its last, 10ms to 1h. Default: "10s".
        header_timeout: Opt<Time<10, HOUR>>,
        /// A whole TLS handshake, 10ms to 1h. Default: "10s".
        handshake_timeout: Opt<Time<10, HOUR>>,
        /// An idle viewer connection is closed after this time, 10ms to 1h. Default: "60s".
        keepalive_timeout: Opt<Time<10, HOUR>>,
        /// Longest pause between two reads of a request body, 10ms to 1h. Default: "30s".
        read_timeout: Opt<Time<10, HOUR>>,
        /// Longest time of one write to a viewer, 10ms to 1h. Default: "60s".
        write_timeout: Opt<Time<10, HOUR>>,
        /// How much of a request body has to come each second, on average since its first byte, 1B to 1GiB; a slower one is
        /// answered with 408. Default: none, `read_timeout` alone holds.
        min_rate: Opt<Size<1, {1024 * MIB}>>,
        /// How long a request body may come slower than `min_rate`, up to 1h. Default: "10s".
        min_rate_grace: Opt<Time<0, HOUR>>,
    }
}

table! {
    /// What is accepted from viewers.
    Gate {
        /// Longest path and query, 64B to 64KiB; longer is answered with 414. Default: "8KiB".
        max_url: Opt<Size<64, {64 * KIB}>>,
        /// Largest request line and header block, 1KiB to 1MiB; larger is answered with 431. Default: "32KiB".
        max_headers: Opt<Size<KIB, MIB>>,
        /// Most header fields, 1 to 1,000 (over HTTP/1 256); more is answered with 431. Default: 100.
        max_header_count: Opt<Count<1, 1000>>,
        /// Largest request body, up to 16TiB; larger is answered with 413. Default: "64GiB".
        max_body: Opt<Size<0, {16 * TIB}>>,
        /// Memory for request bodies that are held for hooks, for all requests together, 1MiB to 64GiB; a request that
        /// finds no room is answered with 503. Default: "64MiB".
        body_memory: Opt<Size<MIB, {64 * 1024 * MIB}>>,
    }
}

table! {
    /// Where viewers connect.
    Listener {
        /// IP address and port; port 0 lets the system choose.
        address: Req<Address>,
        /// Offer HTTP/2: by ALPN with TLS, by prior knowledge (h2c) without. Default: true.
        http2: Opt<bool>,
        /// Oldest TLS version: "1.2" or "1.3". Default: "1.2".
        min_tls: Opt<TlsVersion>,
        /// A request for another host than the handshake named is answered with 421, unless the certificate that was shown is
        /// valid for that host too. Default: true.
        sni_must_match: Opt<bool>,
        /// Connections begin with a PROXY header (version 1 or 2) that says who asks. Only `trusted_proxies` may connect.
        /// Default: false.
        proxy_protocol: Opt<bool>,
        /// Certificates. Default: none, which means plain HTTP.
        certificates: Opt<List<Certificate>>,
        /// Ask viewers for certificates of their own. Default: they are not asked.
        viewer_certificates: Opt<ViewerCertificates>,
    }
}

table! {
    /// Certificates of viewers (mutual TLS).
    ViewerCertificates {
        /// PEM file with the authorities whose certificates are taken. Read at the start and at each reload.
        ca: Req<FilePath>,
        /// Refuse the handshake of a viewer without one. Without it such a viewer is served, and the origin can be told.
        /// Default: true.
        required: Opt<bool>,
    }
}

keywords!(TlsVersion { "1.2" => V1_2, "1.3" => V1_3 });

table! {
    /// A certificate and its key: two files, or `acme = true`, or both. The files are looked at every second and read again
    /// when they changed.
    Certificate {
        /// Host names it is shown for, as in "example.com" or "*.example.com". Default: it is shown when no other
        /// certificate fits.
        hosts: Opt<List<Host>>,
        /// PEM file with the chain, the server's own certificate first.
        certificate: Opt<FilePath>,
        /// PEM file with the private key.
        key: Opt<FilePath>,
        /// Fetch and renew it from the authority in `acme`. Until there is one, the files are shown, and without files one
        /// that the edge signs itself. Default: false.
        acme: Opt<bool>,
    }
}

table! {
    /// The admin API on TCP.
    Admin {
        /// IP address and port. Only a loopback address can be used without a token. A change needs a restart.
        address: Req<Address>,
        /// Bearer token for calls that change something.
        token: Opt<Secret>,
    }
}

table! {
    /// Logs.
    Log {
        /// The access log, one JSON line for each request: "stdout", "stderr", "off" or { file = "…" }.
        /// Default: "stdout".
        access: Opt<LogSink>,
        /// The edge's own events: "stdout", "stderr", "off" or { file = "…" }. Default: "stderr".
        events: Opt<LogSink>,
        /// Least important events that are logged: "error", "warn", "info" or "debug". Default: "info".
        level: Opt<LogLevel>,
        /// Events as JSON instead of text. Default: false.
        json: Opt<bool>,
    }
}

keywords!(LogLevel { "error" => Error, "warn" => Warn, "info" => Info, "debug" => Debug });

/// Where lines go; a file is not yet joined to the folder of the config.
#[derive(Debug, Clone)]
pub(crate) struct LogSink(pub(crate) LogTarget);

table! {
    /// A log file.
    LogFile {
        /// The file; it is opened again on SIGHUP.
        file: Req<FilePath>,
    }
}

#[derive(Clone, Copy)]
enum Stream {
    Off,
    Stdout,
    Stderr,
}

impl Decode for LogSink {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        if node.get_ref().is_table() {
            let table = LogFile::decode(node, key, out)?;
            return Some(Self(LogTarget::File(table.file.value()?.0.clone())));
        }
        let words = [("stdout", Stream::Stdout), ("stderr", Stream::Stderr), ("off", Stream::Off)];
        let stream = keyword_or(node, key, "a string or `{ file = … }`", &words, &["`{ file = \"…\" }`"], out)?;
        Some(Self(match stream {
            Stream::Off => LogTarget::Off,
            Stream::Stdout => LogTarget::Stdout,
            Stream::Stderr => LogTarget::Stderr,
        }))
    }
}

impl JsonSchema for LogSink {
    fn schema_name() -> Cow<'static, str> {
        "LogSink".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "enum": ["stdout", "stderr", "off"] },
            generator.subschema_for::<LogFile>(),
        ] })
    }
}

table! {
    /// Geo databases.
    Geo {
        /// Files in MaxMind's format, in order: the first that knows a fact wins. Default: none.
        databases: Opt<List<FilePath>>,
    }
}
