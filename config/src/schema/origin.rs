//! Origins.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::Spanned;
use toml::de::DeValue;

use super::{HealthCheck, OriginTls, Secret, SigV4};
use crate::decode::{
    Count, Decode, Endpoint, FilePath, HostHeaderText, List, Node, Time, Url, keywords, table, wrong_type,
};
use crate::model::{Balance, OriginHttp};
use crate::report::{Problem, Report};
use crate::units::parse_header_name;

const HOUR: u64 = 3_600_000;

table! {
    /// A server behind the edge.
    Origin {
        /// Where it is: "http://127.0.0.1:3000" or "https://app.example.com/base". A path is put before each
        /// request's path. Either this or `directory`.
        url: Opt<Url>,
        /// A folder whose files are served, relative to this file, in place of a server: GET and HEAD, with `index.html` for
        /// folders, and `.br` and `.gz` beside a file for viewers that accept them. Names that start with a dot are hidden.
        directory: Opt<FilePath>,
        /// Sign requests for an S3-compatible bucket.
        sigv4: Opt<SigV4>,
        /// What it gets as `Host`: "origin" for its own name, "viewer" for what the viewer asked for, or a host name.
        /// Default: "origin".
        host_header: Opt<HostHeaderText>,
        /// Time to connect, TLS included, 10ms to 1h. Default: "5s".
        connect_timeout: Opt<Time<10, HOUR>>,
        /// Longest wait for its first byte and between two reads, 10ms to 1h. Default: "30s".
        read_timeout: Opt<Time<10, HOUR>>,
        /// Longest time of one write, 10ms to 1h. Default: "30s".
        write_timeout: Opt<Time<10, HOUR>>,
        /// How long an idle connection is kept for the next request, up to 1h. Default: "60s".
        keepalive: Opt<Time<0, HOUR>>,
        /// "h1" for HTTP/1.1, "h2" for HTTP/2 if it offers that (https only), "h2-only" for HTTP/2 always.
        /// Default: "h1".
        http: Opt<OriginHttp>,
        /// Check its certificate and name. Default: true.
        verify_tls: Opt<bool>,
        /// Headers added to each request, in place of the viewer's: name = "value", { file = "…" } or { env = "…" }.
        headers: Opt<OriginHeaders>,
        /// How often its name is resolved again, 1s to 1h. Default: "30s".
        resolve_every: Opt<Time<1000, HOUR>>,
        /// After no connection came about, how long requests that a stale object may answer get that without another try, up
        /// to 5m; "0s" tries each time. Default: "1s".
        failure_memory: Opt<Time<0, 300_000>>,
        /// Names or IP addresses, with a port if it is not the URL's, that the edge connects to in place of the URL's host,
        /// 1 to 64. The URL still says the scheme, the path, and the name for `Host` and certificates. Each IP address that a
        /// name has counts by itself.
        addresses: Opt<List<Endpoint>>,
        /// Which address comes next: "round_robin", or "least_outstanding" for the one with the fewest requests at work.
        /// Default: "round_robin".
        balance: Opt<Balance>,
        /// Failures in a row after which an address is left out for a while, up to 1,000, if there is another; 0 for never.
        /// Default: 5.
        eject_after: Opt<Count<0, 1000>>,
        /// How long it is left out, 100ms to 1h; then one request tries it. Default: "10s".
        eject_for: Opt<Time<100, HOUR>>,
        /// A request that is sent to each address again and again. Default: none.
        health_check: Opt<HealthCheck>,
        /// Requests at work at the origin at once, 1 to 1,000,000; others wait for `queue`, then they are answered with 503.
        /// Default: no limit.
        max_requests: Opt<Count<1, 1_000_000>>,
        /// Idle connections to the origin that are kept for the next request, 0 to 100,000; one over that is closed after its
        /// answer. Only with HTTP/1.1. Default: no limit but that for all origins together.
        max_idle_connections: Opt<Count<0, 100_000>>,
        /// How long a request waits for a place among `max_requests`, up to 1m; as many as these may wait.
        /// Default: "0s".
        queue: Opt<Time<0, 60_000>>,
        /// TLS towards it (https only). Default: the system's authorities, no certificate of the edge.
        tls: Opt<OriginTls>,
    }
}

keywords!(Balance { "round_robin" => RoundRobin, "least_outstanding" => LeastOutstanding });
keywords!(OriginHttp { "h1" => H1, "h2" => H2, "h2-only" => H2Only });

/// Headers that the edge adds. Names are lower case.
#[derive(Debug)]
pub(crate) struct OriginHeaders(pub(crate) Vec<(Spanned<String>, Spanned<Secret>)>);

impl Decode for OriginHeaders {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            wrong_type(node, key, "a table of headers", Some("write `{ x-name = \"value\" }`".to_owned()), out);
            return None;
        };
        let mut headers = Vec::with_capacity(table.len());
        for (name, value) in table {
            let value = Secret::decode(value, name.get_ref(), out).map(|secret| Spanned::new(value.span(), secret));
            match (parse_header_name(name.get_ref()), value) {
                (Ok(lower), Some(value)) => headers.push((Spanned::new(name.span(), lower), value)),
                (Ok(_), None) => {}
                (Err(error), _) => {
                    out.push(Problem::error("bad-value", name.span(), error.to_string()).maybe_help(error.help()));
                }
            }
        }
        Some(Self(headers))
    }
}

impl JsonSchema for OriginHeaders {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OriginHeaders".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<Secret>() })
    }
}
