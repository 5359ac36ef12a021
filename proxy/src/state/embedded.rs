//! The store in the state folder: a redb file. Several processes may have it open, so a new edge can take over from an old
//! one while both serve; each write is a transaction that one of them has at a time.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use edgeweir_limits::{Lease, Period};
use redb::{
    Builder, ConcurrencyMode, Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, Table,
    TableDefinition, WriteTransaction,
};

use super::counter::Counter;
use super::record::KeyRecord;
use super::store::{Ask, Changes, Return, Row, Store, StoreError};
use crate::runtime::random;

/// Name of the file in the state folder.
pub(super) const FILE: &str = "state.redb";

/// By plan, key and period: what is leased, as JSON.
const QUOTAS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("quotas");
/// The same as earlier versions had it; read where there is nothing in the other one.
const COUNTERS: TableDefinition<'_, &str, (u32, u32, u64, u32, u64)> = TableDefinition::new("counters");
/// By day, plan and key: requests and refusals.
const LEDGER: TableDefinition<'_, (u32, &str, &str), (u64, u64)> = TableDefinition::new("ledger");
/// By id: records as JSON.
const KEYS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("keys");
/// By SHA-256: the id of the key that has this value.
const VALUES: TableDefinition<'_, &str, &str> = TableDefinition::new("values");
/// By revision: id of a key that changed, and the values that it lost, with blanks between.
const CHANGES: TableDefinition<'_, u64, &str> = TableDefinition::new("changes");

/// Changes that are remembered. Who has missed more reads all keys.
const REMEMBERED: u64 = 10_000;
/// Memory for pages of the file, in bytes.
const CACHE: usize = 16 << 20;

/// See the module's text.
pub(super) struct Embedded {
    database: Database,
}

impl Embedded {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// The file cannot be opened, is empty or is no database.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        let file_error = |source| StoreError::File { path: path.display().to_string(), source };
        match std::fs::metadata(&path) {
            Ok(there) if there.len() == 0 => return Err(StoreError::Empty { path: path.display().to_string() }),
            Ok(_there) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(folder, &path)?,
            Err(error) => return Err(file_error(error)),
        }
        let database = Self::builder().create(&path).map_err(database)?;
        let transaction = database.begin_write().map_err(self::database)?;
        for opened in [
            transaction.open_table(QUOTAS).map(drop),
            transaction.open_table(COUNTERS).map(drop),
            transaction.open_table(LEDGER).map(drop),
            transaction.open_table(KEYS).map(drop),
            transaction.open_table(VALUES).map(drop),
            transaction.open_table(CHANGES).map(drop),
        ] {
            opened.map_err(self::database)?;
        }
        transaction.commit().map_err(self::database)?;
        Ok(Self { database })
    }

    fn builder() -> Builder {
        let mut builder = Builder::new();
        builder.set_concurrency_mode(ConcurrencyMode::MultiWriter).set_cache_size(CACHE);
        builder
    }
}

/// Makes the file: whole under another name first, so that the edge itself never leaves an empty one.
fn make(folder: &Path, path: &Path) -> Result<(), StoreError> {
    let whole = folder.join(format!("{FILE}.{}", random::id(8)));
    let file_error = |source| StoreError::File { path: path.display().to_string(), source };
    // Made here, so that nobody else can read it.
    drop(std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&whole).map_err(file_error)?);
    let made = Embedded::builder().create(&whole).map_err(database).map(drop).and_then(|()| {
        match std::fs::hard_link(&whole, path) {
            // Another process was faster.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            // A file system without links.
            Err(_error) => std::fs::rename(&whole, path).map_err(file_error),
            Ok(()) => Ok(()),
        }
    });
    // It is there no more where it was renamed.
    let _left = std::fs::remove_file(&whole);
    made
}

fn database(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Database(Box::new(error.into()))
}

/// Reads each row of a table.
fn read_all<K: redb::Key + 'static, V: redb::Value + 'static>(
    transaction: &ReadTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<(), StoreError> {
    let table = transaction.open_table(table).map_err(database)?;
    for row in table.iter().map_err(database)? {
        let (name, value) = row.map_err(database)?;
        let _read = (name.value(), value.value());
    }
    Ok(())
}

/// The name of a counter: plans and keys cannot hold the zero byte.
fn counter_name(plan: &str, key: &str, period: Period) -> String {
    format!("{plan}\0{key}\0{}", period.as_str())
}

/// The counters of a transaction.
struct Counters<'t> {
    quotas: Table<'t, &'static str, &'static [u8]>,
    earlier: Table<'t, &'static str, (u32, u32, u64, u32, u64)>,
}

impl<'t> Counters<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        let quotas = transaction.open_table(QUOTAS).map_err(database)?;
        Ok(Self { quotas, earlier: transaction.open_table(COUNTERS).map_err(database)? })
    }

    fn read(&self, name: &str) -> Result<Option<Counter>, StoreError> {
        if let Some(row) = self.quotas.get(name).map_err(database)? {
            return Ok(Some(serde_json::from_slice(row.value())?));
        }
        let earlier = self.earlier.get(name).map_err(database)?;
        Ok(earlier.map(|row| {
            let (first, number, leased, before, of_before) = row.value();
            Counter::of_two(first, (number, leased), (before, of_before))
        }))
    }

    fn write(&mut self, name: &str, counter: &Counter) -> Result<(), StoreError> {
        self.quotas.insert(name, serde_json::to_vec(counter)?.as_slice()).map_err(database)?;
        Ok(())
    }

    /// Drops what a key has used in all plans. Names begin with the plan: from each plan it is one jump to the next.
    fn drop_key(&mut self, key: &str) -> Result<(), StoreError> {
        let mut plan = self.plan_from("")?;
        while let Some(name) = plan {
            for period in [Period::Day, Period::Week, Period::Month] {
                let counter = counter_name(&name, key, period);
                self.quotas.remove(counter.as_str()).map_err(database)?;
                self.earlier.remove(counter.as_str()).map_err(database)?;
            }
            plan = self.plan_from(&format!("{name}\u{1}"))?;
        }
        Ok(())
    }

    /// The first plan from a text on that has a counter.
    fn plan_from(&self, start: &str) -> Result<Option<String>, StoreError> {
        let plan = |name: &str| name.split('\0').next().unwrap_or_default().to_owned();
        let mut plans = Vec::with_capacity(2);
        if let Some(first) = self.quotas.range(start..).map_err(database)?.next() {
            plans.push(plan(first.map_err(database)?.0.value()));
        }
        if let Some(first) = self.earlier.range(start..).map_err(database)?.next() {
            plans.push(plan(first.map_err(database)?.0.value()));
        }
        Ok(plans.into_iter().min())
    }
}

impl Store for Embedded {
    fn lease(&mut self, asks: &[Ask]) -> Result<Vec<Lease>, StoreError> {
        let transaction = self.database.begin_write().map_err(database)?;
        let mut leases = Vec::with_capacity(asks.len());
        let mut changed = false;
        {
            let mut counters = Counters::open(&transaction)?;
            for ask in asks {
                let name = counter_name(&ask.plan, &ask.key, ask.quota.period);
                let before = counters.read(&name)?;
                let mut counter = before.clone().unwrap_or_else(|| Counter::starting(ask.number));
                leases.push(counter.lease(ask, 1));
                if before.as_ref() != Some(&counter) {
                    changed = true;
                    counters.write(&name, &counter)?;
                }
            }
        }
        if changed {
            transaction.commit().map_err(database)?;
        } else {
            // A limit that is reached costs no write.
            transaction.abort().map_err(database)?;
        }
        Ok(leases)
    }

    fn give_back(&mut self, returns: &[Return]) -> Result<(), StoreError> {
        let transaction = self.database.begin_write().map_err(database)?;
        {
            let mut counters = Counters::open(&transaction)?;
            for Return { plan, key, period, number, count } in returns {
                let name = counter_name(plan, key, *period);
                let Some(mut counter) = counters.read(&name)? else { continue };
                counter.give_back(*number, *count);
                counters.write(&name, &counter)?;
            }
        }
        transaction.commit().map_err(database)
    }

    fn book(&mut self, _batch: &str, rows: &[Row]) -> Result<(), StoreError> {
        let transaction = self.database.begin_write().map_err(database)?;
        {
            let mut ledger = transaction.open_table(LEDGER).map_err(database)?;
            for Row { day, plan, key, requests, refused } in rows {
                let name = (*day, plan.as_str(), key.as_str());
                let (had, had_refused) = ledger.get(name).map_err(database)?.map_or((0, 0), |row| row.value());
                ledger.insert(name, (had + requests, had_refused + refused)).map_err(database)?;
            }
        }
        transaction.commit().map_err(database)
    }

    fn ledger(&mut self, days: (u32, u32), after: Option<&Row>, count: usize) -> Result<Vec<Row>, StoreError> {
        let transaction = self.database.begin_read().map_err(database)?;
        let ledger = transaction.open_table(LEDGER).map_err(database)?;
        let start = match after {
            Some(row) => (row.day, row.plan.as_str(), row.key.as_str()),
            None => (days.0, "", ""),
        };
        let mut rows = Vec::new();
        for entry in ledger.range(start..(days.1.saturating_add(1), "", "")).map_err(database)? {
            let (name, value) = entry.map_err(database)?;
            let (day, plan, key) = name.value();
            if after.is_some() && (day, plan, key) == start {
                continue;
            }
            let (requests, refused) = value.value();
            rows.push(Row { day, plan: plan.to_owned(), key: key.to_owned(), requests, refused });
            if rows.len() == count {
                break;
            }
        }
        Ok(rows)
    }

    fn forget(&mut self, before: u32) -> Result<(), StoreError> {
        let transaction = self.database.begin_write().map_err(database)?;
        {
            let mut ledger = transaction.open_table(LEDGER).map_err(database)?;
            ledger.retain_in(..(before, "", ""), |_, _| false).map_err(database)?;
        }
        transaction.commit().map_err(database)
    }

    fn check(&mut self) -> Result<(), StoreError> {
        let transaction = self.database.begin_read().map_err(database)?;
        read_all(&transaction, QUOTAS)?;
        read_all(&transaction, COUNTERS)?;
        read_all(&transaction, LEDGER)?;
        read_all(&transaction, KEYS)?;
        read_all(&transaction, VALUES)?;
        read_all(&transaction, CHANGES)
    }

    fn change_keys(&mut self, put: &[KeyRecord], gone: &[String]) -> Result<(), StoreError> {
        let transaction = self.database.begin_write().map_err(database)?;
        {
            let mut keys = transaction.open_table(KEYS).map_err(database)?;
            let mut values = transaction.open_table(VALUES).map_err(database)?;
            let mut changes = transaction.open_table(CHANGES).map_err(database)?;
            let mut counters = Counters::open(&transaction)?;
            let mut revision = changes.last().map_err(database)?.map_or(0, |(revision, _)| revision.value());
            let puts = put.iter().map(|record| (record.id.as_str(), Some(record)));
            for (id, record) in gone.iter().map(|id| (id.as_str(), None)).chain(puts) {
                let old: Option<KeyRecord> = match keys.get(id).map_err(database)? {
                    Some(old) => Some(serde_json::from_slice(old.value())?),
                    None => None,
                };
                if record.is_some_and(|record| record.version != old.as_ref().map_or(0, |old| old.version + 1)) {
                    return Err(StoreError::Changed { id: id.to_owned() });
                }
                let has = |sha256: &str| {
                    record.is_some_and(|record: &KeyRecord| record.secrets.iter().any(|new| new.sha256 == sha256))
                };
                let mut line = id.to_owned();
                for lost in old.iter().flat_map(|old| &old.secrets).filter(|secret| !has(&secret.sha256)) {
                    values.remove(lost.sha256.as_str()).map_err(database)?;
                    line.push(' ');
                    line.push_str(&lost.sha256);
                }
                match record {
                    Some(record) => {
                        for secret in &record.secrets {
                            let other = values.insert(secret.sha256.as_str(), id).map_err(database)?;
                            if let Some(other) = other.filter(|other| other.value() != id) {
                                return Err(StoreError::Taken { id: other.value().to_owned() });
                            }
                        }
                        keys.insert(id, serde_json::to_vec(record)?.as_slice()).map_err(database)?;
                    }
                    None => {
                        drop(keys.remove(id).map_err(database)?);
                        counters.drop_key(id)?;
                    }
                }
                revision += 1;
                changes.insert(revision, line.as_str()).map_err(database)?;
            }
            changes.retain_in(..revision.saturating_sub(REMEMBERED), |_, _| false).map_err(database)?;
        }
        transaction.commit().map_err(database)
    }

    fn key(&mut self, id: &str) -> Result<Option<KeyRecord>, StoreError> {
        let transaction = self.database.begin_read().map_err(database)?;
        let keys = transaction.open_table(KEYS).map_err(database)?;
        match keys.get(id).map_err(database)? {
            Some(record) => Ok(Some(serde_json::from_slice(record.value())?)),
            None => Ok(None),
        }
    }

    fn key_with(&mut self, sha256: &str) -> Result<Option<String>, StoreError> {
        let transaction = self.database.begin_read().map_err(database)?;
        let values = transaction.open_table(VALUES).map_err(database)?;
        let id = values.get(sha256).map_err(database)?;
        Ok(id.map(|id| id.value().to_owned()))
    }

    fn keys(&mut self, after: &str, count: usize) -> Result<Vec<KeyRecord>, StoreError> {
        let transaction = self.database.begin_read().map_err(database)?;
        let keys = transaction.open_table(KEYS).map_err(database)?;
        let mut records = Vec::new();
        for entry in keys.range(after..).map_err(database)? {
            let (id, record) = entry.map_err(database)?;
            if id.value() == after {
                continue;
            }
            records.push(serde_json::from_slice(record.value())?);
            if records.len() == count {
                break;
            }
        }
        Ok(records)
    }

    fn changes(&mut self, since: u64) -> Result<Changes, StoreError> {
        let transaction = self.database.begin_read().map_err(database)?;
        let log = transaction.open_table(CHANGES).map_err(database)?;
        let revision = log.last().map_err(database)?.map_or(0, |(revision, _)| revision.value());
        if revision == since {
            return Ok(Changes { revision, ..Changes::default() });
        }
        let oldest = log.first().map_err(database)?.map_or(0, |(revision, _)| revision.value());
        if since > revision || oldest > since + 1 || since == 0 {
            return Ok(Changes { revision, all: true, ..Changes::default() });
        }
        let keys = transaction.open_table(KEYS).map_err(database)?;
        let mut changes = Changes { revision, ..Changes::default() };
        let mut ids = std::collections::BTreeSet::new();
        for entry in log.range(since + 1..).map_err(database)? {
            let (_, line) = entry.map_err(database)?;
            let mut words = line.value().split(' ');
            ids.extend(words.next().map(str::to_owned));
            changes.gone.extend(words.map(str::to_owned));
        }
        for id in ids {
            if let Some(record) = keys.get(id.as_str()).map_err(database)? {
                changes.put.push(serde_json::from_slice(record.value())?);
            }
        }
        Ok(changes)
    }
}

#[cfg(test)]
mod tests;
