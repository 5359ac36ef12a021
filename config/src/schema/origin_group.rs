//! Groups of origins, health checks, and TLS towards origins.

use crate::decode::{Count, FilePath, Host, List, Text, Time, table};
use crate::model::TlsVersion;

const HOUR: u64 = 3_600_000;

table! {
    /// Origins of which the next answers where one fails. Its name is used where an origin's is.
    OriginGroup {
        /// Names of 2 to 8 origins, in the order in which they are asked.
        members: Req<List<Text>>,
        /// Statuses of an answer for which the next member is asked, of 400, 403, 404, 416, 429, 500, 502, 503, 504. No
        /// connection, no answer in time, and an answer that breaks off before its head always are such failures.
        /// Default: [500, 502, 503, 504].
        statuses: Opt<List<Count<400, 599>>>,
    }
}

table! {
    /// A GET that is sent to each address of an origin again and again.
    HealthCheck {
        /// Path and query, put after the path of the URL. Default: "/".
        path: Opt<Text>,
        /// From the end of one check to the next, 100ms to 1h. Default: "10s".
        interval: Opt<Time<100, HOUR>>,
        /// For connection and response head together, 10ms to 1m. Default: "2s".
        timeout: Opt<Time<10, 60_000>>,
        /// Checks in a row that have to pass before an address that failed is used again, 1 to 100. Default: 2.
        healthy: Opt<Count<1, 100>>,
        /// Checks in a row that have to fail before an address is left out, 1 to 100. Default: 3.
        unhealthy: Opt<Count<1, 100>>,
        /// Statuses that pass. Default: all of 200 to 399.
        statuses: Opt<List<Count<200, 599>>>,
    }
}

table! {
    /// TLS towards an origin.
    OriginTls {
        /// PEM file with the authorities that its certificate is checked against, in place of the system's.
        ca: Opt<FilePath>,
        /// PEM file with the certificate that the edge shows if it is asked for one, the edge's own first, then its chain.
        certificate: Opt<FilePath>,
        /// PEM file with the private key of that certificate.
        key: Opt<FilePath>,
        /// Name that is asked for (SNI) and that the origin's certificate must have. Default: the host of the URL.
        sni: Opt<Host>,
        /// Oldest TLS version that is accepted: "1.2" or "1.3". Default: "1.2".
        min_tls: Opt<TlsVersion>,
    }
}
