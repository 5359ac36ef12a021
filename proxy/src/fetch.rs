//! Requests that hooks send to origins: a pool of connections of their own, one binding's permission, one exchange.
//!
//! Everything happens inside the hook's call: when its time is up, the future is dropped, and the connection with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use edgeweir_hookhost::{Fetch, FetchFuture, GeneratedResponse, Outgoing};
use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};

use crate::fault::{Fault, chain};
use crate::origin::{Origin, is_new_enough};

/// Idle connections that are kept for hooks, in all.
const POOL: usize = 256;
/// Interim answers (1xx) before the final one.
const MAX_INTERIM: usize = 8;
/// Keeps connections that must be fresh apart from those that are kept.
const FRESH: u64 = 1 << 63;

/// The connections of all hooks. Made when the first one is needed: few edges have such hooks, and it reads certificates.
#[derive(Default)]
pub struct Connections {
    connector: OnceLock<Connector>,
    fresh: AtomicU64,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("made", &self.connector.get().is_some()).finish_non_exhaustive()
    }
}

impl Connections {
    fn connector(&self) -> &Connector {
        self.connector.get_or_init(|| Connector::new(Some(ConnectorOptions::new(POOL))))
    }
}

/// What one binding may ask.
pub struct Fetcher {
    /// By the names of the config.
    pub origins: Vec<Arc<Origin>>,
    /// Largest body of an answer, in bytes.
    pub max: usize,
    /// Shared by all bindings.
    pub connections: Arc<Connections>,
}

impl Fetch for Fetcher {
    fn send(&self, request: Outgoing) -> FetchFuture<'_> {
        Box::pin(self.ask(request))
    }
}

impl Fetcher {
    async fn ask(&self, request: Outgoing) -> Result<GeneratedResponse, String> {
        let Some(origin) = self.origins.iter().find(|origin| is_meant(origin, &request.origin)) else {
            let name: String = request.origin.chars().take(64).collect();
            return Err(format!("the binding does not let the hook ask the origin {name:?}: add it to `fetch`"));
        };
        let name = &origin.config.name;
        let peer = origin.peer().await.map_err(|error| format!("origin `{name}`: {}", chain(&error)))?;
        // RFC 9110, 9.2.2: only what may be sent twice is sent over a connection that the origin may be closing just now.
        if !request.method.is_idempotent() {
            let mut peer = peer;
            peer.group_key = FRESH | self.connections.fresh.fetch_add(1, Ordering::Relaxed);
            return self.exchange(origin, &peer, &request).await.map_err(|failure| failure.words(name));
        }
        match self.exchange(origin, &peer, &request).await {
            Err(Failure::Stale(_)) => {
                let peer = origin.peer().await.map_err(|error| format!("origin `{name}`: {}", chain(&error)))?;
                self.exchange(origin, &peer, &request).await.map_err(|failure| failure.words(name))
            }
            done => done.map_err(|failure| failure.words(name)),
        }
    }

    /// One request and its answer.
    async fn exchange(
        &self,
        origin: &Origin,
        peer: &HttpPeer,
        request: &Outgoing,
    ) -> Result<GeneratedResponse, Failure> {
        let connector = self.connections.connector();
        let (mut session, reused) = connect(connector, origin, peer).await?;
        if let Err(error) = send(&mut session, origin, request).await {
            return Err(if reused { Failure::Stale(error) } else { Failure::Origin(error) });
        }
        let answer = self.answer(&mut session, request.method == Method::HEAD).await;
        match answer {
            Ok(answer) => {
                if peer.group_key & FRESH == 0 {
                    connector.release_http_session(session, peer, Some(origin.config.keepalive)).await;
                }
                Ok(answer)
            }
            Err(failure) => {
                session.shutdown().await;
                Err(failure)
            }
        }
    }

    /// The final answer, whole.
    async fn answer(&self, session: &mut HttpSession, no_body: bool) -> Result<GeneratedResponse, Failure> {
        let head = final_head(session).await?;
        let status = head.status;
        let announced = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if !no_body && announced.is_some_and(|length| length > u64::try_from(self.max).unwrap_or(u64::MAX)) {
            return Err(Failure::TooLarge(self.max));
        }
        let headers = head.headers.iter().filter(|(name, _)| !is_hop_by_hop(name));
        let headers = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut body = BytesMut::new();
        while let Some(part) = session.read_response_body().await.map_err(Failure::Origin)? {
            if body.len() + part.len() > self.max {
                return Err(Failure::TooLarge(self.max));
            }
            body.extend_from_slice(&part);
        }
        Ok(GeneratedResponse { status, headers, body: Bytes::from(body) })
    }
}

/// Whether this is the origin's name, or scheme and authority of its URL.
fn is_meant(origin: &Origin, asked: &str) -> bool {
    let name = origin.config.name.as_str();
    let Some((scheme, authority)) = asked.split_once("://") else { return name == asked };
    let own = if origin.config.tls { "https" } else { "http" };
    authority == name || (scheme == own && origin.own_host.as_bytes() == authority.as_bytes())
}

/// A connection of a TLS version that will do, and whether it was kept from before.
async fn connect(connector: &Connector, origin: &Origin, peer: &HttpPeer) -> Result<(HttpSession, bool), Failure> {
    let (mut session, reused) = connector.get_http_session(peer).await.map_err(Failure::Origin)?;
    if !is_new_enough(&origin.config.trust, session.digest()) {
        return Err(Failure::Origin(Error::explain(ErrorType::TLSHandshakeFailure, "an old TLS version")));
    }
    session.set_read_timeout(Some(origin.config.read_timeout));
    session.set_write_timeout(Some(origin.config.write_timeout));
    Ok((session, reused))
}

/// Sends a request and waits for the first head of the answer.
async fn send(session: &mut HttpSession, origin: &Origin, request: &Outgoing) -> pingora::Result<()> {
    let head = head(origin, request, matches!(session, HttpSession::H2(_)))?;
    session.write_request_header(Box::new(head)).await?;
    if !request.body.is_empty() {
        session.write_request_body(request.body.clone(), false).await?;
    }
    session.finish_request_body().await?;
    session.read_response_header().await
}

/// The final head of an answer.
async fn final_head(session: &mut HttpSession) -> Result<&ResponseHeader, Failure> {
    for _ in 0..MAX_INTERIM {
        let status = session.response_header().map(|head| head.status);
        match status {
            // Nobody asked for another protocol, and nothing of HTTP comes after it (RFC 9110, 7.8).
            Some(http::StatusCode::SWITCHING_PROTOCOLS) => break,
            Some(status) if status.is_informational() => {
                session.read_response_header().await.map_err(Failure::Origin)?;
            }
            _ => break,
        }
    }
    session.response_header().filter(|head| !head.status.is_informational()).ok_or(Failure::NoAnswer)
}

/// The status that an address of an origin answers to a GET over a connection of its own: a health check.
///
/// # Errors
/// Why there is none, in words.
pub(crate) async fn status(
    connections: &Connections,
    origin: &Origin,
    mut peer: Box<HttpPeer>,
    target: &str,
) -> Result<u16, String> {
    peer.group_key = FRESH | connections.fresh.fetch_add(1, Ordering::Relaxed);
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("edgeweir-health-check"));
    let request =
        Outgoing { origin: String::new(), method: Method::GET, target: target.to_owned(), headers, body: Bytes::new() };
    let asked = async {
        let (mut session, _) = connect(connections.connector(), origin, &peer).await?;
        send(&mut session, origin, &request).await.map_err(Failure::Origin)?;
        let status = final_head(&mut session).await.map(|head| head.status.as_u16());
        session.shutdown().await;
        status
    };
    asked.await.map_err(|failure| failure.words(&origin.config.name))
}

/// Why there is no answer.
enum Failure {
    /// A connection that was kept did not work: another may.
    Stale(Box<Error>),
    /// What the origin did, or did not do.
    Origin(Box<Error>),
    /// Only interim answers came.
    NoAnswer,
    /// Over so many bytes.
    TooLarge(usize),
}

impl Failure {
    /// As the hook is told.
    fn words(self, name: &str) -> String {
        let what = match self {
            Self::TooLarge(max) => return format!("the answer of origin `{name}` is over `fetch_max`, {max} bytes"),
            Self::NoAnswer => "sent no final answer",
            Self::Stale(mut error) | Self::Origin(mut error) => {
                error.as_up();
                tracing::debug!(origin = name, %error, "a request of a hook failed");
                match Fault::of(&error) {
                    Fault::OriginConnect => "takes no connection",
                    Fault::OriginTls => "cannot be trusted: TLS failed",
                    Fault::OriginTimeout => "did not answer in time",
                    _ => "broke off, or sent what is no answer",
                }
            }
        };
        format!("origin `{name}` {what}")
    }
}

/// The request's head as the origin's protocol wants it.
fn head(origin: &Origin, request: &Outgoing, http2: bool) -> pingora::Result<RequestHeader> {
    let invalid = |_invalid| Error::explain(ErrorType::InvalidHTTPHeader, "a request of a hook is none");
    let target = format!("{}{}", origin.config.path_prefix, request.target);
    let host = origin.host_header.clone().unwrap_or_else(|| origin.own_host.clone());
    let uri = if http2 {
        let scheme = if origin.config.tls { "https" } else { "http" };
        let uri = Uri::builder().scheme(scheme).authority(host.as_bytes()).path_and_query(target).build();
        uri.map_err(invalid)?
    } else {
        Uri::try_from(target).map_err(|error| invalid(error.into()))?
    };
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = request.method.clone();
    parts.uri = uri;
    parts.version = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
    parts.headers = request.headers.clone();
    for (name, value) in &origin.headers {
        parts.headers.insert(name.clone(), value.clone());
    }
    if !http2 {
        parts.headers.insert(HOST, host);
    }
    // RFC 9110, 8.6: also of no body, where the method wants one.
    if !request.body.is_empty() || matches!(request.method, Method::POST | Method::PUT | Method::PATCH) {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
    }
    origin.sign(&mut parts).map_err(|refused| {
        Error::because(ErrorType::InvalidHTTPHeader, "a request of a hook is none for a bucket", refused)
    })?;
    Ok(parts.into())
}

/// RFC 9110, 7.6.1: these told the edge's end of the connection something, and tell the hook nothing.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding" | "upgrade"
    )
}
