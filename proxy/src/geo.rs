//! Where an address is: facts from MaxMind-format databases, each read whole into memory, and again when its file changes.
//!
//! Knows the layouts of MaxMind (GeoLite2, GeoIP2: Country, City, ASN) and DB-IP, and flat records (`country_code`,
//! `latitude`, …). It must not know requests or headers. A look-up takes the database in force and does no I/O; reading
//! blocks: [`Geo::open`] and [`Geo::refresh`] are for outside of the runtime's workers.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use std::sync::Arc;

use arc_swap::ArcSwap;
use maxminddb::{MaxMindDbError, Reader};
use parking_lot::Mutex;

use crate::files::Stamp;
use crate::telemetry::metrics::StoreMetrics;

mod record;

use record::Record;

/// A database that could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GeoError {
    /// The file cannot be read.
    #[error("cannot read the geo database `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not a database in MaxMind's format, or is damaged.
    #[error("`{}` is not a geo database in MaxMind's format", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: MaxMindDbError,
    },
}

/// Up to three ASCII letters or digits, kept inline: codes of countries, continents and regions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code {
    len: u8,
    bytes: [u8; 3],
}

impl Code {
    /// `None` unless `text` is one to three ASCII letters or digits.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let mut bytes = [0; 3];
        if !fits {
            return None;
        }
        for (slot, byte) in bytes.iter_mut().zip(text.bytes()) {
            *slot = byte.to_ascii_uppercase();
        }
        Some(Self { len: u8::try_from(text.len()).ok()?, bytes })
    }

    /// The code in upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let used = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(used).unwrap_or_default()
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the databases know of an address. Names are English.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GeoFacts {
    /// ISO 3166-1 alpha-2 code of the country.
    pub country: Option<Code>,
    /// Name of the country.
    pub country_name: Option<Box<str>>,
    /// `AF`, `AN`, `AS`, `EU`, `NA`, `OC` or `SA`.
    pub continent: Option<Code>,
    /// ISO 3166-2 code of the largest subdivision, without the country.
    pub region: Option<Code>,
    /// Name of the largest subdivision.
    pub region_name: Option<Box<str>>,
    /// City.
    pub city: Option<Box<str>>,
    /// Postal code.
    pub postal: Option<Box<str>>,
    /// Metro code (United States).
    pub metro: Option<u32>,
    /// IANA time zone.
    pub time_zone: Option<Box<str>>,
    /// Latitude and longitude in degrees.
    pub location: Option<(f64, f64)>,
    /// Number of the autonomous system that announces the address.
    pub asn: Option<u32>,
}

impl GeoFacts {
    /// Takes from `record` what is not known yet.
    fn fill(&mut self, record: &Record<'_>) {
        fn text(slot: &mut Option<Box<str>>, value: Option<&str>) {
            if slot.is_none() {
                *slot = value.filter(|value| !value.is_empty()).map(Box::from);
            }
        }
        self.country = self.country.or_else(|| record.country_code());
        self.continent = self.continent.or_else(|| record.continent_code());
        self.region = self.region.or_else(|| record.region_code());
        self.metro = self.metro.or(record.location.metro_code);
        self.asn = self.asn.or(record.autonomous_system_number);
        self.location = self.location.or_else(|| record.position());
        text(&mut self.country_name, record.country_name());
        text(&mut self.region_name, record.region_name());
        text(&mut self.city, record.city.name);
        text(&mut self.postal, record.postal.code.or(record.postcode));
        text(&mut self.time_zone, record.location.time_zone.or(record.timezone));
    }
}

/// A database and its file.
struct Database {
    path: PathBuf,
    reader: ArcSwap<Reader<Vec<u8>>>,
    /// The file as it was when it was read last, for good or bad.
    seen: Mutex<Option<Stamp>>,
    metrics: Arc<StoreMetrics>,
}

/// What became of a look at a database's file that had changed.
#[derive(Debug)]
pub enum Refreshed {
    /// It was read and is in force now; its type is that of its metadata.
    Renewed {
        /// The file.
        path: PathBuf,
        /// Such as `GeoLite2-City`.
        kind: String,
    },
    /// It cannot be used; the old one stays.
    Failed(GeoError),
}

/// The open databases, in the order of the config.
pub struct Geo {
    databases: Vec<Arc<Database>>,
}

impl fmt::Debug for Geo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.databases.iter().map(|database| &database.path)).finish()
    }
}

impl Geo {
    /// Reads the databases into memory. Those that `old` has already stay as they are: [`Geo::refresh`] renews them.
    /// `metrics` hands out counters by the name of a file.
    ///
    /// # Errors
    /// The first database that cannot be read or is not in MaxMind's format.
    pub fn open(
        paths: &[PathBuf],
        old: Option<&Self>,
        metrics: impl Fn(&str) -> Arc<StoreMetrics>,
    ) -> Result<Self, GeoError> {
        let database = |path: &PathBuf| {
            let kept = old.and_then(|old| old.databases.iter().find(|database| database.path == *path));
            match kept {
                Some(kept) => Ok(Arc::clone(kept)),
                None => Database::open(path, &metrics).map(Arc::new),
            }
        };
        Ok(Self { databases: paths.iter().map(database).collect::<Result<_, _>>()? })
    }

    /// Looks at the files, and reads those that have changed since they were read last. Empty if none has.
    #[must_use]
    pub fn refresh(&self) -> Vec<Refreshed> {
        self.databases.iter().filter_map(|database| database.refresh()).collect()
    }

    /// Whether there is no database at all: then no address has facts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.databases.is_empty()
    }

    /// Everything the databases know of `address`; of two that know a fact the first wins.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> GeoFacts {
        let mut facts = GeoFacts::default();
        for database in &self.databases {
            let reader = database.reader.load();
            if let Some(record) = find(&reader, address) {
                facts.fill(&record);
            }
        }
        facts
    }

    /// Only the country; allocates nothing.
    #[must_use]
    pub fn country(&self, address: IpAddr) -> Option<Code> {
        self.databases.iter().find_map(|database| find(&database.reader.load(), address)?.country_code())
    }
}

impl Database {
    fn open(path: &Path, metrics: impl Fn(&str) -> Arc<StoreMetrics>) -> Result<Self, GeoError> {
        // Before it is read, so that a change meanwhile is seen at the next look.
        let stamp = Stamp::at(path);
        let reader = ArcSwap::from_pointee(open_one(path)?);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self { path: path.to_owned(), reader, seen: Mutex::new(stamp), metrics: metrics(&name) })
    }

    fn refresh(&self) -> Option<Refreshed> {
        let mut seen = self.seen.lock();
        let now = Stamp::at(&self.path);
        if now == *seen {
            return None;
        }
        *seen = now;
        let reader = open_one(&self.path);
        self.metrics.loaded(reader.is_ok());
        Some(match reader {
            Ok(reader) => {
                let kind = reader.metadata().database_type.clone();
                self.reader.store(Arc::new(reader));
                Refreshed::Renewed { path: self.path.clone(), kind }
            }
            Err(error) => Refreshed::Failed(error),
        })
    }
}

/// Largest database in bytes: it is held in memory. The largest of MaxMind's are below a tenth of it.
const MAX_DATABASE: u64 = 4 << 30;

fn open_one(path: &Path) -> Result<Reader<Vec<u8>>, GeoError> {
    let bytes =
        crate::files::read(path, MAX_DATABASE).map_err(|source| GeoError::Read { path: path.to_owned(), source })?;
    let format = |source| GeoError::Format { path: path.to_owned(), source };
    let reader = Reader::from_source(bytes).map_err(format)?;
    // What describes the database stands at its end: whether the rest is there shows in some of its records.
    for first in 0..=u8::MAX {
        reader
            .lookup(IpAddr::from([first, 1, 1, 1]))
            .map_err(format)?
            .decode::<serde::de::IgnoredAny>()
            .map_err(format)?;
    }
    Ok(reader)
}

/// The record of an address. A damaged record and an IPv6 address in an IPv4 database are the same as an unknown
/// address: a request never fails for the want of a geo fact.
fn find(reader: &Reader<Vec<u8>>, address: IpAddr) -> Option<Record<'_>> {
    // `::ffff:192.0.2.1` is the IPv4 viewer of a dual-stack listener.
    reader.lookup(address.to_canonical()).ok()?.decode().ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country_database() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples/demo/country.mmdb")
    }

    fn open(path: &Path) -> Result<Geo, GeoError> {
        Geo::open(&[path.to_owned()], None, |_name| Arc::default())
    }

    #[test]
    fn a_changed_file_is_read_and_a_bad_one_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("geo.mmdb");
        std::fs::copy(country_database(), &path).unwrap();
        let geo = open(&path).unwrap();
        assert!(geo.refresh().is_empty());
        let swiss = || geo.country("195.186.1.111".parse().unwrap()).is_some();
        std::fs::write(&path, "half a copy").unwrap();
        assert!(matches!(geo.refresh().as_slice(), [Refreshed::Failed(GeoError::Format { .. })]));
        assert!(swiss() && geo.refresh().is_empty(), "it is told once");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(geo.refresh().as_slice(), [Refreshed::Failed(GeoError::Read { .. })]));
        let again = Geo::open(std::slice::from_ref(&path), Some(&geo), |_name| Arc::default()).unwrap();
        assert!(again.country("195.186.1.111".parse().unwrap()).is_some(), "a reload keeps what is open");
        std::fs::copy(country_database(), &path).unwrap();
        assert!(matches!(geo.refresh().as_slice(), [Refreshed::Renewed { .. }]));
        assert!(swiss());
    }

    #[test]
    fn codes_are_short_ascii_in_upper_case() {
        assert_eq!(Code::new("ch").unwrap().as_str(), "CH");
        assert_eq!(Code::new("ENG").unwrap().to_string(), "ENG");
        for bad in ["", "ABCD", "é", "a-"] {
            assert_eq!(Code::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_demo_database_knows_countries() {
        let geo = open(&country_database()).unwrap();
        for (address, country) in [
            ("195.186.1.111", Some("CH")),
            ("::ffff:195.186.1.111", Some("CH")),
            ("80.12.0.1", Some("FR")),
            ("127.0.0.1", None),
        ] {
            let address = address.parse().unwrap();
            let found = geo.country(address);
            assert_eq!(found.as_ref().map(Code::as_str), country, "{address}");
            assert_eq!(geo.lookup(address).country, found, "{address}");
        }
    }

    #[test]
    fn ipv6_in_an_ipv4_database_is_unknown() {
        let geo = open(&country_database()).unwrap();
        assert_eq!(geo.lookup("2001:db8::1".parse().unwrap()), GeoFacts::default());
    }

    #[test]
    fn errors_name_the_file() {
        let missing = open(Path::new("no/such.mmdb")).unwrap_err().to_string();
        assert!(missing.contains("no/such.mmdb") && missing.contains("cannot read"), "{missing}");
        let folder = tempfile::tempdir().unwrap();
        let whole = std::fs::read(country_database()).unwrap();
        for (name, bytes) in [("empty", &b""[..]), ("text", b"not a database"), ("cut", &whole[..whole.len() / 2])] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let error = open(&path).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("is not a geo database"), "{error}");
        }
    }

    #[test]
    fn damaged_records_never_panic() {
        let mut bytes = std::fs::read(country_database()).unwrap();
        let end = bytes.len() - 4_096;
        for index in (bytes.len() / 2..end).step_by(7) {
            bytes[index] ^= 0x5a;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged.mmdb");
        std::fs::write(&path, bytes).unwrap();
        // Whether it opens depends on where the tree ends; looking up must be safe in any case.
        if let Ok(geo) = open(&path) {
            for first in 1..=255_u8 {
                let _facts = geo.lookup(IpAddr::from([first, 7, 9, 1]));
            }
        }
    }
}
