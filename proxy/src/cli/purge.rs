//! `edgeweir purge`: takes objects of the running edge's cache out of service, and prints the receipt.

use std::path::PathBuf;
use std::process::ExitCode;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::file::FileArg;
use super::output;
use super::reload::EdgeArg;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// URLs, paths and tags: `http://host/path?query`, `/path`, `#tag`. A `*` at the end stands for any rest
    #[arg(value_name = "WHAT")]
    what: Vec<String>,
    /// All objects with this tag
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// All objects of this host
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// The distribution that paths, tags and --everything are about
    #[arg(long, value_name = "NAME")]
    distribution: Option<String>,
    /// All objects
    #[arg(long)]
    everything: bool,
    /// Make stale instead: the origin may confirm what is purged, and rules for stale responses may serve it
    #[arg(long)]
    soft: bool,
    /// Only count what would be purged
    #[arg(long)]
    dry_run: bool,
    /// Print the receipt as JSON
    #[arg(long)]
    json: bool,
    /// The configuration [default: edgeweir.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The admin socket of the edge
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let edge = EdgeArg::new(FileArg::option(args.config.clone()), args.socket.clone());
    let Some(socket) = edge.socket("edgeweir purge --config FILE …") else { return Ok(ExitCode::FAILURE) };
    let (status, body) = socket.send(Method::POST, "/v1/purge", Bytes::from(order(args).to_string()))?;
    let text = String::from_utf8_lossy(&body);
    let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if status != 200 {
        let why = answer["error"].as_str().map_or_else(|| format!("the edge answered {status}"), str::to_owned);
        output::err(&format!("not purged: {why}\n"));
        return Ok(ExitCode::FAILURE);
    }
    output::out(&if args.json { text.into_owned() } else { receipt(&answer) });
    Ok(ExitCode::SUCCESS)
}

/// What the edge is asked for.
fn order(args: &Args) -> Value {
    let is_path = |what: &&String| what.starts_with('/') || what.starts_with('#');
    let paths: Vec<&String> = args.what.iter().filter(is_path).collect();
    let urls: Vec<&String> = args.what.iter().filter(|what| !is_path(what)).collect();
    json!({
        "urls": urls,
        "paths": paths,
        "tags": args.tags,
        "hosts": args.hosts,
        "distribution": args.distribution,
        "everything": args.everything,
        "soft": args.soft,
        "dry_run": args.dry_run,
    })
}

fn receipt(answer: &Value) -> String {
    let generation = answer["generation"].as_u64().unwrap_or_default();
    if answer["dry_run"] == true {
        let count = |name: &str| answer[name].as_u64().unwrap_or_default();
        return format!("would purge {} objects, {} bytes\n", count("objects"), count("bytes"));
    }
    let how = if answer["mode"] == "soft" { "stale now" } else { "purged" };
    format!("{how}: generation {generation}; what was fetched since says `gen={generation}` or more in Cache-Status\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_sorted_out() {
        use clap::Parser as _;
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let line = "x http://a.test/b* a.test/c /d* #red --tag blue --host a.test --distribution site --soft --dry-run";
        let order = order(&Line::try_parse_from(line.split(' ')).unwrap().args);
        assert_eq!(order["urls"], json!(["http://a.test/b*", "a.test/c"]));
        assert_eq!(order["paths"], json!(["/d*", "#red"]));
        assert_eq!((&order["tags"], &order["hosts"]), (&json!(["blue"]), &json!(["a.test"])));
        assert_eq!(
            (&order["soft"], &order["dry_run"], &order["everything"]),
            (&json!(true), &json!(true), &json!(false))
        );
        serde_json::from_value::<crate::purge::Order>(order).unwrap();
    }

    #[test]
    fn receipts_for_people() {
        assert_eq!(
            receipt(&json!({ "generation": 3, "mode": "hard" })),
            "purged: generation 3; what was fetched since says `gen=3` or more in Cache-Status\n"
        );
        assert!(receipt(&json!({ "generation": 3, "mode": "soft" })).starts_with("stale now: generation 3;"));
        let counted = json!({ "dry_run": true, "objects": 2, "bytes": 1_000, "generation": 0 });
        assert_eq!(receipt(&counted), "would purge 2 objects, 1000 bytes\n");
    }
}
