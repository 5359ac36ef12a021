//! `edgeweir hook deploy`, `versions` and `rollback`: which version of a hook a running edge uses. Versions are kept in the
//! state folder; the edge puts one in force by a reload of its own, all or nothing.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use edgeweir_config::{Config, Hook, HookSource};
use edgeweir_hookhost::HookLimits;
use http::Method;
use serde_json::Value;

use super::expect::kib;
use super::host::{Host, Randomness, read_wasm};
use super::test;
use crate::admin::{self, client};
use crate::cli::file::File;
use crate::cli::{output, serve, small_runtime};
use crate::telemetry::timestamp;
use crate::versions::{Version, Versions};

/// Characters of an id that are shown, and that are enough to name it.
const SHORT: usize = 12;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DeployArgs {
    /// The WASM file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The hook's name in the configuration, where it has `deployed = true`
    #[arg(long = "as", value_name = "NAME")]
    name: String,
    /// Cases that it has to pass first: a file, a folder, or a pattern with `*` in its last part
    #[arg(long, value_name = "GLOB")]
    cases: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct VersionsArgs {
    /// The hook's name in the configuration
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RollbackArgs {
    /// The hook's name in the configuration
    #[arg(value_name = "NAME")]
    name: String,
    /// The version, by the first characters of its id [default: the one that was deployed before the one in force]
    #[arg(value_name = "VERSION")]
    version: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, clap::Args)]
struct ConfigArg {
    /// The edge's configuration [default: edgeweir.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A deployed hook of a configuration.
struct Site {
    config: Config,
    hook: Hook,
    versions: Versions,
}

impl ConfigArg {
    /// None if the configuration is not usable; that has been told.
    fn site(&self, name: &str) -> anyhow::Result<Option<Site>> {
        let path = self.config.as_deref().unwrap_or(Path::new("edgeweir.toml"));
        let file = File::read(path, "edgeweir hook … --config FILE");
        if file.result.is_err() {
            output::err(&file.render(output::colour_on_stderr()));
            return Ok(None);
        }
        let Some(config) = file.result.ok().map(|parsed| parsed.config) else { return Ok(None) };
        let Some(hook) = config.hooks.iter().find(|hook| hook.name == name).cloned() else {
            bail!("`{}` has no hook `{name}`: add `[hooks.{name}]` with `deployed = true`", path.display());
        };
        if hook.source != HookSource::Deployed {
            bail!(
                "the hook `{name}` comes from `{}`: replace that file and reload, or write `deployed = true` in its place",
                hook.source
            );
        }
        let versions = Versions::of(&config.state_dir, name);
        Ok(Some(Site { config, hook, versions }))
    }
}

pub(super) fn deploy(args: &DeployArgs) -> anyhow::Result<ExitCode> {
    let Some(site) = args.config.site(&args.name)? else { return Ok(ExitCode::FAILURE) };
    let wasm = read_wasm(&args.file)?;
    // The edge finds it compiled.
    let options = serve::options(None);
    let host = Host::compiling(Randomness::System, &site.config.state_dir, &options)?;
    let memory = usize::try_from(site.hook.memory).unwrap_or(usize::MAX);
    let limits = HookLimits { timeout: site.hook.timeout, memory, concurrent: site.hook.max_concurrent };
    drop::<Arc<_>>(host.load(&args.name, &wasm, limits).with_context(|| format!("`{}`", args.file.display()))?);
    if let Some(cases) = &args.cases
        && test::run_cases(&args.file, cases)? != ExitCode::SUCCESS
    {
        output::err("not deployed: a case fails\n");
        return Ok(ExitCode::FAILURE);
    }
    let before = site.versions.current()?;
    let (id, new) = site.versions.add(&wasm, &args.file.display().to_string(), options.clock.wall())?;
    let size = kib(u64::try_from(wasm.len()).unwrap_or(u64::MAX));
    match put_in_force(&site, &id) {
        Ok(how) => {
            output::out(&match before {
                Some(before) if before == id => unchanged(&args.name, &id, &how),
                Some(before) => {
                    let before = short(&before);
                    format!("deployed `{}` version {} ({size}): {how}; before: {before}\n", args.name, short(&id))
                }
                None => format!("deployed `{}` version {} ({size}): {how}\n", args.name, short(&id)),
            });
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            // It was added by this call and serves nobody.
            if new && site.versions.current()?.as_deref() != Some(id.as_str()) {
                site.versions.remove(&id)?;
            }
            Err(error)
        }
    }
}

pub(super) fn versions(args: &VersionsArgs) -> anyhow::Result<ExitCode> {
    let Some(site) = args.config.site(&args.name)? else { return Ok(ExitCode::FAILURE) };
    let list = site.versions.list()?;
    if list.is_empty() {
        output::err(&format!("nothing is deployed as `{0}`: run `edgeweir hook deploy FILE --as {0}`\n", args.name));
        return Ok(ExitCode::FAILURE);
    }
    let current = site.versions.current()?;
    output::out(&list.iter().rev().map(|version| line(version, current.as_deref())).collect::<String>());
    Ok(ExitCode::SUCCESS)
}

pub(super) fn rollback(args: &RollbackArgs) -> anyhow::Result<ExitCode> {
    let Some(site) = args.config.site(&args.name)? else { return Ok(ExitCode::FAILURE) };
    let current = site.versions.current()?;
    let id = wanted(&site.versions.list()?, current.as_deref(), args.version.as_deref(), &args.name)?;
    let how = put_in_force(&site, &id)?;
    output::out(&match current {
        Some(current) if current == id => unchanged(&args.name, &id, &how),
        _ => format!("`{}` is version {} again: {how}\n", args.name, short(&id)),
    });
    Ok(ExitCode::SUCCESS)
}

/// The version that a rollback means.
fn wanted(list: &[Version], current: Option<&str>, asked: Option<&str>, name: &str) -> anyhow::Result<String> {
    let Some(asked) = asked else {
        let at = list.iter().position(|version| Some(version.id.as_str()) == current);
        let before = at.and_then(|at| at.checked_sub(1)).and_then(|at| list.get(at));
        return match before {
            Some(version) => Ok(version.id.clone()),
            None => bail!("there is no version before the one in force: `edgeweir hook versions {name}` lists them"),
        };
    };
    let mut found = list.iter().filter(|version| version.id.starts_with(&asked.to_ascii_lowercase()));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.id.clone()),
        (None, _) => bail!("`{name}` has no version `{asked}`: `edgeweir hook versions {name}` lists them"),
        (Some(_), Some(_)) => bail!("`{asked}` is the start of more than one version: give more characters"),
    }
}

/// Has the running edge use a version; without one it is written down for the start.
fn put_in_force(site: &Site, id: &str) -> anyhow::Result<String> {
    let socket = site.config.state_dir.join(admin::SOCKET);
    let path = format!("/v1/hooks/{}/versions/{id}", site.hook.name);
    match small_runtime()?.block_on(client::call(&socket, Method::POST, &path)) {
        Ok((200, body)) => {
            let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
            Ok(format!("in force, snapshot {}", answer["snapshot"]))
        }
        Ok((status, body)) => {
            let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
            match (answer["report"].as_str(), answer["error"].as_str()) {
                (Some(report), _) => bail!("the edge refuses it, and stays as it was: {}", report.trim_end()),
                (None, Some(error)) => bail!("the edge refuses it, and stays as it was: {error}"),
                (None, None) => bail!("the edge refuses it, and stays as it was: it answered {status}"),
            }
        }
        Err(client::ClientError::Connect { .. }) => {
            site.versions.put_in_force(id)?;
            Ok("no edge is running, it takes effect at the start".to_owned())
        }
        Err(error) => Err(error.into()),
    }
}

/// The edge was asked all the same: what the folder says is in force need not be, after a start that failed.
fn unchanged(name: &str, id: &str, how: &str) -> String {
    format!("`{name}` was version {} before: nothing changes ({how})\n", short(id))
}

fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

fn line(version: &Version, current: Option<&str>) -> String {
    let mark = if current == Some(version.id.as_str()) { '*' } else { ' ' };
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(version.deployed)).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut text = Vec::new();
    timestamp::write(&mut text, time);
    let time = String::from_utf8_lossy(&text).into_owned();
    format!("{mark} {}  {time}  {:>8}  {}\n", short(&version.id), kib(version.size), version.file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rollback_means() {
        let version = |id: &str| Version { id: id.into(), deployed: 0, size: 0, file: String::new() };
        let list = [version("aa1"), version("aa2"), version("b")];
        let wanted = |current, asked| wanted(&list, current, asked, "hello").map_err(|error| error.to_string());
        assert_eq!(wanted(Some("b"), None).unwrap(), "aa2");
        assert_eq!(wanted(Some("aa2"), None).unwrap(), "aa1");
        assert!(wanted(Some("aa1"), None).unwrap_err().starts_with("there is no version before"));
        assert!(wanted(None, None).is_err());
        assert_eq!(wanted(None, Some("AA2")).unwrap(), "aa2");
        assert!(wanted(None, Some("aa")).unwrap_err().contains("more than one"));
        assert!(wanted(None, Some("c")).unwrap_err().contains("no version `c`"));
    }

    #[test]
    fn a_version_for_people() {
        let version =
            Version { id: "0123456789abcdef".into(), deployed: 1_767_225_600, size: 2048, file: "a.wasm".into() };
        assert_eq!(
            line(&version, Some("0123456789abcdef")),
            "* 0123456789ab  2026-01-01T00:00:00.000Z      2KiB  a.wasm\n"
        );
    }
}
