//! The real binary as a child process: for what concerns a process (signals, ports, memory, exit codes).

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::net::UnixStream;

use crate::raw::{Raw, Response, request_bytes};
use crate::wait::{START_DEADLINE, deadline, until_within};
use crate::wasm::target_folder;

/// Path of the binary.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn binary() -> PathBuf {
    let exe = std::env::current_exe().expect("a running binary has a path");
    let profile = exe.ancestors().nth(2).expect("the test runs from its target folder");
    let path = profile.join("edgeweir");
    assert!(path.is_file(), "{} is missing: `make test` builds it first", path.display());
    // Both so that a stale binary is not tested in silence.
    assert!(profile.starts_with(target_folder()), "the binary is in the target folder");
    path
}

/// A port of loopback that was free a moment ago, outside the range from which the system picks ports for clients.
///
/// # Panics
/// When a hundred ports in a row are taken.
#[must_use]
pub fn free_port() -> u16 {
    (0..100)
        .map(|_| fastrand::u16(18_000..32_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// Runs the binary to its end.
///
/// # Panics
/// When it cannot be started or does not end within the start deadline.
#[must_use]
pub fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).env("NO_COLOR", "1").envs(environment.iter().copied());
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let pid = child.id();
    let (done, ended) = mpsc::channel();
    // Reads while it waits, so that a full pipe cannot stop the child.
    std::thread::spawn(move || done.send(child.wait_with_output()));
    match ended.recv_timeout(START_DEADLINE) {
        Ok(output) => output.expect("the output can be read"),
        Err(_) => {
            drop(Command::new("kill").arg("-KILL").arg(pid.to_string()).status());
            panic!("`edgeweir {}` does not end", arguments.join(" "));
        }
    }
}

/// `edgeweir serve` as a child. It is killed when this is dropped.
pub struct Process {
    child: Child,
    socket: PathBuf,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Process {
    /// Starts `edgeweir serve` with this config and waits until it is ready. `state` is the config's `state_dir`;
    /// standard output and error go to files beside it.
    ///
    /// # Panics
    /// When it ends or is not ready in time.
    pub async fn serve(config: &Path, state: &Path) -> Self {
        // During a take-over the socket of the old process answers until the new one has replaced it.
        let before = inode(&state.join("admin.sock"));
        let mut process = Self::spawn("serve", config, state);
        process.ready(before).await;
        process
    }

    /// Starts `edgeweir serve` with this config and does not wait for it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn started(config: &Path, state: &Path) -> Self {
        Self::spawn("serve", config, state)
    }

    /// Whether it has ended, and with which code.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn exited(&mut self) -> Option<i32> {
        self.child.try_wait().expect("the child can be waited for").map(|status| status.code().unwrap_or(-1))
    }

    /// Starts `edgeweir dev` with this config and does not wait for it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn dev(config: &Path, state: &Path) -> Self {
        Self::spawn("dev", config, state)
    }

    /// Waits until it is ready and its admin socket is not the one from `before`.
    async fn ready(&mut self, before: Option<u64>) {
        let process = self;
        let start = Instant::now();
        loop {
            if let Some(status) = process.child.try_wait().expect("the child can be waited for") {
                panic!("edgeweir ended with {status} at start: {}", process.errors());
            }
            if inode(&process.socket) != before
                && process.try_admin("GET", "/readyz").await.is_some_and(|ready| ready.status == 200)
            {
                return;
            }
            assert!(start.elapsed() < START_DEADLINE, "edgeweir is not ready: {}", process.errors());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn spawn(verb: &str, config: &Path, state: &Path) -> Self {
        let number = fastrand::u32(..);
        let folder = state.parent().expect("the state folder is in the test's folder");
        let path = |name: &str| folder.join(format!("{name}-{number}.txt"));
        let output = |name: &str| std::fs::File::create(path(name)).expect("the test's folder is writable");
        let child = Command::new(binary())
            .arg(verb)
            .arg(config)
            // Crates are built where the config says, from what is there.
            .env_remove("CARGO_TARGET_DIR")
            .env("CARGO_NET_OFFLINE", "true")
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .expect("the binary starts");
        Self { child, socket: state.join("admin.sock"), stdout: path("stdout"), stderr: path("stderr") }
    }

    /// What it wrote to standard error.
    #[must_use]
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stderr).unwrap_or_default()).into_owned()
    }

    /// What it wrote to standard output.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stdout).unwrap_or_default()).into_owned()
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, for example `TERM` or `HUP`.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "SIG{name} can be sent");
    }

    /// Asks the admin API over the Unix socket.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn admin(&self, method: &str, path: &str) -> Response {
        admin(&self.socket, method, path).await
    }

    async fn try_admin(&self, method: &str, path: &str) -> Option<Response> {
        let stream = UnixStream::connect(&self.socket).await.ok()?;
        let mut raw = Raw::over(stream);
        raw.try_send(&request_bytes(method, "localhost", path, &[("Connection", "close")], b"")).await.ok()?;
        tokio::time::timeout(Duration::from_secs(2), raw.try_response_to(method)).await.ok()?.ok()
    }

    /// Resident memory in bytes.
    ///
    /// # Panics
    /// When the process is gone.
    #[must_use]
    pub fn resident(&self) -> u64 {
        let text = self.status("VmRSS:");
        text.trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Threads now.
    ///
    /// # Panics
    /// When the process is gone.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.status("Threads:").parse().expect("a number")
    }

    /// What the system says of the process.
    fn status(&self, name: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process lives");
        status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells it").trim().to_owned()
    }

    /// Waits until the process has ended.
    ///
    /// # Panics
    /// When it goes on longer than `limit`.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let child = &mut self.child;
        let mut status = None;
        until_within(limit, "the process ends", || {
            status = child.try_wait().expect("the child can be waited for");
            status.is_some()
        })
        .await;
        status.expect("it has ended")
    }
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::symlink_metadata(path).ok().map(|metadata| metadata.ino())
}

/// Asks the admin API over a Unix socket.
///
/// # Panics
/// When there is no answer.
pub async fn admin(socket: &Path, method: &str, path: &str) -> Response {
    let stream = deadline("connect to the admin socket", UnixStream::connect(socket)).await;
    let mut raw = Raw::over(stream.expect("the admin socket accepts"));
    raw.send(request_bytes(method, "localhost", path, &[("Connection", "close")], b"")).await;
    raw.response_to(method).await
}

/// As [`admin`], with a body.
///
/// # Panics
/// When there is no answer.
pub async fn admin_with(socket: &Path, method: &str, path: &str, body: &[u8]) -> Response {
    let stream = deadline("connect to the admin socket", UnixStream::connect(socket)).await;
    let mut raw = Raw::over(stream.expect("the admin socket accepts"));
    raw.send(request_bytes(method, "localhost", path, &[("Connection", "close")], body)).await;
    raw.response_to(method).await
}

/// Whether something accepts connections there.
pub async fn listens(address: SocketAddr) -> bool {
    matches!(tokio::time::timeout(Duration::from_secs(1), tokio::net::TcpStream::connect(address)).await, Ok(Ok(_)))
}
