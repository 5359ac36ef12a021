//! `edgeweir reload`: makes the running edge load its configuration again, and tells what changed or why not.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::file::{DEFAULT, File};
use super::{output, small_runtime};
use crate::admin::{self, client};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    edge: EdgeArg,
}

/// Which running edge is meant.
#[derive(Debug, clap::Args)]
pub(super) struct EdgeArg {
    /// The configuration of the edge, which says where its state folder is [default: edgeweir.toml]
    #[arg(short, long, value_name = "FILE", conflicts_with = "socket")]
    config: Option<PathBuf>,
    /// The admin socket of the edge
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl EdgeArg {
    /// The admin socket. With a bad configuration file there is none; its report has gone to standard error.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        if let Some(socket) = &self.socket {
            return Some(socket.clone());
        }
        let path = self.config.clone().unwrap_or_else(|| DEFAULT.into());
        Some(File::read(&path).usable()?.config.state_dir.join(admin::SOCKET))
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(socket) = args.edge.socket() else {
        output::err("not reloaded: the edge keeps the configuration it has\n");
        return Ok(ExitCode::FAILURE);
    };
    let (status, body) = small_runtime()?.block_on(client::call(&socket, Method::POST, "/v1/reload"))?;
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
