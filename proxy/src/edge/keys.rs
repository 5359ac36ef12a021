//! What the running edge does with calls about keys.

use edgeweir_limits::KeyHash;
use serde_json::{Value, json};

use super::core::Core;
use crate::admin::keys::{Answer, Call, Usage};
use crate::state::{KeyError, KeyRecord, Made, Row, Wanted, csv, days, export, unknown_plan};

/// Keys in one answer.
const PAGE: usize = 5_000;
/// Rows of the ledger in one answer.
const ROWS: usize = 50_000;
/// Seconds that an old value is good for, if nobody says.
const OVERLAP: u64 = 86_400;

/// Does it.
///
/// # Errors
/// [`KeyError`]; then nothing has changed.
pub(super) async fn call(core: &Core, call: Call) -> Result<Answer, KeyError> {
    let state = &core.state;
    if !state.is_started() {
        // The first key may be made before there is a plan; opening the store blocks.
        let starting = std::sync::Arc::clone(state);
        let _started = tokio::task::spawn_blocking(move || starting.start()).await;
    }
    let snapshot = core.snapshot.load_full();
    match call {
        Call::Create(wish) => Ok(Answer::Json(201, made(state.create_key(wish, &snapshot).await?))),
        Call::Import { text, how } => {
            let (lines, warnings) =
                csv::read(&text, how.first_line).map_err(|error| KeyError::Bad(error.to_string()))?;
            let wanted = Wanted { warnings, ..Wanted::default() };
            let done = state.import_keys(lines, wanted, (how.fail_on_warnings, how.dry_run), &snapshot).await?;
            Ok(Answer::Json(200, json!({ "ids": done.ids, "warnings": done.warnings })))
        }
        Call::List { after } => {
            let records = state.keys(after.clone(), PAGE).await?;
            let next = (records.len() == PAGE).then(|| records.last().map(|last| last.id.clone())).flatten();
            let mut keys: Vec<Value> = Vec::new();
            if after.is_empty() {
                let mut of_config: Vec<_> = snapshot.config.api_keys.iter().collect();
                of_config.sort_by(|one, other| one.name.cmp(&other.name));
                keys.extend(of_config.into_iter().map(|key| {
                    let plans = key.plans.iter().filter_map(|plan| snapshot.config.usage_plans.get(plan.0));
                    json!({
                        "id": format!("config:{}", key.name),
                        "name": key.name,
                        "plans": plans.map(|plan| plan.name.as_str()).collect::<Vec<_>>(),
                        "enabled": key.enabled,
                        "source": "config",
                    })
                }));
            }
            keys.extend(records.iter().map(KeyRecord::shown));
            Ok(Answer::Json(200, json!({ "keys": keys, "next": next })))
        }
        Call::Get(id) => Ok(Answer::Json(200, state.key(&id).await?.shown())),
        Call::Change(id, change) => Ok(Answer::Json(200, state.change_key(&id, change, &snapshot).await?.shown())),
        Call::Rotate(id, how) => {
            let overlap = how.overlap_seconds.unwrap_or(OVERLAP);
            Ok(Answer::Json(200, made(state.rotate_key(&id, how.value, overlap, &snapshot).await?)))
        }
        Call::Delete(id) => {
            state.delete_key(&id).await?;
            Ok(Answer::Json(200, json!({ "id": id })))
        }
        Call::Usage(query) => usage(core, query).await,
    }
}

fn made(made: Made) -> Value {
    let mut shown = made.record.shown();
    if let (Some(fields), Some(value)) = (shown.as_object_mut(), made.value) {
        fields.insert("value".to_owned(), Value::String(value));
    }
    shown
}

async fn usage(core: &Core, query: Usage) -> Result<Answer, KeyError> {
    let state = &core.state;
    let csv = match query.format.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(other) => return Err(KeyError::Bad(format!("unknown format `{other}`: there are `json` and `csv`"))),
    };
    let days = days(state.unix(), query.from.as_deref(), query.to.as_deref()).map_err(KeyError::Bad)?;
    let after: Option<Row> = match &query.after {
        Some(after) => {
            Some(serde_json::from_str(after).map_err(|_wrong| KeyError::Bad("`after` is no page".to_owned()))?)
        }
        None => None,
    };
    let first = after.is_none();
    let rows = state.usage(days, (query.plan.clone(), query.key.clone()), after, ROWS).await?;
    // A plan that is gone may have rows of earlier days.
    if first
        && rows.is_empty()
        && let Some(wrong) = query.plan.and_then(|plan| unknown_plan(&plan, &core.snapshot.load()))
    {
        return Err(KeyError::Bad(wrong));
    }
    let last = rows.last().filter(|_row| rows.len() == ROWS);
    let next = last.and_then(|last| serde_json::to_string(&last.row).ok());
    if csv {
        let mut text = export(&rows, first);
        if let Some(next) = next {
            text.push_str(&format!("# next {next}\n"));
        }
        return Ok(Answer::Csv(text));
    }
    let quotas = match &query.key {
        Some(id) => {
            let hashes = match id.starts_with(crate::state::OF_CONFIG) {
                true => Vec::new(),
                false => {
                    let secrets = state.key(id).await?.secrets;
                    secrets.iter().filter_map(|secret| KeyHash::from_hex(&secret.sha256).ok()).collect()
                }
            };
            let key = core.snapshot.load().key_with_id(id, hashes);
            key.map(|key| state.standings(&key)).unwrap_or_default()
        }
        None => Vec::new(),
    };
    let rows: Vec<Value> = rows
        .iter()
        .map(|found| {
            json!({
                "day": edgeweir_limits::period::date(u64::from(found.row.day)),
                "plan": found.row.plan,
                "key": found.row.key,
                "name": found.name,
                "requests": found.row.requests,
                "refused": found.row.refused,
            })
        })
        .collect();
    Ok(Answer::Json(200, json!({ "rows": rows, "quotas": quotas, "next": next })))
}
