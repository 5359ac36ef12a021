//! The command line of `edgeweir keys`.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use edgeweir_config::units::parse_duration;
use edgeweir_limits::period;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Verb {
    /// Make a key and print its value, which is not shown again
    Create(Create),
    /// Import keys from a CSV file in API Gateway's format: Name, Key, Description, Enabled, UsagePlanIds
    Import(Import),
    /// List keys
    List(List),
    /// Disable a key
    Disable(One),
    /// Enable a key
    Enable(One),
    /// Change the name, plans, end or metadata of a key
    Change(Change),
    /// Give a key another value and print it; the old one ends after the overlap
    Rotate(Rotate),
    /// Remove a key
    Delete(One),
    /// What keys use: requests by day, and how their quotas stand
    Usage(Usage),
    /// The ledger of usage as CSV
    Export(Export),
}

/// Which edge.
#[derive(Debug, clap::Args)]
pub(super) struct Edge {
    /// The configuration [default: edgeweir.toml]
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The admin socket of the edge
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub(super) socket: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Create {
    /// Its name, as logs show it
    pub(super) name: String,
    /// A usage plan that it belongs to; any number of times
    #[arg(long = "plan", value_name = "NAME")]
    pub(super) plans: Vec<String>,
    /// For people
    #[arg(long, default_value = "")]
    pub(super) description: String,
    /// Something to remember about it; any number of times
    #[arg(long = "metadata", value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) metadata: Vec<(String, String)>,
    /// When it ends: `2027-01-31` (00:00 UTC), or after a time, as `90d`
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub(super) expires: Option<u64>,
    /// It cannot be used yet
    #[arg(long)]
    pub(super) disabled: bool,
    /// Its value is read from standard input, not made
    #[arg(long)]
    pub(super) value_from_stdin: bool,
    #[command(flatten)]
    pub(super) edge: Edge,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Import {
    /// The CSV file
    pub(super) file: PathBuf,
    /// Import nothing if a line is wrong
    #[arg(long)]
    pub(super) fail_on_warnings: bool,
    #[command(flatten)]
    pub(super) edge: Edge,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct List {
    /// Only keys of this usage plan
    #[arg(long, value_name = "NAME")]
    pub(super) plan: Option<String>,
    /// Only keys whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) edge: Edge,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct One {
    /// Id of the key
    pub(super) id: String,
    #[command(flatten)]
    pub(super) edge: Edge,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Change {
    /// Id of the key
    pub(super) id: String,
    /// Another name
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Another description
    #[arg(long)]
    pub(super) description: Option<String>,
    /// All of its usage plans; any number of times
    #[arg(long = "plan", value_name = "NAME", conflicts_with = "no_plans")]
    pub(super) plans: Option<Vec<String>>,
    /// It belongs to no usage plan
    #[arg(long)]
    pub(super) no_plans: bool,
    /// All of its metadata; any number of times
    #[arg(long = "metadata", value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) metadata: Option<Vec<(String, String)>>,
    /// When it ends: `2027-01-31` (00:00 UTC), or after a time, as `90d`
    #[arg(long, value_name = "WHEN", value_parser = moment, conflicts_with = "never_expires")]
    pub(super) expires: Option<u64>,
    /// It does not end
    #[arg(long)]
    pub(super) never_expires: bool,
    #[command(flatten)]
    pub(super) edge: Edge,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Rotate {
    /// Id of the key
    pub(super) id: String,
    /// How long the old value can be used still
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = seconds)]
    pub(super) overlap: u64,
    /// The new value is read from standard input, not made
    #[arg(long)]
    pub(super) value_from_stdin: bool,
    #[command(flatten)]
    pub(super) edge: Edge,
}

/// Which rows of the ledger.
#[derive(Debug, clap::Args)]
pub(super) struct Rows {
    /// First day, UTC, as `2026-11-01` [default: the first of this month]
    #[arg(long, value_name = "DATE")]
    pub(super) from: Option<String>,
    /// Last day [default: today]
    #[arg(long, value_name = "DATE")]
    pub(super) to: Option<String>,
    /// Only this usage plan
    #[arg(long, value_name = "NAME")]
    pub(super) plan: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Usage {
    /// Id of a key; all keys without one
    pub(super) id: Option<String>,
    /// How the quotas stand, in place of the days; of all keys, one call each
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub(super) remaining: bool,
    #[command(flatten)]
    pub(super) rows: Rows,
    #[command(flatten)]
    pub(super) edge: Edge,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    pub(super) rows: Rows,
    #[command(flatten)]
    pub(super) edge: Edge,
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write `NAME=VALUE`".to_owned()),
    }
}

pub(super) fn seconds(text: &str) -> Result<u64, String> {
    parse_duration(text).map(|time| time.as_secs()).map_err(|error| error.to_string())
}

pub(super) fn moment(text: &str) -> Result<u64, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if let Some(day) = period::parse_date(text) {
        let at = day * period::DAY;
        return if at > now { Ok(at) } else { Err("it is over; `edgeweir keys disable` ends a key now".to_owned()) };
    }
    seconds(text)
        .map(|after| now + after)
        .map_err(|_error| "write a date, as `2027-01-31`, or a time, as `90d`".to_owned())
}
