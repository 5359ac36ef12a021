//! `edgeweir schema`: the JSON Schema of the configuration, for editors.

use std::process::ExitCode;

use super::output;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    output::out(&edgeweir_config::json_schema());
    Ok(ExitCode::SUCCESS)
}
