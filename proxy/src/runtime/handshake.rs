//! What a TLS handshake settled for the requests after it.

use crate::tls::Termination;
use crate::tls::fingerprint::Fingerprints;
use crate::tls::names::Shared;

/// What the handshake settled.
#[derive(Debug, Clone)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// Name of the cipher suite.
    pub cipher: String,
    /// The server name that the viewer asked for.
    pub server_name: Option<String>,
    /// What else it may ask for: what the certificate is valid for that it was shown. None for any host.
    pub names: Option<Shared>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// What the viewer speaks TLS with. None if nobody wanted to know when it connected.
    pub fingerprints: Option<Box<Fingerprints>>,
    /// The certificate that the viewer showed, in DER. Only where it was asked for one.
    pub certificate: Option<Box<[u8]>>,
}

impl TlsFacts {
    /// Of a handshake that is done.
    #[must_use]
    pub fn of(session: &rustls::ServerConnection, tls: &Termination, fingerprints: Option<Fingerprints>) -> Self {
        Self {
            version: match session.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
                _ => "TLSv1.3",
            },
            cipher: session
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .map_or_else(|| "unknown".to_owned(), registered),
            server_name: session.server_name().map(str::to_owned),
            names: tls.names(session.server_name()),
            resumed: session.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
            fingerprints: fingerprints.map(Box::new),
            certificate: session.peer_certificates().and_then(<[_]>::first).map(|leaf| leaf.as_ref().into()),
        }
    }

    /// Whether a request for `host`, in lower case, belongs on another connection (RFC 9110, 7.4). The host of the handshake is
    /// the viewer's own choice, whatever it thinks of the certificate; others may share the connection if the certificate is
    /// valid for them (RFC 9113, 9.1.1).
    #[must_use]
    pub fn misdirects(&self, host: &str) -> bool {
        let (Some(names), Some(asked)) = (&self.names, &self.server_name) else { return false };
        let asked = asked.strip_suffix('.').unwrap_or(asked);
        // A request without a host (HTTP/1.0) is for no other one.
        !host.is_empty() && !asked.eq_ignore_ascii_case(host) && !names.iter().any(|names| names.cover(host))
    }
}

/// A cipher suite by its name in IANA's registry: rustls has names of its own for those of TLS 1.3.
fn registered(suite: &str) -> String {
    suite.strip_prefix("TLS13_").map_or_else(|| suite.to_owned(), |rest| format!("TLS_{rest}"))
}
