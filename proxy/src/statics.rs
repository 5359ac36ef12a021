//! A directory of static files as an origin: served in this process by `tower_http`'s `ServeDir` over pairs of sockets, which
//! pingora takes for connections. So files come through the cache, hooks, ranges and conditions like any origin's answers.
//!
//! Nothing outside of the directory is served, also by no symbolic link, and nothing whose name starts with a dot but
//! `.well-known`. Whoever may write into the directory is trusted not to swap links while a file is opened.

use std::ffi::OsStr;
use std::future::Future;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use pingora::connectors::l4::Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::{Error, ErrorType};
use tokio::net::UnixStream;
use tower_http::services::ServeDir;
use tower_http::services::fs::{Backend, TokioBackend, TokioFile};

/// Connections to directories are kept apart from those to servers, and from each other.
const FIRST_GROUP: u64 = 1 << 32;

static NEXT_GROUP: AtomicU64 = AtomicU64::new(FIRST_GROUP);

/// A directory that is served.
#[derive(Debug)]
pub struct Directory {
    inside: Inside,
    group: u64,
}

impl Directory {
    /// Of a path.
    ///
    /// # Errors
    /// If there is no directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let root = std::fs::canonicalize(path)?;
        if !std::fs::metadata(&root)?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a directory"));
        }
        Ok(Self { inside: Inside { root: root.into() }, group: NEXT_GROUP.fetch_add(1, Ordering::Relaxed) })
    }

    /// Keeps its connections apart in pingora's pool.
    #[must_use]
    pub fn group(&self) -> u64 {
        self.group
    }

    /// Where it is, without symbolic links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.inside.root
    }
}

#[async_trait]
impl Connect for Directory {
    async fn connect(&self, _nowhere: &SocketAddr) -> pingora::Result<Stream> {
        let (near, far) = UnixStream::pair()
            .map_err(|error| Error::because(ErrorType::ConnectError, "no sockets for a directory", error))?;
        let files =
            ServeDir::with_backend(&self.inside.root, self.inside.clone()).precompressed_br().precompressed_gzip();
        tokio::spawn(async move {
            // The other end is pingora's: it has the deadlines, and an error is that it has hung up.
            let service = TowerToHyperService::new(files);
            drop(http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(far), service).await);
        });
        Ok(near.into())
    }
}

/// The files inside of a directory.
#[derive(Debug, Clone)]
struct Inside {
    root: Arc<Path>,
}

impl Inside {
    /// Where a file really is.
    ///
    /// # Errors
    /// `NotFound` also for what may not be served: it looks as if it were not there.
    async fn real(&self, path: PathBuf) -> io::Result<PathBuf> {
        let hidden = |path: &Path| path.strip_prefix(&self.root).map_or(true, is_hidden);
        if hidden(&path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let real = tokio::fs::canonicalize(&path).await.map_err(|error| match error.kind() {
            // A name that no file can have.
            io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => io::ErrorKind::NotFound.into(),
            _ => error,
        })?;
        if hidden(&real) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(real)
    }
}

/// Whether a path in the directory has a name that starts with a dot. `.well-known` is there to be read (RFC 8615).
fn is_hidden(path: &Path) -> bool {
    path.components().any(|part| match part {
        Component::Normal(name) => name.as_encoded_bytes().starts_with(b".") && name != OsStr::new(".well-known"),
        Component::CurDir => false,
        Component::Prefix(_) | Component::RootDir | Component::ParentDir => true,
    })
}

type Later<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Backend for Inside {
    type File = TokioFile;
    type Metadata = std::fs::Metadata;
    type OpenFuture = Later<TokioFile>;
    type MetadataFuture = Later<std::fs::Metadata>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let inside = self.clone();
        Box::pin(async move {
            let real = inside.real(path).await?;
            // To open a pipe would wait for a writer.
            if !tokio::fs::metadata(&real).await?.is_file() {
                return Err(io::ErrorKind::NotFound.into());
            }
            TokioBackend.open(real).await
        })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let inside = self.clone();
        Box::pin(async move {
            let metadata = tokio::fs::metadata(inside.real(path).await?).await?;
            if metadata.is_file() || metadata.is_dir() { Ok(metadata) } else { Err(io::ErrorKind::NotFound.into()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_names() {
        for (path, hidden) in [
            ("", false),
            ("a/b.txt", false),
            (".env", true),
            ("a/.git/config", true),
            (".well-known/security.txt", false),
            (".well-known/.secret", true),
            ("../a", true),
            ("/etc/passwd", true),
            ("a..b", false),
        ] {
            assert_eq!(is_hidden(Path::new(path)), hidden, "{path}");
        }
    }
}
