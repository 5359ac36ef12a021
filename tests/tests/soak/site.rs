//! The real binary before an origin, in a folder of its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use edgeweir_tests::process::{Process, free_port};
use edgeweir_tests::wasm;
use tempfile::TempDir;

pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
    file: PathBuf,
    process: Option<Process>,
}

impl Site {
    /// A folder for a config and its hooks.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("edgeweir.toml");
        Self { file, address: ([127, 0, 0, 1], free_port()).into(), folder, process: None }
    }

    /// Starts the edge. `{dir}` and `{guest:NAME}` stand for the folder and a guest.
    pub(crate) async fn serve(&mut self, config: &str) {
        let state = self.folder.path().join("state");
        let mut text = config.replace("{dir}", &self.folder.path().to_string_lossy());
        while let Some((before, rest)) = text.split_once("{guest:") {
            let (name, after) = rest.split_once('}').expect("a placeholder ends");
            text = format!("{before}{}{after}", wasm::guest(name).display());
        }
        let text = format!("state_dir = {state:?}\n{text}\n[[listeners]]\naddress = \"{}\"\n", self.address);
        std::fs::write(&self.file, text).expect("a writable folder");
        self.process = Some(Process::serve(&self.file, &state).await);
    }

    pub(crate) fn process(&self) -> &Process {
        self.process.as_ref().expect("it serves")
    }

    /// Sum of the samples of a metric whose line holds all of `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        let text = self.process().admin("GET", "/metrics").await.text();
        let samples = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && labels.iter().all(|label| line.contains(label))
        });
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}
