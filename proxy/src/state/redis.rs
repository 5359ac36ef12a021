//! The store that several edges share: a Redis or Valkey server. Each question is one script, which the server runs with
//! nobody in between, so leases are as exact as in a file.
//!
//! A server may forget: restarted without its data, emptied, replaced by a copy that lags. Its first edge leaves a mark
//! there; if the mark is gone or another one, what was counted is gone too, and that is said.

mod scripts;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use edgeweir_limits::{Lease, Period};
use redis::{Connection, Pipeline};

use self::scripts::{BOOK, CHANGE_KEYS, GIVE_BACK, HEARTBEAT, LEASE};
use super::counter;
use super::record::KeyRecord;
use super::store::{Ask, Changes, Return, Row, Store, StoreError};
use crate::runtime::random;

/// For each answer of the server.
const PATIENCE: Duration = Duration::from_millis(800);
/// How long a node counts as alive after its last sign of life, and how often it gives one.
const ALIVE: (u64, Duration) = (3, Duration::from_millis(500));
/// Seconds that counters and rows of the ledger are kept after their last use: 400 days.
const KEPT: u64 = 400 * 86_400;
/// Changes that are remembered.
const REMEMBERED: i64 = 10_000;
/// What is said of a server whose mark is gone, until the edge is started again.
const LOST: &str = "it has lost what it knew (it was emptied, or is another one): quotas are not exact in this period, and \
                    the API keys that edges knew stay in use there until they are restarted: import them again before";
/// Name of the file that knows the server's mark.
const MARK: &str = "redis-mark";

/// Where the server is, and who asks.
pub(super) struct Server {
    /// `redis://…`.
    pub(super) url: String,
    /// Before each name.
    pub(super) prefix: String,
    /// The state folder: the server's mark is remembered there.
    pub(super) folder: PathBuf,
    /// This edge among others.
    pub(super) node: String,
    /// The server's mark as this process has seen it, and whether it was another one at any time.
    pub(super) seen: RefCell<(Option<String>, bool)>,
}

/// See the module's text.
pub(super) struct Shared {
    connection: Connection,
    prefix: String,
    mark: String,
    node: String,
    concern: Option<String>,
    forgot: bool,
    nodes: (u64, Instant),
}

impl Server {
    /// Connects.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub(super) fn open(&self) -> Result<Shared, StoreError> {
        let client = redis::Client::open(self.url.as_str())?;
        let mut connection = client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        let name = format!("{}:mark", self.prefix);
        let _set_by_the_first: Option<String> =
            redis::cmd("SET").arg(&name).arg(random::id(20)).arg("NX").query(&mut connection)?;
        let mark: String = redis::cmd("GET").arg(&name).query(&mut connection)?;
        let mut concerns = durability(&mut connection)?;
        let in_file = remember(&self.folder, &mark);
        let (seen, ever) = &mut *self.seen.borrow_mut();
        let forgot = seen.replace(mark.clone()).or(in_file).is_some_and(|known| known != mark);
        *ever |= forgot;
        if *ever {
            concerns.insert(0, LOST.to_owned());
        }
        let concern = (!concerns.is_empty()).then(|| concerns.join("; "));
        let mut shared = Shared {
            connection,
            prefix: self.prefix.clone(),
            mark,
            node: self.node.clone(),
            concern,
            forgot,
            nodes: (1, Instant::now()),
        };
        shared.beat()?;
        Ok(shared)
    }
}

/// The mark that was known; the present one is known from now on. A file that cannot be written is one that is not read.
fn remember(folder: &Path, mark: &str) -> Option<String> {
    let path = folder.join(MARK);
    let known = std::fs::read_to_string(&path).ok();
    if known.as_deref() != Some(mark) {
        let _best_effort = std::fs::write(&path, mark);
    }
    known
}

/// Why the server may forget.
fn durability(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    let info: String = redis::cmd("INFO").query(connection)?;
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let mut concerns = Vec::new();
    if field("aof_enabled") == Some("0") {
        concerns.push(
            "it keeps no append-only file: if it crashes it forgets its last writes, and quotas are not exact then"
                .to_owned(),
        );
    }
    let policy = field("maxmemory_policy").unwrap_or("noeviction");
    if policy != "noeviction" && field("maxmemory").is_some_and(|most| most != "0") {
        concerns.push(format!("its `maxmemory-policy` is `{policy}`: it may drop counters and keys; set `noeviction`"));
    }
    Ok(concerns)
}

impl Shared {
    fn name(&self, rest: &str) -> String {
        format!("{}:{rest}", self.prefix)
    }

    fn counter(&self, plan: &str, key: &str, period: Period) -> String {
        self.name(&format!("quota:{plan}\0{key}\0{}", period.as_str()))
    }

    fn day(&self, day: u32) -> String {
        self.name(&format!("ledger:{day}"))
    }

    fn beat(&mut self) -> Result<(), StoreError> {
        let nodes = redis::cmd("EVAL")
            .arg(HEARTBEAT)
            .arg(1)
            .arg(self.name("nodes"))
            .arg(&self.node)
            .arg(ALIVE.0)
            .query(&mut self.connection)?;
        self.nodes = (nodes, Instant::now());
        Ok(())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Who ends leaves its share to the others at once; if that fails, a little later.
        let _late: redis::RedisResult<()> =
            redis::cmd("ZREM").arg(self.name("nodes")).arg(&self.node).query(&mut self.connection);
    }
}

impl Store for Shared {
    fn lease(&mut self, asks: &[Ask]) -> Result<Vec<Lease>, StoreError> {
        let mut pipeline = Pipeline::with_capacity(asks.len());
        for ask in asks {
            let quota = &ask.quota;
            let command = pipeline.cmd("EVAL").arg(LEASE).arg(2).arg(self.name("mark"));
            command.arg(self.counter(&ask.plan, &ask.key, quota.period)).arg(&self.mark).arg(ask.number);
            command.arg(quota.limit).arg(quota.offset).arg(quota.lease).arg(ask.left).arg(ask.owed);
            command.arg(ask.returned).arg(self.nodes.0).arg(KEPT).arg(counter::KEPT);
            command.arg(counter::GONE);
        }
        let answers: Vec<(i64, u64, u64)> = pipeline.query(&mut self.connection)?;
        let lease = |(ask, (granted, limit, leased)): (&Ask, (i64, u64, u64))| {
            let granted = u64::try_from(granted).map_err(|_negative| StoreError::Forgot)?;
            Ok(Lease { period: ask.number, granted, limit, leased })
        };
        asks.iter().zip(answers).map(lease).collect()
    }

    fn give_back(&mut self, returns: &[Return]) -> Result<(), StoreError> {
        let mut pipeline = Pipeline::with_capacity(returns.len());
        for Return { plan, key, period, number, count } in returns {
            let command = pipeline.cmd("EVAL").arg(GIVE_BACK).arg(2).arg(self.name("mark"));
            command.arg(self.counter(plan, key, *period)).arg(&self.mark).arg(*number).arg(*count);
        }
        let _done: Vec<i64> = pipeline.query(&mut self.connection)?;
        Ok(())
    }

    fn book(&mut self, batch: &str, rows: &[Row]) -> Result<(), StoreError> {
        let mut command = redis::cmd("EVAL");
        command.arg(BOOK).arg(1).arg(self.name(&format!("booked:{batch}"))).arg(KEPT);
        for Row { day, plan, key, requests, refused } in rows {
            for (field, count) in [("n", requests), ("r", refused)] {
                if *count > 0 {
                    command.arg(self.day(*day)).arg(format!("{plan}\0{key}\0{field}")).arg(*count);
                }
            }
        }
        let _booked: u64 = command.query(&mut self.connection)?;
        Ok(())
    }

    fn ledger(&mut self, days: (u32, u32), after: Option<&Row>, count: usize) -> Result<Vec<Row>, StoreError> {
        let mut rows: Vec<Row> = Vec::new();
        let last = days.1.min(days.0.saturating_add(u32::try_from(KEPT / 86_400).unwrap_or(u32::MAX) + 1));
        let first = after.map_or(days.0, |row| row.day);
        for day in first..=last {
            let fields: std::collections::BTreeMap<String, u64> =
                redis::cmd("HGETALL").arg(self.day(day)).query(&mut self.connection)?;
            let mut found: std::collections::BTreeMap<(String, String), (u64, u64)> = std::collections::BTreeMap::new();
            for (name, value) in fields {
                let mut parts = name.split('\0').map(str::to_owned);
                let (Some(plan), Some(key), Some(kind)) = (parts.next(), parts.next(), parts.next()) else { continue };
                let row = found.entry((plan, key)).or_default();
                if kind == "n" { row.0 = value } else { row.1 = value }
            }
            let row = |((plan, key), (requests, refused))| Row { day, plan, key, requests, refused };
            let is_after = |row: &Row| {
                after.is_none_or(|after| (row.day, &row.plan, &row.key) > (after.day, &after.plan, &after.key))
            };
            rows.extend(found.into_iter().map(row).filter(is_after));
            if rows.len() >= count {
                rows.truncate(count);
                break;
            }
        }
        Ok(rows)
    }

    fn forget(&mut self, _before: u32) -> Result<(), StoreError> {
        // Each day has its own end.
        Ok(())
    }

    fn change_keys(&mut self, put: &[KeyRecord], gone: &[String]) -> Result<(), StoreError> {
        let mut command = redis::cmd("EVAL");
        command.arg(CHANGE_KEYS).arg(5);
        for name in ["keys", "values", "changes", "revision", "ids"] {
            command.arg(self.name(name));
        }
        command.arg(gone.len()).arg(gone);
        for record in put {
            command.arg(serde_json::to_string(record)?);
        }
        command.arg(REMEMBERED);
        let refused: Vec<String> = command.query(&mut self.connection)?;
        match <[String; 2]>::try_from(refused) {
            Ok([why, id]) if why == "changed" => Err(StoreError::Changed { id }),
            Ok([_taken, id]) => Err(StoreError::Taken { id }),
            Err(_nothing) => Ok(()),
        }
    }

    fn key(&mut self, id: &str) -> Result<Option<KeyRecord>, StoreError> {
        let record: Option<String> = redis::cmd("HGET").arg(self.name("keys")).arg(id).query(&mut self.connection)?;
        Ok(record.map(|record| serde_json::from_str(&record)).transpose()?)
    }

    fn key_with(&mut self, sha256: &str) -> Result<Option<String>, StoreError> {
        Ok(redis::cmd("HGET").arg(self.name("values")).arg(sha256).query(&mut self.connection)?)
    }

    fn keys(&mut self, after: &str, count: usize) -> Result<Vec<KeyRecord>, StoreError> {
        let from = if after.is_empty() { "-".to_owned() } else { format!("({after}") };
        let ids: Vec<String> = redis::cmd("ZRANGEBYLEX")
            .arg(self.name("ids"))
            .arg(from)
            .arg("+")
            .arg("LIMIT")
            .arg(0)
            .arg(count)
            .query(&mut self.connection)?;
        self.records(&ids)
    }

    fn changes(&mut self, since: u64) -> Result<Changes, StoreError> {
        let (mark, revision): (Option<String>, Option<u64>) =
            redis::cmd("MGET").arg(self.name("mark")).arg(self.name("revision")).query(&mut self.connection)?;
        if mark.as_ref() != Some(&self.mark) {
            // Emptied under our feet: no keys does not mean that all keys were removed.
            return Err(StoreError::Forgot);
        }
        let revision = revision.unwrap_or(0);
        if revision == since {
            return Ok(Changes { revision, ..Changes::default() });
        }
        let lines: Vec<String> = redis::cmd("ZRANGEBYSCORE")
            .arg(self.name("changes"))
            .arg(since + 1)
            .arg(revision)
            .query(&mut self.connection)?;
        let told = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if since == 0 || since > revision || told != revision - since {
            return Ok(Changes { revision, all: true, ..Changes::default() });
        }
        let mut changes = Changes { revision, ..Changes::default() };
        let mut ids = std::collections::BTreeSet::new();
        for line in &lines {
            let mut words = line.split(' ').skip(1);
            ids.extend(words.next().map(str::to_owned));
            changes.gone.extend(words.map(str::to_owned));
        }
        changes.put = self.records(&ids.into_iter().collect::<Vec<_>>())?;
        Ok(changes)
    }

    fn concern(&self) -> Option<String> {
        self.concern.clone()
    }

    fn has_forgotten(&self) -> bool {
        self.forgot
    }

    fn nodes(&mut self) -> Result<u64, StoreError> {
        if self.nodes.1.elapsed() >= ALIVE.1 {
            self.beat()?;
        }
        Ok(self.nodes.0)
    }
}

impl Shared {
    fn records(&mut self, ids: &[String]) -> Result<Vec<KeyRecord>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let texts: Vec<Option<String>> =
            redis::cmd("HMGET").arg(self.name("keys")).arg(ids).query(&mut self.connection)?;
        texts.iter().flatten().map(|text| Ok(serde_json::from_str(text)?)).collect()
    }
}
