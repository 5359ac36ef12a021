//! `edgeweir status`: what the running edge says of itself.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use http::Method;
use serde_json::Value;

use super::output;
use super::reload::EdgeArg;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    edge: EdgeArg,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(socket) = args.edge.socket("edgeweir status FILE") else { return Ok(ExitCode::FAILURE) };
    let (status, body) = socket.call(Method::GET, "/v1/status")?;
    if status != 200 {
        bail!("the edge answered {status}");
    }
    let text = String::from_utf8_lossy(&body);
    match serde_json::from_str(&text) {
        Ok(answer) if !args.json => output::out(&lines(&answer)),
        _ => output::out(&text),
    }
    Ok(ExitCode::SUCCESS)
}

/// One `name: value` line for each field.
fn lines(answer: &Value) -> String {
    let mut text = String::new();
    for (name, value) in answer.as_object().into_iter().flatten() {
        // Writing into a String cannot fail.
        let _infallible = writeln!(text, "{}: {}", name.replace('_', " "), plain(value));
    }
    text
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| match value {
                Value::Object(_) => format!("{name} ({})", plain(value)),
                _ => format!("{} {}", name.replace('_', " "), plain(value)),
            };
            fields.iter().map(field).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_line_for_each_field() {
        let answer = json!({
            "connections": { "open": 3, "total": 9 },
            "listeners": ["http://127.0.0.1:8080", "https://[::]:443"],
            "origins": { "app": { "address_count": 1, "up": true }, "api": { "addresses": { "192.0.2.1:80": "ejected" }, "up": false } },
            "snapshot": 2,
            "uptime_seconds": 61,
        });
        assert_eq!(
            lines(&answer),
            "connections: open 3, total 9\nlisteners: http://127.0.0.1:8080, https://[::]:443\n\
             origins: api (addresses (192.0.2.1:80 ejected), up false), app (address count 1, up true)\nsnapshot: 2\nuptime seconds: 61\n"
        );
    }
}
