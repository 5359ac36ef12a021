//! `edgeweir hook inspect`: what a WASM file is, and whether this edge takes it. The answer comes from the host itself: the
//! file is loaded as an edge would load it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use edgeweir_config::units::format_size;
use edgeweir_hookhost::{Inspection, Kind, MAX_WASM, inspect};
use serde_json::{Value, json};

use super::case::DEFAULT_LIMITS;
use super::expect::kib;
use super::host::{Host, Randomness, name_of, read_wasm};
use super::{NOT_GOOD, build};
use crate::cli::output;

/// What the flags of a new hook make a hook start with, in bytes.
const LEAN_MEMORY: u64 = 256 << 10;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The WASM file, or the folder of a hook's crate, which is built first
    #[arg(value_name = "FILE|DIR")]
    path: PathBuf,
    /// Profile of cargo, for DIR
    #[arg(long, default_value = "release")]
    profile: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let path = build::artefact(&args.path, &args.profile)?;
    let wasm = read_wasm(&path)?;
    let facts = Facts::of(&path, &wasm)?;
    output::out(&if args.json { format!("{:#}\n", facts.json()) } else { facts.text() });
    Ok(if facts.is_taken() { ExitCode::SUCCESS } else { NOT_GOOD })
}

/// A file and what is known about it.
pub(super) struct Facts {
    path: PathBuf,
    found: Inspection,
    /// Why this edge would not take it.
    refusal: Option<String>,
}

impl Facts {
    /// Reads and loads the hook.
    ///
    /// # Errors
    /// When the hook host does not start.
    pub(super) fn of(path: &Path, wasm: &[u8]) -> anyhow::Result<Self> {
        let host = Host::new(Randomness::Counted)?;
        let refusal = host.load(&name_of(path), wasm, DEFAULT_LIMITS).err().map(|error| output::chain(&error));
        Ok(Self { path: path.to_owned(), found: inspect(wasm), refusal })
    }

    /// Whether this edge would take the hook, with the default limits.
    pub(super) fn is_taken(&self) -> bool {
        self.refusal.is_none()
    }

    /// Size in bytes: of what was read, which is at most one byte over the limit.
    fn size(&self) -> u64 {
        u64::try_from(self.found.size).unwrap_or(u64::MAX)
    }

    fn digest(&self) -> String {
        self.found.sha256.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _infallible = write!(text, "{byte:02x}");
            text
        })
    }

    fn stages(&self) -> Vec<&'static str> {
        self.found.stages.iter().map(|stage| stage.as_str()).collect()
    }

    fn data(&self) -> Vec<Value> {
        self.found.data.iter().map(|(name, size)| json!({ "name": name, "size": size })).collect()
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let found = &self.found;
        let or_none = |list: String| if list.is_empty() { "none".to_owned() } else { list };
        // The contract's own names are short here: its version has a line of its own.
        let short = |name: &String| match name.strip_prefix("edgeweir:hook/").and_then(|name| name.split_once('@')) {
            Some((interface, _version)) => interface.to_owned(),
            None => name.clone(),
        };
        let imports = found.imports.iter().map(short).collect::<Vec<_>>().join(", ");
        let memory = found.memory.map_or_else(|| "none".to_owned(), format_size);
        let limit = u64::try_from(MAX_WASM).unwrap_or(u64::MAX);
        let mut text = format!(
            "file      {}\nsize      {} of at most {}\nsha256    {}\nkind      {}\ncontract  {}\nstages    {}\nimports   {}\nmemory    {memory} at the start of a call\n",
            self.path.display(),
            kib(self.size()),
            format_size(limit),
            self.digest(),
            found.kind.as_str(),
            found.contract.as_deref().unwrap_or("none"),
            or_none(self.stages().join(", ")),
            or_none(imports),
        );
        for (name, size) in &found.data {
            let size = kib(u64::try_from(*size).unwrap_or(u64::MAX));
            text.push_str(&format!("data      {} of {size}, beside the memory\n", output::plain(name)));
        }
        text.push_str(&match &self.refusal {
            None => "verdict   this edge takes it\n".to_owned(),
            Some(why) => format!("verdict   refused: {why}\n"),
        });
        // The memory of a function in JavaScript is its engine's.
        let own = found.kind != Kind::Script;
        if own && found.memory.is_some_and(|memory| memory > LEAN_MEMORY) && self.is_taken() {
            text.push_str(
                "hint      it starts with more memory than most hooks need, which makes each call slower: see \
                 `.cargo/config.toml` in docs/hooks.md\n",
            );
        }
        text
    }

    fn json(&self) -> Value {
        json!({
            "file": self.path.display().to_string(),
            "size": self.size(),
            "max_size": MAX_WASM,
            "sha256": self.digest(),
            "kind": self.found.kind.as_str(),
            "contract": self.found.contract,
            "stages": self.stages(),
            "imports": self.found.imports,
            "memory": self.found.memory,
            "data": self.data(),
            "taken": self.is_taken(),
            "refusal": self.refusal,
        })
    }
}
