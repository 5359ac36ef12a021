//! A WebSocket origin that echoes, and a WebSocket client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::wait::deadline;

/// Echoes text and binary messages. It ends when this is dropped.
pub struct WebSocketOrigin {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for WebSocketOrigin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl WebSocketOrigin {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let address = listener.local_addr().expect("the listener is bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut sockets = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                sockets.spawn(echo(stream));
            }
        });
        Self { address, connections, task }
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn echo(stream: TcpStream) {
    // pingora 0.9.1 ends a WebSocket whose origin switches protocols before pingora has noted the end of the request, which only
    // an origin on the same machine is fast enough for.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// A WebSocket client.
pub struct WebSocket(WebSocketStream<TcpStream>);

impl WebSocket {
    /// Connects through the edge.
    ///
    /// # Errors
    /// When the edge or the origin does not switch protocols.
    pub async fn connect(address: SocketAddr, host: &str, path: &str) -> Result<(Self, Response), Error> {
        let stream = deadline("connect to the edge", TcpStream::connect(address)).await?;
        let handshake = tokio_tungstenite::client_async(format!("ws://{host}{path}"), stream);
        let (socket, response) = deadline("WebSocket handshake", handshake).await?;
        Ok((Self(socket), response))
    }

    /// Sends a text and returns the next text.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn echo(&mut self, text: &str) -> Result<String, Error> {
        deadline("send to the WebSocket", self.0.send(Message::text(text))).await?;
        match deadline("an answer on the WebSocket", self.0.next()).await {
            Some(message) => Ok(message?.into_text()?.to_string()),
            None => Err(Error::ConnectionClosed),
        }
    }

    /// Waits until the other side ends the connection, however it does.
    pub async fn closed(&mut self) {
        deadline("the end of the WebSocket", async {
            while let Some(Ok(message)) = self.0.next().await {
                if message.is_close() {
                    break;
                }
            }
        })
        .await;
    }

    /// Closes in order.
    pub async fn close(mut self) {
        drop(deadline("close the WebSocket", self.0.close(None)).await);
    }
}
