//! Pages that stand in for errors: fetched as a viewer would, by a request that the edge sends to itself over a pair of
//! sockets. So a page comes through the cache and the hooks of its behavior like anything else.
//!
//! Refusals share theirs (`refusals`). What such a request may skip is decided in `flow/pages`; here is only how it is sent.

pub mod refusals;

use std::any::Any;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use pingora::apps::HttpServerApp as _;
use pingora::http::ResponseHeader;
use pingora::protocols::GetProxyDigest as _;
use pingora::protocols::http::ServerSession;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::proxy::HttpProxy;
use tokio::net::UnixStream;
use tokio::sync::watch;

use self::refusals::Refusals;
use crate::flow::Flow;

/// Largest page, in bytes.
const MAX_PAGE: usize = 1 << 20;
/// The longest wait for a page. It is for a viewer who has an error already.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The way to pages. Before the edge serves there is none.
#[derive(Default)]
pub struct Pages {
    app: OnceLock<Weak<HttpProxy<Flow>>>,
    /// Those for what the edge refuses.
    pub refusals: Refusals,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pages")
    }
}

/// What the request for a page brings along, in place of a connection.
pub struct Errand(Mutex<Option<Box<dyn Any + Send>>>);

impl Errand {
    /// Takes it, once.
    #[must_use]
    pub fn take(&self) -> Option<Box<dyn Any + Send>> {
        self.0.lock().take()
    }
}

/// A page.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its fields.
    pub headers: HeaderMap,
    /// Its text.
    pub body: Bytes,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The edge starts or stops.
    #[error("the edge does not serve")]
    NotServing,
    /// No pair of sockets.
    #[error("no sockets")]
    Sockets(#[source] std::io::Error),
    /// pingora refused the carrier of the errand, which it does not.
    #[error("the request cannot be made")]
    Request,
    /// Nothing, or nothing whole, came.
    #[error("no answer for it")]
    NoAnswer(#[source] hyper::Error),
    /// Another status than 200.
    #[error("it is answered with {0}")]
    Status(StatusCode),
    /// The body broke off or is too large.
    #[error("it breaks off, or is over 1 MiB")]
    Body,
    /// No answer in time.
    #[error("no answer in 10 s")]
    Timeout,
    /// The one that was fetched for another request just now failed, which was told.
    #[error("it failed just now")]
    Again,
    /// Too many are wanted for refusals.
    #[error("more than {} in a second", refusals::MAX)]
    Busy,
}

impl Pages {
    /// From now on `app` serves.
    pub fn serve_with(&self, app: &Arc<HttpProxy<Flow>>) {
        // Once, at the start.
        let _first = self.app.set(Arc::downgrade(app));
    }

    /// Fetches a page of a host; the flow gets `errand` with the request.
    ///
    /// # Errors
    /// If there is none.
    pub async fn get(&self, host: &str, target: &str, errand: Box<dyn Any + Send>) -> Result<Page, PageError> {
        let app = self.app.get().and_then(Weak::upgrade).ok_or(PageError::NotServing)?;
        let request = Request::get(target).header(HOST, host).body(Empty::<Bytes>::new());
        let request = request.map_err(|_invalid| PageError::Request)?;
        let (near, far) = UnixStream::pair().map_err(PageError::Sockets)?;
        let mut far = Stream::from(far);
        let carrier = ResponseHeader::build_no_case(200, None).map_err(|_error| PageError::Request)?;
        far.set_proxy_digest(ProxyDigest::new(Box::new(carrier), Some(Box::new(Errand(Mutex::new(Some(errand)))))));
        tokio::spawn(async move {
            let (_never, shutdown) = watch::channel(false);
            drop(app.process_new_http(ServerSession::new_http1(Box::new(far)), &shutdown).await);
        });
        tokio::time::timeout(TIMEOUT, answer(near, request)).await.map_err(|_elapsed| PageError::Timeout)?
    }
}

async fn answer(near: UnixStream, request: Request<Empty<Bytes>>) -> Result<Page, PageError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(near)).await.map_err(PageError::NoAnswer)?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(PageError::NoAnswer)?;
    let (head, body) = answer.into_parts();
    if head.status != StatusCode::OK {
        return Err(PageError::Status(head.status));
    }
    let body = Limited::new(body, MAX_PAGE).collect().await.map_err(|_error| PageError::Body)?;
    Ok(Page { headers: head.headers, body: body.to_bytes() })
}
