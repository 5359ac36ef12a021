//! `edgeweir reload`: makes the running edge load its configuration again, and tells what changed or why not.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::file::{File, FileArg};
use super::{output, small_runtime};
use crate::admin::{self, client, tenant};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    edge: EdgeArg,
}

/// Which running edge is meant.
#[derive(Debug, clap::Args)]
pub(super) struct EdgeArg {
    #[command(flatten)]
    file: FileArg,
    /// The admin socket of the edge
    #[arg(long, value_name = "PATH", conflicts_with_all = ["file", "config"])]
    socket: Option<PathBuf>,
}

impl EdgeArg {
    /// For verbs whose arguments are something else.
    pub(super) fn new(file: FileArg, socket: Option<PathBuf>) -> Self {
        Self { file, socket }
    }

    /// The admin socket. Without a configuration file there is none; what is wrong has gone to standard error. A file
    /// with errors will do: the edge runs with what was there before, and a reload is told them by the edge.
    pub(super) fn socket(&self, usage: &str) -> Option<Socket> {
        if let Some(path) = &self.socket {
            return Some(Socket { path: path.clone(), config: None, broken: None });
        }
        let config = self.file.path();
        let file = File::read(config, usage);
        if file.is_unreadable() {
            output::err(&file.render(output::colour_on_stderr()));
            return None;
        }
        let (folder, broken) = match file.result {
            Ok(parsed) => (parsed.config.state_dir, None),
            Err(_) => {
                let base = config.parent().unwrap_or(Path::new(""));
                (edgeweir_config::state_dir(&file.source, base), Some(file.name))
            }
        };
        Some(Socket { path: folder.join(admin::SOCKET), config: Some(config.to_owned()), broken })
    }
}

/// The admin socket of an edge.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    /// The configuration that the edge has to run with; any, if the socket itself was named.
    config: Option<PathBuf>,
    /// The configuration file, if it has errors: then the state folder may be another one.
    broken: Option<String>,
}

impl Socket {
    /// One call of the edge.
    ///
    /// # Errors
    /// Nobody answers, or an edge that runs with another configuration.
    pub(super) fn call(&self, method: Method, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
        self.send(method, path, Bytes::new())
    }

    /// One call with a body.
    ///
    /// # Errors
    /// As [`Socket::call`].
    pub(super) fn send(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<(u16, Vec<u8>)> {
        let runtime = small_runtime()?;
        if let Some(config) = &self.config
            && let Some(tenant) = runtime.block_on(tenant::tenant(&self.path))
            && !tenant.runs(config)
        {
            bail!(
                "the edge at `{}` runs {tenant}, not `{}`: name its file, or the socket with `--socket`",
                self.path.display(),
                tenant::identity(config).display()
            );
        }
        let answer = runtime.block_on(client::send(&self.path, method, path, body));
        match &self.broken {
            None => Ok(answer?),
            Some(file) => answer.with_context(|| {
                format!("`{file}` has errors (`edgeweir check` shows them), so this may be the wrong socket")
            }),
        }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(socket) = args.edge.socket("edgeweir reload FILE") else {
        output::err("not reloaded: the edge keeps the configuration it has\n");
        return Ok(ExitCode::FAILURE);
    };
    let (status, body) = socket.call(Method::POST, "/v1/reload")?;
    let answer = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if status == 200 {
        output::out(&success(&answer));
        return Ok(ExitCode::SUCCESS);
    }
    output::err(&refusal(status, &answer));
    Ok(ExitCode::FAILURE)
}

fn success(answer: &Value) -> String {
    let mut text = answer["warnings"].as_str().unwrap_or_default().to_owned();
    match answer["snapshot"].as_u64() {
        Some(number) => text.push_str(&format!("reloaded: snapshot {number} is in use\n")),
        None => text.push_str("reloaded\n"),
    }
    for change in answer["changes"].as_array().into_iter().flatten() {
        let what = change["what"].as_str().unwrap_or_default();
        let when = if change["needs_restart"] == true { " (takes effect after a restart)" } else { "" };
        // Writing into a String cannot fail.
        let _infallible = writeln!(text, "  {what}{when}");
    }
    text
}

fn refusal(status: u16, answer: &Value) -> String {
    match (answer["report"].as_str(), answer["error"].as_str()) {
        (Some(report), _) => format!("{}\nnot reloaded: the edge keeps the configuration it has\n", report.trim_end()),
        (None, Some(error)) => format!("not reloaded: {error}\n"),
        (None, None) => format!("not reloaded: the edge answered {status}\n"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_socket_is_found_with_a_broken_configuration_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edge.toml");
        let edge = EdgeArg { file: FileArg::of(&path), socket: None };
        assert!(edge.socket("edgeweir status FILE").is_none(), "no file, no socket");
        for (text, state) in [("[origins.app\n", ".edgeweir"), ("state_dir = \"state\"\nurll = 1\n", "state")] {
            std::fs::write(&path, text).unwrap();
            let socket = edge.socket("edgeweir status FILE").unwrap();
            assert_eq!(socket.path, folder.path().join(state).join("admin.sock"));
            let error = socket.call(Method::GET, "/v1/status").unwrap_err();
            assert!(format!("{error:#}").contains("has errors") && format!("{error:#}").contains("no edge is running"));
        }
    }

    #[test]
    fn answers_for_people() {
        let answer = json!({
            "snapshot": 3,
            "changes": [
                { "what": "origin `app` changed", "needs_restart": false },
                { "what": "`server.threads` changed", "needs_restart": true },
            ],
            "warnings": "warning: w\n",
        });
        assert_eq!(
            success(&answer),
            "warning: w\nreloaded: snapshot 3 is in use\n  origin `app` changed\n  `server.threads` changed (takes effect after a \
             restart)\n"
        );
        assert_eq!(success(&Value::Null), "reloaded\n");
        let answer = json!({ "error": "the file is bad", "report": "error: x\n\n" });
        assert_eq!(refusal(422, &answer), "error: x\nnot reloaded: the edge keeps the configuration it has\n");
        assert_eq!(refusal(409, &json!({ "error": "stopping" })), "not reloaded: stopping\n");
        assert!(refusal(500, &Value::Null).contains("answered 500"));
    }
}
