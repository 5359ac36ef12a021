//! Edgeweir's configuration: text in, typed configuration or a report out.
//!
//! [`parse`] reads a TOML text and returns a [`Config`] in which everything is checked, or a [`Report`] with all
//! problems at once. Nothing here does I/O, reads the environment or knows the proxy: files, secrets and hooks that a
//! config names are looked at by those who use it.
//!
//! ```
//! let source = r#"
//! [origins.app]
//! url = "http://127.0.0.1:3000"
//!
//! [distributions.site]
//! hosts = ["example.com"]
//! orign = "app"
//! "#;
//! let report = edgeweir_config::parse(source, "/etc/edgeweir".as_ref()).unwrap_err();
//! assert!(report.render("edge.toml", source, false).contains("did you mean `origin`?"));
//! ```
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests may panic"))]

mod decode;
mod diff;
mod document;
mod model;
mod report;
mod resolve;
mod rules;
mod schema;
mod source;
mod suggest;
mod summary;
/// Values that people write as text.
pub mod units;

use std::path::Path;

pub use diff::{Change, diff};
pub use document::{BadText, MAX_BYTES, state_dir, text};
pub use model::*;
pub use report::{Problem, Report, Severity};
pub use schema::json_schema;
pub use source::Source;
pub use suggest::nearest;
pub use summary::summary;
pub use units::{HostPattern, PathPattern};

/// A configuration, and what is odd about it.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The configuration.
    pub config: Config,
    /// Only warnings; may be empty.
    pub warnings: Report,
}

/// Reads a configuration. Relative paths in it are joined to `base_dir`, the folder of the file.
///
/// # Errors
/// The report with all errors and warnings, if there is at least one error.
pub fn parse(source: &str, base_dir: &Path) -> Result<Parsed, Report> {
    let document = document::read(source)?;
    let mut report = Report::default();
    let file = schema::File::read(document, &mut report);
    rules::check(&file, &mut report);
    let config = Config { source: Source::of(source), ..resolve::resolve(&file, base_dir, &mut report) };
    report.sort();
    if report.has_errors() { Err(report) } else { Ok(Parsed { config, warnings: report }) }
}
