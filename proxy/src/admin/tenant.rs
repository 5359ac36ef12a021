//! Which configuration the edge behind an admin socket runs with. Two edges with one state folder would fight for its
//! socket: the second takes it, and who reloads by the first one's file steers the second.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;

use super::{AdminError, client};

/// A living edge answers at once; one that hangs must not keep its successor from starting.
const PATIENCE: Duration = Duration::from_secs(2);

/// A living edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its configuration file, as [`identity`] has it; none if it was not started from a file.
    pub config: Option<PathBuf>,
}

impl Tenant {
    /// Whether it runs with this file. The file may be known by several names (a symbolic link that a deployment turns
    /// to the next version): it is enough that one of them fits.
    #[must_use]
    pub fn runs(&self, file: &Path) -> bool {
        let Some(own) = &self.config else { return false };
        *own == identity(file) || own.canonicalize().is_ok_and(|own| file.canonicalize().is_ok_and(|file| own == file))
    }
}

impl std::fmt::Display for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.config {
            Some(config) => write!(f, "`{}`", config.display()),
            None => f.write_str("no configuration file"),
        }
    }
}

/// A file's own name in its real folder: absolute, and the same from wherever it is named. A link is not followed at its
/// last step.
#[must_use]
pub fn identity(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), file.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => std::path::absolute(file).unwrap_or_else(|_no_folder| file.to_owned()),
    }
}

/// Who answers at an admin socket; none if nobody does, or nobody who says with what he runs.
pub async fn tenant(socket: &Path) -> Option<Tenant> {
    let answer = tokio::time::timeout(PATIENCE, client::call(socket, Method::GET, "/v1/status")).await.ok()?.ok()?;
    let status: serde_json::Value = serde_json::from_slice(&answer.1).ok()?;
    let config = status.get("config")?.as_str().map(PathBuf::from);
    // Something else than a file's own name is not comparable.
    config.as_ref().is_none_or(|config| config.is_absolute()).then_some(Tenant { config })
}

/// Refuses a socket that belongs to a living edge with another configuration. With the same one it is taken over: that is
/// how a new binary replaces an old one.
///
/// # Errors
/// [`AdminError::Occupied`].
pub async fn vacant(socket: &Path, file: &Path) -> Result<(), AdminError> {
    match tenant(socket).await {
        Some(tenant) if !tenant.runs(file) => {
            Err(AdminError::Occupied { path: socket.to_owned(), tenant, file: identity(file) })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_by_any_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("v1");
        std::fs::create_dir(&real).unwrap();
        std::fs::write(real.join("edge.toml"), "").unwrap();
        let link = folder.path().join("edge.toml");
        std::os::unix::fs::symlink("v1/edge.toml", &link).unwrap();
        let tenant = Tenant { config: Some(identity(&link)) };
        assert!(tenant.runs(&link));
        assert!(tenant.runs(&real.join("edge.toml")));
        assert!(tenant.runs(&real.join("../edge.toml")));
        // A deployment turns the link: still the same configuration.
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink("v2/edge.toml", &link).unwrap();
        assert!(tenant.runs(&link));
        assert!(!tenant.runs(&folder.path().join("other.toml")));
        assert!(!Tenant { config: None }.runs(&link));
        assert!(identity(Path::new("edge.toml")).is_absolute());
    }
}
