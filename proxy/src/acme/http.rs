//! The HTTP client for the authority: a few requests a month, so each has a connection of its own.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls::{TlsError, pem};

/// One request with its answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Speaks HTTP/1.1 over TLS.
pub(super) struct Client {
    tls: Arc<ClientConfig>,
}

/// What the directory's own certificate is checked with. Reads files.
///
/// # Errors
/// The file cannot be used.
pub(crate) fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            for certificate in pem::read_chain(path)? {
                roots.add(certificate).map_err(|_damaged| TlsError::BadCertificate { path: path.to_owned() })?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            let system =
                system.map_err(|source| TlsError::Read { path: "the system's certificates".into(), source })?;
            // Old ones among them may be of a form that is not taken any more.
            roots.add_parsable_certificates(system);
        }
    }
    Ok(roots)
}

impl Client {
    pub(super) fn new(roots: RootCertStore) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Settings)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls) })
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let tls = TlsConnector::from(Arc::clone(&self.tls));
        Box::pin(async move {
            let asked = tokio::time::timeout(TIMEOUT, ask(tls, request));
            let late = |_elapsed| io::Error::new(io::ErrorKind::TimedOut, "the authority does not answer");
            match asked.await.map_err(late) {
                Ok(Ok(response)) => Ok(BytesResponse::from(response)),
                Ok(Err(error)) => Err(Error::Other(error)),
                Err(late) => Err(Error::Other(late.into())),
            }
        })
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn ask(tls: TlsConnector, mut request: Request<BodyWrapper<Bytes>>) -> Result<Response<Full<Bytes>>, Failure> {
    let uri = request.uri().clone();
    // RFC 8555, section 6.1. The directory may name other hosts than its own, never another scheme.
    if uri.scheme_str() != Some("https") {
        return Err(format!("`{uri}` is not https").into());
    }
    let authority = uri.authority().ok_or("a URL of the authority has no host")?;
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let stream = TcpStream::connect((host.as_str(), authority.port_u16().unwrap_or(443)));
    let stream = stream.await.map_err(|error| format!("cannot connect to {authority}: {error}"))?;
    let stream = tls.connect(ServerName::try_from(host)?, stream).await;
    let stream = stream.map_err(|error| format!("the TLS handshake with {authority} failed: {error}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    request.headers_mut().insert(HOST, HeaderValue::from_str(authority.as_str())?);
    *request.uri_mut() = uri.path_and_query().map_or_else(|| Uri::from_static("/"), |target| target.clone().into());
    // It moves the bytes while the answer is awaited, and ends with it.
    let connection = tokio::spawn(connection);
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
        Ok(Response::from_parts(head, Full::new(body)))
    };
    let answer = answer.await;
    connection.abort();
    answer
}
