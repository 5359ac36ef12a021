//! An edge in this process: on port 0, with a state folder of its own and a clock that the test moves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use edgeweir_config::Config;
use edgeweir_proxy::edge::{Edge, Options};
use serde_json::Value;
use tempfile::TempDir;

use crate::clock::TestClock;
use crate::names::Names;
use crate::process::{admin, admin_with};
use crate::raw::{self, Raw, Response};
use crate::wait::{DEADLINE, START_DEADLINE, deadline_of, until};
use crate::wasm;

/// Between two tries to start an edge.
const BREATH: Duration = Duration::from_millis(50);
/// Calls of hooks at once: with half of what an edge has, one process has room for thirty.
const HOOK_CALLS: u32 = 500;
/// The file in the test's folder that the edge is started from.
const FILE: &str = "edgeweir.toml";

/// The host name that [`TestEdge`]'s short forms ask for.
pub const HOST: &str = "site.test";

/// An edge that is up.
///
/// Configs are TOML with placeholders: `{NAME}` for each variable given at the start, `{dir}` for the test's folder,
/// `{hook:NAME}` and `{guest:NAME}` for built WASM files. `state_dir` is put before the text; a listener on port 0 and an
/// access log in the test's folder are put after it unless the text has its own.
pub struct TestEdge {
    edge: Edge,
    clock: Arc<TestClock>,
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// What an edge starts with.
pub struct Setup {
    config: String,
    variables: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    clock: TestClock,
    folder: TempDir,
    file: Option<PathBuf>,
    compiler: Option<PathBuf>,
    names: Arc<Names>,
}

impl Setup {
    /// Starts from this config.
    #[must_use]
    pub fn new(config: &str) -> Self {
        Self {
            config: config.to_owned(),
            variables: Vec::new(),
            environment: Vec::new(),
            clock: TestClock::running(),
            folder: tempfile::tempdir().expect("a temporary folder"),
            file: None,
            compiler: None,
            names: Arc::default(),
        }
    }

    /// Writes the config into this file, which several edges of one state folder must share.
    #[must_use]
    pub fn file(mut self, path: &Path) -> Self {
        self.file = Some(path.to_owned());
        self
    }

    /// Compiles hooks in processes of this program; without, in the test's process.
    #[must_use]
    pub fn compiler(mut self, program: PathBuf) -> Self {
        self.compiler = Some(program);
        self
    }

    /// Sets a variable of the config.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a variable of the edge's environment, for secrets.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The names that these resolve are not asked of the system.
    #[must_use]
    pub fn names(mut self, names: &Arc<Names>) -> Self {
        self.names = Arc::clone(names);
        self
    }

    /// Stops the clock: only the test moves it.
    #[must_use]
    pub fn frozen(mut self) -> Self {
        self.clock = TestClock::frozen();
        self
    }

    /// The test's folder, to put files into before the start.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The config's text, as the edge gets it.
    #[must_use]
    pub fn text(&self) -> String {
        filled(&self.config, &self.variables, self.folder.path())
    }

    /// Starts the edge.
    ///
    /// # Panics
    /// When the config is not valid or the edge does not start.
    pub async fn start(self) -> TestEdge {
        match self.try_start().await {
            Ok(edge) => edge,
            Err(error) => panic!("the edge does not start: {error}"),
        }
    }

    /// Starts the edge, or says why not.
    ///
    /// # Errors
    /// The edge's words.
    pub async fn try_start(self) -> Result<TestEdge, String> {
        let text = self.text();
        let config = parse(&text, self.folder.path())?;
        let path = self.file.clone().unwrap_or_else(|| self.folder.path().join(FILE));
        std::fs::write(&path, &text).expect("the test's folder is writable");
        let clock = Arc::new(self.clock);
        let environment = self.environment;
        let options = Options {
            clock: Arc::<TestClock>::clone(&clock),
            config_path: Some(path),
            env: Arc::new(move |name| {
                environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
            }),
            compiler: self.compiler,
            resolver: self.names,
            hook_calls: HOOK_CALLS,
            ..Options::default()
        };
        let start = async {
            loop {
                let started = Edge::start(config.clone(), options.clone()).await.map_err(|error| chain(&error));
                // Each edge reserves terabytes of addresses for hooks, and one process has room for thirty. Edges of tests that
                // are over give theirs back when their last task has ended, which takes a moment on a busy machine.
                match started {
                    Err(error) if error.contains("mmap failed to reserve") => tokio::time::sleep(BREATH).await,
                    started => return started,
                }
            }
        };
        let edge = deadline_of(START_DEADLINE, "the edge starts", start).await?;
        Ok(TestEdge { edge, clock, folder: self.folder, variables: self.variables })
    }
}

impl TestEdge {
    /// Starts an edge with one origin variable, `{origin}`.
    pub async fn start(config: &str, origin: &str) -> Self {
        Setup::new(config).set("origin", origin).start().await
    }

    /// Starts an edge with one distribution for [`HOST`] that passes everything to one origin.
    pub async fn plain(origin: &str) -> Self {
        Self::start(PLAIN, origin).await
    }

    /// Where the first listener listens.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        *self.edge.addresses().first().expect("an edge listens somewhere")
    }

    /// Where all listeners listen, in the config's order.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.edge.addresses()
    }

    /// The edge itself.
    #[must_use]
    pub fn inner(&self) -> &Edge {
        &self.edge
    }

    /// The edge's clock.
    #[must_use]
    pub fn clock(&self) -> &TestClock {
        &self.clock
    }

    /// Moves the edge's clock forward.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// The test's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection to the first listener.
    pub async fn connect(&self) -> Raw {
        Raw::connect(self.address()).await
    }

    /// `GET` of a path of [`HOST`].
    pub async fn get(&self, target: &str) -> Response {
        self.get_with(target, &[]).await
    }

    /// `GET` of a path of [`HOST`] with header lines.
    pub async fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Response {
        raw::get(self.address(), HOST, target, headers).await
    }

    /// A request to [`HOST`].
    pub async fn request(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        raw::request(self.address(), method, HOST, target, headers, body).await
    }

    /// Sends bytes on a connection of their own and returns the response.
    pub async fn exchange(&self, bytes: impl AsRef<[u8]>) -> Response {
        raw::exchange(self.address(), bytes).await
    }

    /// Loads another config, as a reload does.
    ///
    /// # Errors
    /// The edge's words, when it refuses.
    pub async fn reload(&self, config: &str) -> Result<(), String> {
        let config = parse(&self.filled(config), self.folder.path())?;
        let reload = deadline_of(START_DEADLINE, "the edge reloads", self.edge.reload(config));
        reload.await.map(drop).map_err(|error| chain(&error))
    }

    /// Writes another config into the file that the edge was started from; it is read at the next reload.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write_config(&self, config: &str) {
        std::fs::write(self.folder.path().join(FILE), self.filled(config)).expect("the test's folder is writable");
    }

    /// A config's text with its placeholders filled, as the edge would get it.
    #[must_use]
    pub fn filled(&self, config: &str) -> String {
        filled(config, &self.variables, self.folder.path())
    }

    /// Stops the edge as SIGTERM does and waits until it has ended. Returns whether all requests in flight were finished.
    pub async fn shutdown(self) -> bool {
        deadline_of(START_DEADLINE, "the edge stops", self.edge.shutdown()).await
    }

    /// The edge's admin socket.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.folder.path().join("state/admin.sock")
    }

    /// Asks the admin API over its Unix socket.
    pub async fn admin(&self, method: &str, path: &str) -> Response {
        admin(&self.admin_socket(), method, path).await
    }

    /// Purges by the admin API; gives the status and the receipt.
    ///
    /// # Panics
    /// When the answer is no JSON.
    pub async fn purge(&self, order: &Value) -> (u16, Value) {
        let answer = admin_with(&self.admin_socket(), "POST", "/v1/purge", order.to_string().as_bytes()).await;
        (answer.status, serde_json::from_str(&answer.text()).expect("an answer of the admin API is JSON"))
    }

    /// The metrics as text.
    pub async fn metrics(&self) -> String {
        self.admin("GET", "/metrics").await.text()
    }

    /// The sum of all samples of a metric whose line holds all of `labels`.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.metrics().await;
        let samples = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && labels.iter().all(|label| line.contains(label))
        });
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Awaits that a metric, as [`TestEdge::metric`] has it, is `expected`: what ends a connection is counted after the viewer
    /// knows of it.
    ///
    /// # Panics
    /// If it is not within [`DEADLINE`].
    pub async fn counted(&self, name: &str, labels: &[&str], expected: f64) {
        let end = Instant::now() + DEADLINE;
        loop {
            let value = self.metric(name, labels).await;
            if value == expected {
                return;
            }
            assert!(Instant::now() < end, "{name} {labels:?} is {value}, not {expected}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The access log so far, as text.
    #[must_use]
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default()
    }

    /// The lines of the access log, when there are at least `count`.
    ///
    /// # Panics
    /// When there are fewer, or one is no JSON object.
    pub async fn log_lines(&self, count: usize) -> Vec<Value> {
        until(&format!("{count} lines in the access log"), || self.log_text().matches('\n').count() >= count).await;
        let text = self.log_text();
        text.lines().map(|line| serde_json::from_str(line).expect("a log line is JSON")).collect()
    }
}

/// One distribution, one origin, nothing else.
pub const PLAIN: &str = r#"
[origins.main]
url = "http://{origin}"

[distributions.site]
hosts = ["site.test"]
origin = "main"
"#;

/// An error and what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// Parses a config, or gives the report as text.
fn parse(text: &str, folder: &Path) -> Result<Config, String> {
    match edgeweir_config::parse(text, folder) {
        Ok(parsed) => Ok(parsed.config),
        Err(report) => Err(report.render("test.toml", text, false)),
    }
}

fn filled(config: &str, variables: &[(String, String)], folder: &Path) -> String {
    let mut text = config.replace("{dir}", &folder.to_string_lossy());
    for (name, value) in variables {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    text = built(text, "{hook:", wasm::hook);
    text = built(text, "{guest:", wasm::guest);
    let mut whole = String::new();
    if !text.contains("state_dir") {
        whole.push_str(&format!("state_dir = {:?}\n", folder.join("state")));
    }
    whole.push_str(&text);
    if !text.contains("[[listeners]]") {
        whole.push_str("\n[[listeners]]\naddress = \"127.0.0.1:0\"\n");
    }
    if !text.contains("[log]") {
        let file = folder.join("access.log");
        whole.push_str(&format!("\n[log]\naccess = {{ file = {file:?} }}\nevents = \"off\"\n"));
    }
    whole
}

fn built(mut text: String, prefix: &str, path: fn(&str) -> PathBuf) -> String {
    while let Some((before, rest)) = text.split_once(prefix) {
        let (name, after) = rest.split_once('}').expect("a placeholder ends");
        text = format!("{before}{}{after}", path(name).display());
    }
    text
}
