//! `edgeweir keys`: makes, imports, changes, rotates and lists the API keys of a running edge, and shows what they use.

mod args;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use edgeweir_limits::period;
use http::Method;
use serde_json::{Value, json};

pub(super) use self::args::Verb;
use self::args::{Change, Create, Edge, Export, Import, List, One, Rotate, Rows, Usage};
use super::file::FileArg;
use super::output;
use super::reload::{EdgeArg, Socket};
use crate::files;

/// Lines of a file that are sent at once.
const CHUNK: usize = 5_000;
/// Largest file in bytes: a million keys have some 100 MB.
const MAX_FILE: u64 = 1 << 30;

pub(super) fn run(verb: &Verb) -> anyhow::Result<ExitCode> {
    let done = match verb {
        Verb::Create(args) => create(args),
        Verb::Import(args) => import(args),
        Verb::List(args) => list(args),
        Verb::Disable(args) => patch(&args.edge, &args.id, &json!({ "enabled": false }), "disabled"),
        Verb::Enable(args) => patch(&args.edge, &args.id, &json!({ "enabled": true }), "enabled"),
        Verb::Change(args) => change(args),
        Verb::Rotate(args) => rotate(args),
        Verb::Delete(args) => delete(args),
        Verb::Usage(args) => usage(args),
        Verb::Export(args) => export(args),
    }?;
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Edge {
    fn socket(&self) -> Option<Socket> {
        EdgeArg::new(FileArg::option(self.config.clone()), self.socket.clone()).socket("edgeweir keys … --config FILE")
    }

    /// One call; gives the answer, or prints why there is none.
    fn call(&self, method: Method, path: &str, body: &str) -> anyhow::Result<Option<String>> {
        let Some(socket) = self.socket() else { return Ok(None) };
        send(&socket, method, path, body)
    }
}

fn send(socket: &Socket, method: Method, path: &str, body: &str) -> anyhow::Result<Option<String>> {
    let (status, answer) = socket.send(method, path, Bytes::from(body.to_owned()))?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    if status < 300 {
        return Ok(Some(text));
    }
    let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let why = answer["error"].as_str().map_or_else(|| format!("the edge answered {status}"), str::to_owned);
    output::err(&format!("not done: {why}\n"));
    Ok(None)
}

fn value(wanted: bool) -> anyhow::Result<Option<String>> {
    if !wanted {
        return Ok(None);
    }
    let mut text = String::new();
    std::io::stdin().read_line(&mut text).context("cannot read the value from standard input")?;
    Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
}

fn create(args: &Create) -> anyhow::Result<bool> {
    let wish = json!({
        "name": args.name,
        "description": args.description,
        "metadata": args.metadata.iter().cloned().collect::<BTreeMap<_, _>>(),
        "plans": args.plans,
        "enabled": !args.disabled,
        "expires": args.expires,
        "value": value(args.value_from_stdin)?,
    });
    made(&args.edge, "/v1/keys", &wish, "made")
}

fn rotate(args: &Rotate) -> anyhow::Result<bool> {
    let wish = json!({ "overlap_seconds": args.overlap, "value": value(args.value_from_stdin)? });
    made(&args.edge, &format!("/v1/keys/{}/rotate", segment(&args.id)?), &wish, "rotated")
}

/// The value alone goes to standard output, for scripts.
fn made(edge: &Edge, path: &str, wish: &Value, what: &str) -> anyhow::Result<bool> {
    let Some(text) = edge.call(Method::POST, path, &wish.to_string())? else { return Ok(false) };
    if edge.json {
        output::out(&text);
        return Ok(true);
    }
    let answer: Value = serde_json::from_str(&text)?;
    output::err(&format!("{what}: key {} `{}`\n", word(&answer["id"]), word(&answer["name"])));
    if let Some(value) = answer["value"].as_str() {
        output::err("its value, which is not shown again:\n");
        output::out(&format!("{value}\n"));
    }
    Ok(true)
}

fn patch(edge: &Edge, id: &str, change: &Value, what: &str) -> anyhow::Result<bool> {
    let path = format!("/v1/keys/{}", segment(id)?);
    let Some(text) = edge.call(Method::PATCH, &path, &change.to_string())? else { return Ok(false) };
    if edge.json {
        output::out(&text);
    } else {
        let answer: Value = serde_json::from_str(&text)?;
        output::out(&format!("{what}: key {} `{}`\n", word(&answer["id"]), word(&answer["name"])));
    }
    Ok(true)
}

fn change(args: &Change) -> anyhow::Result<bool> {
    let mut change = serde_json::Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            change.insert(name.to_owned(), value);
        }
    };
    set("name", args.name.as_ref().map(|name| json!(name)));
    set("description", args.description.as_ref().map(|text| json!(text)));
    set("plans", if args.no_plans { Some(json!([])) } else { args.plans.as_ref().map(|plans| json!(plans)) });
    let metadata = args.metadata.as_ref().map(|pairs| pairs.iter().cloned().collect::<BTreeMap<_, _>>());
    set("metadata", metadata.map(|metadata| json!(metadata)));
    set("expires", if args.never_expires { Some(json!(0)) } else { args.expires.map(|at| json!(at)) });
    if change.is_empty() {
        bail!("nothing to change: `edgeweir keys change --help` lists what can be");
    }
    patch(&args.edge, &args.id, &Value::Object(change), "changed")
}

fn delete(args: &One) -> anyhow::Result<bool> {
    let done = args.edge.call(Method::DELETE, &format!("/v1/keys/{}", segment(&args.id)?), "")?;
    if done.is_some() {
        output::out(&format!("removed: key {}\n", args.id));
    }
    Ok(done.is_some())
}

/// Parts of a file of about [`CHUNK`] lines with the number of their first line. A line end in quotes is no end.
fn parts(text: &str) -> Vec<(usize, &str)> {
    let (mut parts, mut rest, mut line, mut first) = (Vec::new(), text, 2, 2);
    let (mut end, mut quoted) = (0, false);
    for part in text.split_inclusive('\n') {
        quoted ^= part.matches('"').count() % 2 == 1;
        (end, line) = (end + part.len(), line + 1);
        if !quoted && line - first >= CHUNK {
            let (before, after) = rest.split_at(end);
            parts.push((first, before));
            (rest, end, first) = (after, 0, line);
        }
    }
    if !rest.is_empty() {
        parts.push((first, rest));
    }
    parts
}

/// The file goes in parts of whole lines, each under the header line. With `--fail-on-warnings` all of it is tried first.
fn import(args: &Import) -> anyhow::Result<bool> {
    let bytes =
        files::read_stream(&args.file, MAX_FILE).with_context(|| format!("cannot read `{}`", args.file.display()))?;
    let text = String::from_utf8(bytes).with_context(|| format!("`{}` is not UTF-8 text", args.file.display()))?;
    let Some(socket) = args.edge.socket() else { return Ok(false) };
    let Some((header, rest)) = text.split_once('\n') else { bail!("`{}` has no keys", args.file.display()) };
    let (mut ids, mut warnings) = (Vec::new(), Vec::new());
    for dry in if args.fail_on_warnings { &[true, false][..] } else { &[false][..] } {
        for (first, part) in parts(rest) {
            let body = format!("{header}\n{part}");
            let path = format!("/v1/keys/import?dry_run={dry}&first_line={first}");
            let Some(answer) = send(&socket, Method::POST, &path, &body)? else { return Ok(false) };
            let answer: Value = serde_json::from_str(&answer)?;
            let texts = |name: &str| answer[name].as_array().into_iter().flatten().map(word).collect::<Vec<_>>();
            ids.extend(texts("ids"));
            if *dry || !args.fail_on_warnings {
                warnings.extend(texts("warnings"));
            }
        }
        if *dry && !warnings.is_empty() {
            break;
        }
    }
    let refused = args.fail_on_warnings && !warnings.is_empty();
    if args.edge.json {
        output::out(&format!("{}\n", json!({ "ids": ids, "warnings": warnings })));
    } else {
        output::err(&warnings.iter().map(|warning| format!("warning: {warning}\n")).collect::<String>());
        output::out(&if refused {
            "nothing is imported\n".to_owned()
        } else {
            format!("imported: {} keys\n", ids.len())
        });
    }
    Ok(!refused)
}

/// All keys; none if the edge says why not, which is printed.
fn all(socket: &Socket) -> anyhow::Result<Option<Vec<Value>>> {
    let mut after = String::new();
    let mut all = Vec::new();
    loop {
        let Some(text) = send(socket, Method::GET, &format!("/v1/keys?after={after}"), "")? else { return Ok(None) };
        let mut answer: Value = serde_json::from_str(&text)?;
        all.extend(answer["keys"].as_array_mut().map(std::mem::take).unwrap_or_default());
        match answer["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return Ok(Some(all)),
        }
    }
}

fn list(args: &List) -> anyhow::Result<bool> {
    let Some(socket) = args.edge.socket() else { return Ok(false) };
    let Some(mut all) = all(&socket)? else { return Ok(false) };
    all.retain(|key| {
        let has = |plan: &String| key["plans"].as_array().into_iter().flatten().any(|one| one == plan.as_str());
        args.plan.as_ref().is_none_or(has)
            && args.name.as_ref().is_none_or(|name| key["name"].as_str().is_some_and(|own| own.contains(name)))
    });
    if all.is_empty() && !is_known(&socket, args.plan.as_deref())? {
        return Ok(false);
    }
    if args.edge.json {
        output::out(&format!("{}\n", Value::Array(all)));
        return Ok(true);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut rows = vec![["id", "name", "plans", "state", "expires"].map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|key| {
        let plans: Vec<String> = key["plans"].as_array().into_iter().flatten().map(word).collect();
        let expires = key["expires"].as_u64().map_or_else(|| "-".to_owned(), |at| period::date(at / period::DAY));
        let ended = key["expires"].as_u64().is_some_and(|at| at <= now);
        let state = match (key["enabled"].as_bool(), key["source"].as_str()) {
            (Some(false), _) => "disabled",
            _ if ended => "ended",
            (_, Some("config")) => "enabled (configuration)",
            _ => "enabled",
        };
        vec![word(&key["id"]), word(&key["name"]), plans.join(", "), state.to_owned(), expires]
    }));
    output::out(&table(&rows));
    Ok(true)
}

impl Rows {
    fn query(&self, key: Option<&str>) -> anyhow::Result<String> {
        let mut query = String::new();
        for (name, value) in [("from", &self.from), ("to", &self.to), ("plan", &self.plan)] {
            if let Some(value) = value {
                write!(query, "&{name}={}", segment(value)?)?;
            }
        }
        if let Some(key) = key {
            write!(query, "&key={}", segment(key)?)?;
        }
        Ok(query)
    }
}

/// How the quotas of a key stand, or of all keys.
fn remaining(args: &Usage) -> anyhow::Result<bool> {
    let Some(socket) = args.edge.socket() else { return Ok(false) };
    let keys = match &args.id {
        Some(id) => vec![json!({ "id": id })],
        None => match all(&socket)? {
            Some(keys) => keys,
            None => return Ok(false),
        },
    };
    let mut found = Vec::new();
    for key in keys {
        let id = word(&key["id"]);
        let Some(text) = send(&socket, Method::GET, &format!("/v1/usage?key={}", segment(&id)?), "")? else {
            return Ok(false);
        };
        let mut answer: Value = serde_json::from_str(&text)?;
        let quotas = answer["quotas"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let wanted = |quota: &Value| args.rows.plan.as_ref().is_none_or(|plan| quota["plan"] == plan.as_str());
        found.extend(quotas.into_iter().filter(wanted).map(|mut quota| {
            quota["key"] = json!(id);
            if let Some(name) = key.get("name") {
                quota["name"] = name.clone();
            }
            quota
        }));
    }
    if found.is_empty() && !is_known(&socket, args.rows.plan.as_deref())? {
        return Ok(false);
    }
    if args.edge.json {
        output::out(&format!("{}\n", Value::Array(found)));
        return Ok(true);
    }
    let columns = ["key", "name", "plan", "period", "limit", "used", "remaining", "resets_in_seconds"];
    let mut rows = vec![columns.map(str::to_owned).to_vec()];
    rows.extend(
        found.iter().map(|quota| columns.map(|name| quota.get(name).map_or_else(|| "-".to_owned(), word)).to_vec()),
    );
    output::out(&table(&rows));
    Ok(true)
}

fn usage(args: &Usage) -> anyhow::Result<bool> {
    if args.remaining {
        return remaining(args);
    }
    let path = format!("/v1/usage?{}", args.rows.query(args.id.as_deref())?.trim_start_matches('&'));
    let Some(text) = args.edge.call(Method::GET, &path, "")? else { return Ok(false) };
    if args.edge.json {
        output::out(&text);
        return Ok(true);
    }
    let answer: Value = serde_json::from_str(&text)?;
    let mut rows = vec![["day", "plan", "key", "name", "requests", "refused"].map(str::to_owned).to_vec()];
    let shown = answer["rows"].as_array().into_iter().flatten();
    rows.extend(
        shown.map(|row| ["day", "plan", "key", "name", "requests", "refused"].map(|name| word(&row[name])).to_vec()),
    );
    let mut text = table(&rows);
    for quota in answer["quotas"].as_array().into_iter().flatten() {
        writeln!(
            text,
            "\nquota of plan {}: {} of {} a {} used, {} left; begins anew in {} s",
            word(&quota["plan"]),
            quota["used"],
            quota["limit"],
            word(&quota["period"]),
            quota["remaining"],
            quota["resets_in_seconds"]
        )?;
    }
    if answer["next"].is_string() {
        text.push_str("… more: `edgeweir keys export` has all rows\n");
    }
    output::out(&text);
    Ok(true)
}

fn export(args: &Export) -> anyhow::Result<bool> {
    let Some(socket) = args.edge.socket() else { return Ok(false) };
    let query = args.rows.query(None)?;
    let mut after = String::new();
    loop {
        let path = format!("/v1/usage?format=csv{query}{after}");
        let Some(page) = send(&socket, Method::GET, &path, "")? else { return Ok(false) };
        // The last line names the next page.
        let (rows, next) = match page.trim_end_matches('\n').rsplit_once("\n# next ") {
            Some((rows, next)) => (format!("{rows}\n"), Some(next.to_owned())),
            None => (page, None),
        };
        output::out(&rows);
        match next {
            Some(next) => after = format!("&after={}", segment(&next)?),
            None => return Ok(true),
        }
    }
}

/// Whether the edge knows a plan, of which nothing was found; says so if not, and which plans there are.
fn is_known(socket: &Socket, plan: Option<&str>) -> anyhow::Result<bool> {
    let Some(plan) = plan else { return Ok(true) };
    Ok(send(socket, Method::GET, &format!("/v1/usage?plan={}", segment(plan)?), "")?.is_some())
}

/// A text as a part of a path or query.
fn segment(text: &str) -> anyhow::Result<String> {
    if text.is_empty() {
        return Err(anyhow!("an id or name is empty"));
    }
    let mut coded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => coded.push(char::from(byte)),
            _ => write!(coded, "%{byte:02X}")?,
        }
    }
    Ok(coded)
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Rows with aligned columns.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::args::{moment, pair, seconds};
    use super::*;

    #[test]
    fn moments_and_pairs() {
        assert_eq!(moment("2027-01-31"), Ok(1_801_353_600));
        assert!(moment("90d").is_ok_and(|at| at > 1_700_000_000 + 90 * 86_400));
        assert!(moment("tomorrow").is_err());
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("a").is_err() && pair("=a").is_err());
        assert_eq!((seconds("1d"), segment("a b/ü").unwrap()), (Ok(86_400), "a%20b%2F%C3%BC".to_owned()));
    }

    #[test]
    fn files_are_cut_between_lines() {
        let text = "a,1\n".repeat(CHUNK - 1) + "\"b\nb\",2\n" + "c,3\nd,4";
        let parts = parts(&text);
        assert_eq!(parts.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [2, CHUNK + 3]);
        assert!(parts[0].1.ends_with("b\",2\n") && parts[1].1 == "c,3\nd,4");
    }

    #[test]
    fn tables_are_aligned() {
        let rows = [vec!["id".to_owned(), "name".to_owned()], vec!["abc".to_owned(), "x".to_owned()]];
        assert_eq!(table(&rows), "id   name\nabc  x\n");
    }
}
