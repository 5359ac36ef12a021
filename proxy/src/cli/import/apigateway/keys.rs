//! API keys. Their values are written as SHA-256, so that the configuration has no secret in it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use sha2::{Digest as _, Sha256};

use super::super::json::Fields;
use super::super::names::Names;
use super::super::notes::{Note, Notes, shown};
use super::super::write::{Item, Table};
use super::plans::Plan;
use super::readable;

/// The keys so far, by id.
#[derive(Default)]
pub(super) struct Keys(BTreeMap<String, Key>);

#[derive(Default)]
struct Key {
    name: String,
    value: Option<String>,
    enabled: bool,
    /// Nothing said so far whether it is enabled.
    unsure: bool,
    about: Vec<String>,
    /// `API/STAGE`
    stages: BTreeSet<String>,
    /// Ids of plans.
    plans: BTreeSet<String>,
    place: String,
}

impl Keys {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A key of `get-api-keys`.
    pub(super) fn read(&mut self, fields: &mut Fields<'_>, notes: &Notes) -> anyhow::Result<()> {
        let id = fields.need("id")?.text()?.to_owned();
        for (key, what) in [("customerId", "the customer of an API key"), ("tags", "tags of an API key")] {
            let at = fields.at(key);
            if fields.get(key).is_some() {
                let todo =
                    "`edgeweir keys create … --metadata` keeps such facts with keys that are made while the edge runs";
                notes.add(Note::lost(what, "keys of the configuration have no metadata", todo).at(&at));
            }
        }
        fields.bookkeeping(&["createdDate", "lastUpdatedDate"]);
        let known = self.0.entry(id).or_default();
        known.place = fields.path().to_owned();
        if let Some(name) = fields.text("name")? {
            name.clone_into(&mut known.name);
        }
        known.about = fields.text("description")?.map(shown).into_iter().collect();
        known.stages = fields.texts("stageKeys")?.into_iter().map(str::to_owned).collect();
        known.enabled = fields.get("enabled").map(|node| node.flag()).transpose()?.unwrap_or(true);
        known.unsure = false;
        if let Some(value) = fields.text("value")? {
            known.value = Some(value.to_owned());
        }
        Ok(())
    }

    /// A key of `get-usage-plan-keys`.
    pub(super) fn of_plan(&mut self, fields: &mut Fields<'_>, plan: &str) -> anyhow::Result<()> {
        let id = fields.need("id")?.text()?.to_owned();
        fields.bookkeeping(&["type"]);
        let (value, name) = (fields.text("value")?, fields.text("name")?);
        // Whether it is enabled only `get-api-keys` says: what may be closed stays closed.
        let fresh = || Key { unsure: true, place: fields.path().to_owned(), ..Key::default() };
        let known = self.0.entry(id).or_insert_with(fresh);
        if known.name.is_empty() {
            name.unwrap_or_default().clone_into(&mut known.name);
        }
        if known.value.is_none() {
            known.value = value.map(str::to_owned);
        }
        known.plans.insert(plan.to_owned());
        if plan.is_empty() {
            bail!("`{}`: the id of the usage plan is empty", shown(fields.path()));
        }
        Ok(())
    }

    /// Tables of all keys. Those whose plan nobody knows go to a plan of their own.
    pub(super) fn tables(&self, plans: &mut Vec<Plan>, names: &mut Names, notes: &Notes) -> Vec<Table> {
        let mut taken: BTreeSet<String> = BTreeSet::new();
        let mut values: BTreeSet<&str> = BTreeSet::new();
        let mut unassigned: Option<String> = None;
        let mut files = Names::default();
        let mut tables = Vec::new();
        for (id, key) in &self.0 {
            let mut table = Table::element(&["api_keys"]);
            table.about(&format!("API Gateway: API key {}", readable(id)));
            for line in &key.about {
                table.about(line);
            }
            if !key.stages.is_empty() {
                let stages: Vec<&str> = key.stages.iter().map(String::as_str).collect();
                table.about(&format!("Its stages: {}", stages.join(", ")));
            }
            let named = [&key.name, id].into_iter().find(|text| !text.is_empty());
            let mut shown_name = named.map_or("unnamed", String::as_str).to_owned();
            if !taken.insert(shown_name.clone()) {
                shown_name = format!("{shown_name} ({id})");
                taken.insert(shown_name.clone());
            }
            table.set("name", shown_name.as_str());
            let place = &key.place;
            match &key.value {
                Some(value) if !values.insert(value) => {
                    notes.add(
                        Note::lost(
                            format!("the API key `{}`", shown(&shown_name)),
                            "another key has its value",
                            "see which one counts",
                        )
                        .at(place),
                    );
                    continue;
                }
                Some(value) if good(value) => table.set("sha256", hex(value)),
                Some(_) => {
                    let what = format!("the API key `{}`", shown(&shown_name));
                    let why = "a key has 20 to 128 letters, digits, `_`, `.`, `~` and `-`";
                    notes.add(Note::lost(what, why, "give its caller another key").at(place));
                    continue;
                }
                None => {
                    let file = format!("api-keys/{}.key", files.take(id));
                    notes.bring(&file, format!("the value of the API key `{}`", shown(&shown_name)));
                    table.set("key", Item::inline([("file", file.into())]));
                }
            }
            let mut own = key.plans_of(plans);
            if own.is_empty() {
                notes.add(
                    Note::lost(
                        "the usage plan of an API key",
                        "`get-api-keys` does not say it: the key is in a plan that opens nothing",
                        "add `--plan-keys PLANID=FILE` with what `aws apigateway get-usage-plan-keys --usage-plan-id PLANID` prints, \
                         or set `plans` of the key",
                    )
                    .at(place),
                );
                let name = unassigned.get_or_insert_with(|| {
                    let plan = Plan::unassigned(names);
                    let name = plan.name.clone();
                    plans.push(plan);
                    name
                });
                own.push(name.clone());
            }
            table.set("plans", own);
            if !key.enabled {
                table.set("enabled", false);
            }
            if key.unsure {
                notes.add(
                    Note::lost(
                        format!("whether the API key `{}` is enabled", shown(&shown_name)),
                        "`get-usage-plan-keys` does not say it, so it is disabled here",
                        "import what `aws apigateway get-api-keys` prints too, or remove its `enabled = false`",
                    )
                    .at(place),
                );
            }
            tables.push(table);
        }
        tables
    }
}

impl Key {
    /// Names of its plans: as `get-usage-plan-keys` says, or where its stages have only one.
    fn plans_of(&self, plans: &[Plan]) -> Vec<String> {
        let named: Vec<String> =
            plans.iter().filter(|plan| self.plans.contains(&plan.id)).map(|plan| plan.name.clone()).collect();
        if !named.is_empty() {
            return named;
        }
        let mut found: Vec<String> = Vec::new();
        for stage in &self.stages {
            let mut having = plans.iter().filter(|plan| plan.stages.iter().any(|own| own.id == *stage));
            if let (Some(plan), None) = (having.next(), having.next())
                && !found.contains(&plan.name)
            {
                found.push(plan.name.clone());
            }
        }
        found
    }
}

fn good(value: &str) -> bool {
    (20..=128).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.~-".contains(&b))
}

fn hex(value: &str) -> String {
    Sha256::digest(value.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
