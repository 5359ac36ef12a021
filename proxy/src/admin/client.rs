//! The near side of the admin API for the command line: one call over the Unix socket of a running edge.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// A reload may compile many hooks; nothing takes longer.
const DEADLINE: Duration = Duration::from_secs(300);
/// Largest answer in bytes.
const MAX_ANSWER: usize = 16 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No edge listens there.
    #[error("no edge is running with the admin socket `{}`", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The socket is another user's.
    #[error("cannot reach the edge: run this as the edge's user (its admin socket is `{}`)", path.display())]
    Denied {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The connection broke, or what came was not HTTP.
    #[error("the edge hung up")]
    Http(#[from] hyper::Error),
    /// The answer is too large, or broke off.
    #[error("the answer cannot be read")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The call itself is malformed.
    #[error("the call is malformed")]
    Call(#[from] http::Error),
    /// No answer in five minutes.
    #[error("the edge did not answer in {} seconds", DEADLINE.as_secs())]
    Deadline,
}

/// Calls the edge; gives the status and the body of its answer.
///
/// # Errors
/// No edge listens on the socket, or it does not answer; see [`ClientError`].
pub async fn call(socket: &Path, method: Method, path: &str) -> Result<(u16, Vec<u8>), ClientError> {
    send(socket, method, path, Bytes::new()).await
}

/// As [`call`], with a body.
///
/// # Errors
/// As [`call`].
pub async fn send(socket: &Path, method: Method, path: &str, body: Bytes) -> Result<(u16, Vec<u8>), ClientError> {
    tokio::time::timeout(DEADLINE, exchange(socket, method, path, body)).await.map_err(|_| ClientError::Deadline)?
}

fn no_connection(socket: &Path, source: io::Error) -> ClientError {
    let path = socket.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied => ClientError::Denied { path, source },
        _ => ClientError::Connect { path, source },
    }
}

async fn exchange(socket: &Path, method: Method, path: &str, body: Bytes) -> Result<(u16, Vec<u8>), ClientError> {
    let stream = UnixStream::connect(socket).await.map_err(|source| no_connection(socket, source))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, "localhost")
        .header(http::header::CONNECTION, "close")
        .body(Full::new(body))?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(ClientError::Answer)?;
        Ok((status, body.to_bytes().to_vec()))
    };
    let driver = tokio::spawn(connection);
    let answer = exchange.await;
    driver.abort();
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_another_user() {
        // Nothing is denied to root, which tests may run as.
        let denied = no_connection(Path::new("state/admin.sock"), io::ErrorKind::PermissionDenied.into());
        assert_eq!(
            denied.to_string(),
            "cannot reach the edge: run this as the edge's user (its admin socket is `state/admin.sock`)"
        );
    }
}
