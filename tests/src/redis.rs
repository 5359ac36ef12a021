//! A real redis-server as a child process, on a port and in a folder of its own. Killed when it is dropped.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{free_port, listens};

/// The server.
pub struct Redis {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
    appendonly: bool,
}

impl Redis {
    /// Starts a server that forgets nothing: each write is in a file before it is answered.
    pub async fn start() -> Self {
        Self::with(true).await
    }

    /// Starts a server that keeps nothing.
    pub async fn forgetful() -> Self {
        Self::with(false).await
    }

    async fn with(appendonly: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut redis = Self { folder, port: free_port(), child: None, appendonly };
        redis.run().await;
        redis
    }

    /// Starts it (again), with what it has kept.
    ///
    /// # Panics
    /// When there is no redis-server, or it does not answer.
    pub async fn run(&mut self) {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--daemonize", "no"])
            .args(["--port", &self.port.to_string()])
            .arg("--dir")
            .arg(self.folder.path())
            .args(if self.appendonly {
                ["--appendonly", "yes", "--appendfsync", "always"]
            } else {
                ["--appendonly", "no", "--appendfsync", "no"]
            })
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("redis-server is missing: `make redis` installs it"));
        for _ in 0..200 {
            if listens(self.address()).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("redis-server does not listen on {}", self.address());
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// For configs.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// One command, its words without blanks; gives what the server says as it comes.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn say(&self, command: &str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(self.address()).await.expect("it listens");
        stream.write_all(format!("{command}\r\n").as_bytes()).await.expect("it reads");
        let mut answer = vec![0; 64 << 10];
        let length = stream.read(&mut answer).await.expect("it answers");
        answer.truncate(length);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
