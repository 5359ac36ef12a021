//! What keys have used: live, and day by day.

use edgeweir_limits::{Period, period};
use serde_json::{Value, json};

use super::csv::field;
use super::store::{Row, StoreError};
use super::{State, Store};
use crate::snapshot::Snapshot;

/// What the ids of keys of the configuration begin with.
pub(crate) const OF_CONFIG: &str = "config:";

/// A row of the ledger with the key's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The row.
    pub row: Row,
    /// The key's name; empty if it is gone.
    pub name: String,
}

impl State {
    /// Rows of the ledger of these days (since 1970, both included), those of today among them as they are now; only a
    /// plan's or a key's if they are named. At most `count`, after `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn usage(
        &self,
        days: (u32, u32),
        (plan, key): (Option<String>, Option<String>),
        after: Option<Row>,
        count: usize,
    ) -> Result<Vec<UsageRow>, StoreError> {
        self.call(move |store| {
            let mut found: Vec<UsageRow> = Vec::new();
            let mut after = after;
            loop {
                let rows = store.ledger(days, after.as_ref(), count)?;
                let more = rows.len() == count;
                after = rows.last().cloned();
                let wanted = |row: &Row| {
                    plan.as_ref().is_none_or(|plan| row.plan == *plan) && key.as_ref().is_none_or(|key| row.key == *key)
                };
                for row in rows.into_iter().filter(wanted) {
                    let name = name(store, &row.key)?;
                    found.push(UsageRow { row, name });
                }
                if !more || found.len() >= count {
                    found.truncate(count);
                    return Ok(found);
                }
            }
        })
        .await
    }

    /// How the quotas of a key stand, for the plans that it has used since the start.
    #[must_use]
    pub fn standings(&self, key: &edgeweir_limits::Key) -> Vec<Value> {
        let unix = self.unix();
        let slots = key.usage().slots();
        let standing = |slot: &edgeweir_limits::SlotRef| {
            let (quota, standing) = (slot.quota()?, slot.meter.standing()?);
            let resets = quota.period.start(standing.period + 1);
            Some(json!({
                "plan": &*slot.meter.plan,
                "period": quota.period.as_str(),
                "limit": standing.limit,
                "used": standing.used.min(standing.limit),
                "remaining": standing.limit.saturating_sub(standing.used),
                "resets_in_seconds": resets.saturating_sub(unix),
            }))
        };
        slots.iter().filter_map(standing).collect()
    }
}

fn name(store: &mut dyn Store, key: &str) -> Result<String, StoreError> {
    if let Some(name) = key.strip_prefix(OF_CONFIG) {
        return Ok(name.to_owned());
    }
    Ok(store.key(key)?.map(|record| record.name).unwrap_or_default())
}

/// Rows as CSV; the first page has a header.
#[must_use]
pub fn export(rows: &[UsageRow], first: bool) -> String {
    let mut text = if first { "date,plan,key_id,key_name,requests,refused\n".to_owned() } else { String::new() };
    for UsageRow { row, name } in rows {
        let date = period::date(u64::from(row.day));
        let (plan, key, name) = (field(&row.plan), field(&row.key), field(name));
        text.push_str(&format!("{date},{plan},{key},{name},{},{}\n", row.requests, row.refused));
    }
    text
}

/// The days of a query: `from` and `to` as dates, or this month up to today.
///
/// # Errors
/// What of it is no date.
pub fn days(unix: u64, from: Option<&str>, to: Option<&str>) -> Result<(u32, u32), String> {
    let day = |text: &str| {
        let day = period::parse_date(text).and_then(|day| u32::try_from(day).ok());
        day.ok_or_else(|| format!("`{text}` is no date, as in `2026-11-21`"))
    };
    let month = Period::Month.start(Period::Month.number(unix)) / period::DAY;
    let or =
        |given: Option<&str>, default: u64| given.map_or_else(|| Ok(u32::try_from(default).unwrap_or(u32::MAX)), day);
    let (from, to) = (or(from, month)?, or(to, unix / period::DAY)?);
    if from > to { Err("`from` is after `to`".to_owned()) } else { Ok((from, to)) }
}

impl Snapshot {
    /// The key of the configuration or of the store with an id.
    #[must_use]
    pub fn key_with_id(
        &self,
        id: &str,
        secrets: impl IntoIterator<Item = edgeweir_limits::KeyHash>,
    ) -> Option<std::sync::Arc<edgeweir_limits::Key>> {
        let of_config = self.keys.iter().find(|key| *key.id == *id).cloned();
        of_config.or_else(|| secrets.into_iter().find_map(|hash| self.state.live.find(&hash)))
    }
}
