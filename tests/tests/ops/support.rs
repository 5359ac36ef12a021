//! What the tests of operations share: the real binary before an origin, and load that counts failures.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use edgeweir_tests::edge::HOST;
use edgeweir_tests::http2::Client;
use edgeweir_tests::process::{Process, free_port};
use edgeweir_tests::raw::{Raw, request_bytes};
use edgeweir_tests::websocket::WebSocket;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// A config file, a state folder and a port of their own.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) file: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Site {
    /// `config` may use `{dir}`; `state_dir` and the listener are added.
    pub(crate) fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let site = Self {
            file: folder.path().join("edgeweir.toml"),
            state: folder.path().join("state"),
            address: ([127, 0, 0, 1], free_port()).into(),
            folder,
        };
        site.write(config);
        site
    }

    /// Replaces the config file.
    pub(crate) fn write(&self, config: &str) {
        let config = config.replace("{dir}", &self.folder.path().to_string_lossy());
        let text = format!("state_dir = {:?}\n{config}\n[[listeners]]\naddress = \"{}\"\n", self.state, self.address);
        std::fs::write(&self.file, text).expect("a writable folder");
    }

    /// Starts the binary.
    pub(crate) async fn serve(&self) -> Process {
        Process::serve(&self.file, &self.state).await
    }
}

/// A config with one origin, which gets a header that tells the config's number.
pub(crate) fn numbered(origin: &str, websocket: &str, number: usize) -> String {
    format!(
        r#"
        [server]
        shutdown_timeout = "10s"
        [log]
        access = "off"
        [origins.main]
        url = "http://{origin}"
        headers = {{ "x-config" = "{number}" }}
        [origins.socket]
        url = "http://{websocket}"
        [distributions.site]
        hosts = ["site.test"]
        [[distributions.site.behaviors]]
        path = "/chat"
        origin = "socket"
        [[distributions.site.behaviors]]
        path = "*"
        origin = "main"
        cache_policy = "CachingDisabled"
    "#
    )
}

/// Viewers of every kind that keep their connections and go on until told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    tasks: JoinSet<Result<(), String>>,
}

impl Load {
    /// Two HTTP/1.1 viewers and an HTTP/2 viewer that keep their connection, one that connects anew each time, a
    /// WebSocket, and an upload that goes on all the time.
    pub(crate) fn start(address: SocketAddr) -> Self {
        let mut load = Self { stop: Arc::new(AtomicBool::new(false)), answered: Arc::default(), tasks: JoinSet::new() };
        let (stop, answered) = (Arc::clone(&load.stop), Arc::clone(&load.answered));
        for _ in 0..2 {
            load.tasks.spawn(keep_alive(address, Arc::clone(&stop), Arc::clone(&answered)));
        }
        load.tasks.spawn(new_connections(address, Arc::clone(&stop), Arc::clone(&answered)));
        load.tasks.spawn(http2(address, Arc::clone(&stop), Arc::clone(&answered)));
        load.tasks.spawn(websocket(address, Arc::clone(&stop), answered));
        load.tasks.spawn(upload(address, stop));
        load
    }

    /// Only viewers that connect anew for each request: what a take-over must not lose.
    pub(crate) fn of_new_connections(address: SocketAddr) -> Self {
        let mut load = Self { stop: Arc::new(AtomicBool::new(false)), answered: Arc::default(), tasks: JoinSet::new() };
        for _ in 0..3 {
            load.tasks.spawn(new_connections(address, Arc::clone(&load.stop), Arc::clone(&load.answered)));
        }
        load
    }

    /// Answers so far.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// Ends the load; panics with what failed.
    pub(crate) async fn finish(mut self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        let mut failures = Vec::new();
        while let Some(result) = self.tasks.join_next().await {
            match result {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => failures.push(failure),
                Err(panic) => failures.push(panic.to_string()),
            }
        }
        assert_eq!(failures, Vec::<String>::new(), "failed under load");
        self.answered.load(Ordering::SeqCst)
    }
}

const BETWEEN: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(10);

async fn ask(raw: &mut Raw, headers: &[(&str, &str)]) -> Result<(), String> {
    let send = raw.try_send(&request_bytes("GET", HOST, "/load", headers, b"")).await;
    send.map_err(|error| format!("send: {error}"))?;
    match tokio::time::timeout(PATIENCE, raw.try_response_to("GET")).await {
        Ok(Ok(response)) if response.status == 200 => Ok(()),
        Ok(Ok(response)) => Err(format!("status {}: {}", response.status, response.text())),
        Ok(Err(error)) => Err(format!("no answer: {error}")),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

async fn connect(address: SocketAddr) -> Result<Raw, String> {
    match tokio::time::timeout(PATIENCE, tokio::net::TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(Raw::over(stream)),
        Ok(Err(error)) => Err(format!("connect: {error}")),
        Err(_) => Err("no connection in time".to_owned()),
    }
}

async fn keep_alive(address: SocketAddr, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Result<(), String> {
    let mut raw = connect(address).await?;
    while !stop.load(Ordering::SeqCst) {
        ask(&mut raw, &[]).await.map_err(|failure| format!("keep-alive: {failure}"))?;
        answered.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(())
}

async fn new_connections(address: SocketAddr, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Result<(), String> {
    while !stop.load(Ordering::SeqCst) {
        let mut raw = connect(address).await.map_err(|failure| format!("new connection: {failure}"))?;
        ask(&mut raw, &[("Connection", "close")]).await.map_err(|failure| format!("new connection: {failure}"))?;
        answered.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(())
}

async fn http2(address: SocketAddr, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Result<(), String> {
    let mut client = Client::connect(address).await;
    while !stop.load(Ordering::SeqCst) {
        let request = edgeweir_tests::http2::get(HOST, "/load", &[]);
        let response = client.try_request(request, b"").await.map_err(|error| format!("HTTP/2: {error}"))?;
        if response.status != 200 {
            return Err(format!("HTTP/2: status {}", response.status));
        }
        answered.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(())
}

async fn websocket(address: SocketAddr, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Result<(), String> {
    let failed = |error| format!("WebSocket: {error}");
    let (mut socket, _) = WebSocket::connect(address, HOST, "/chat").await.map_err(failed)?;
    let mut turn = 0;
    while !stop.load(Ordering::SeqCst) {
        let text = format!("message {turn}");
        if socket.echo(&text).await.map_err(failed)? != text {
            return Err("WebSocket: another message came back".to_owned());
        }
        turn += 1;
        answered.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(BETWEEN).await;
    }
    socket.close().await;
    Ok(())
}

async fn upload(address: SocketAddr, stop: Arc<AtomicBool>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("upload: {error}");
    let mut raw = connect(address).await?;
    let head = format!("POST /upload HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n");
    raw.try_send(head.as_bytes()).await.map_err(failed)?;
    while !stop.load(Ordering::SeqCst) {
        raw.try_send(b"4\r\npart\r\n").await.map_err(failed)?;
        tokio::time::sleep(BETWEEN).await;
    }
    raw.try_send(b"0\r\n\r\n").await.map_err(failed)?;
    match tokio::time::timeout(PATIENCE, raw.try_response_to("POST")).await {
        Ok(Ok(response)) if response.status == 200 => Ok(()),
        Ok(Ok(response)) => Err(format!("upload: status {}", response.status)),
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err("upload: no answer in time".to_owned()),
    }
}
