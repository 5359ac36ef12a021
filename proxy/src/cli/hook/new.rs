//! `edgeweir hook new`: writes a crate that builds at once, with an example that does something useful, its test and a
//! case. Writes into a new or empty folder only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use edgeweir_hookhost::Stage;

use super::name;
use crate::cli::output;

/// The SDK of the checkout that this binary was built from.
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk");

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Name of the hook: of its crate and of its folder, made in the current folder
    name: String,
    /// Stage of the example
    #[arg(long, value_enum, default_value_t = StageArg::ViewerRequest)]
    stage: StageArg,
    /// Folder of the SDK [default: the one this program was built with]
    #[arg(long, value_name = "PATH", conflicts_with = "sdk_git")]
    sdk: Option<PathBuf>,
    /// Take the SDK from a git repository instead
    #[arg(long, value_name = "URL")]
    sdk_git: Option<String>,
}

/// A stage on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StageArg {
    /// On every request, before the cache
    ViewerRequest,
    /// Before the origin is asked
    OriginRequest,
    /// After the origin answered, before the response is stored
    OriginResponse,
    /// Before the response goes to the viewer
    ViewerResponse,
}

impl StageArg {
    fn stage(self) -> Stage {
        match self {
            Self::ViewerRequest => Stage::ViewerRequest,
            Self::OriginRequest => Stage::OriginRequest,
            Self::OriginResponse => Stage::OriginResponse,
            Self::ViewerResponse => Stage::ViewerResponse,
        }
    }

    /// The example and its case.
    fn example(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::ViewerRequest => (
                include_str!("template/viewer_request.rs"),
                "redirects.toml",
                include_str!("template/viewer_request.toml"),
            ),
            Self::OriginRequest => (
                include_str!("template/origin_request.rs"),
                "names-the-country.toml",
                include_str!("template/origin_request.toml"),
            ),
            Self::OriginResponse => (
                include_str!("template/origin_response.rs"),
                "images-stay-fresh.toml",
                include_str!("template/origin_response.toml"),
            ),
            Self::ViewerResponse => (
                include_str!("template/viewer_response.rs"),
                "adds-headers.toml",
                include_str!("template/viewer_response.toml"),
            ),
        }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    name::check(&args.name)?;
    let dependency = dependency(args)?;
    let folder = Path::new(&args.name);
    let is_empty = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(error).with_context(|| format!("cannot make the folder `{}`", args.name)),
    };
    if !is_empty {
        bail!("the folder `{}` is there already and not empty: choose another name, or remove it", args.name);
    }
    let (code, case_name, case) = args.stage.example();
    let manifest = include_str!("template/Cargo.toml.txt").replace("{name}", &args.name).replace("{sdk}", &dependency);
    for (file, text) in [
        ("Cargo.toml".to_owned(), manifest.as_str()),
        (".cargo/config.toml".to_owned(), include_str!("template/config.toml")),
        (".gitignore".to_owned(), "/target\n"),
        ("src/lib.rs".to_owned(), code),
        (format!("cases/{case_name}"), case),
    ] {
        let path = folder.join(&file);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    output::out(&next_steps(&args.name, args.stage.stage(), case_name));
    Ok(ExitCode::SUCCESS)
}

/// The right side of `edgeweir-sdk =` in the manifest. JSON strings are TOML strings too.
fn dependency(args: &Args) -> anyhow::Result<String> {
    if let Some(url) = &args.sdk_git {
        return Ok(format!("{{ git = {} }}", serde_json::Value::from(url.as_str())));
    }
    let path = args.sdk.clone().unwrap_or_else(|| PathBuf::from(SDK));
    let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
    if !manifest.contains("name = \"edgeweir-sdk\"") {
        bail!(
            "there is no SDK at `{}`: name the folder `sdk` of a checkout of Edgeweir with `--sdk PATH`, or its \
             repository with `--sdk-git URL`",
            path.display()
        );
    }
    let path = path.canonicalize().with_context(|| format!("cannot resolve `{}`", path.display()))?;
    let Some(path) = path.to_str() else { bail!("the path of the SDK is not UTF-8: `{}`", path.display()) };
    Ok(format!("{{ path = {} }}", serde_json::Value::from(path)))
}

fn next_steps(name: &str, stage: Stage, case: &str) -> String {
    let file = name.replace('-', "_");
    format!(
        "made the hook `{name}`: src/lib.rs is the hook, cases/{case} its first test\n\n\
         next:\n  \
         cd {name}\n  \
         edgeweir hook test      # builds it and runs the cases\n  \
         edgeweir hook bench     # calls per second, time and memory of a call\n\n\
         then bind it, in edgeweir.toml beside the folder:\n  \
         [hooks.{name}]\n  \
         file = \"{name}/target/wasm32-unknown-unknown/release/{file}.wasm\"\n\n  \
         [[distributions.site.behaviors]]\n  \
         path = \"*\"\n  \
         hooks = {{ {stage} = [\"{name}\"] }}\n\n\
         and run it: `edgeweir dev` builds and reloads what you save, and prints each request with what its hooks did\n"
    )
}
