//! `edgeweir import apigateway`: usage plans and API keys as `aws apigateway get-usage-plans`, `get-api-keys` and
//! `get-usage-plan-keys` print them. Each stage of an API becomes a distribution, whose hosts and origin the user sets.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use serde_json::Value;

use super::json::{Fields, Node};
use super::names::{Names, name};
use super::notes::{Note, Notes, shown};
use super::write::Table;

mod keys;
mod plans;

use keys::Keys;
use plans::Plan;

/// A document, and how its paths begin.
pub(super) struct Document {
    pub(super) root: String,
    pub(super) value: Value,
    /// The id of the usage plan whose keys it has, for what `get-usage-plan-keys` prints.
    pub(super) plan: Option<String>,
}

/// Everything that was read.
struct Import<'n> {
    notes: &'n Notes,
    plans: Vec<Plan>,
    keys: Keys,
    plan_names: Names,
}

/// A stage of an API, or what stands for a plan that has none.
struct Stage {
    name: String,
    host: String,
    about: String,
    /// Paths with limits of their own.
    paths: BTreeSet<String>,
}

/// The configuration for these documents.
///
/// # Errors
/// What is wrong with a document, and where.
pub(super) fn convert(documents: &[Document], notes: &Notes) -> anyhow::Result<String> {
    let mut import = Import { notes, plans: Vec::new(), keys: Keys::default(), plan_names: Names::default() };
    for Document { root, value, plan } in documents {
        import.document(&Node::root(value, root, notes), plan.as_deref())?;
    }
    if import.plans.is_empty() && import.keys.is_empty() {
        bail!(
            "there are no usage plans and no API keys\n  help: import what `aws apigateway get-usage-plans` and \
             `aws apigateway get-api-keys --include-values` print"
        );
    }
    let keys = import.keys.tables(&mut import.plans, &mut import.plan_names, notes);
    let stages = stages(&mut import.plans, notes);
    let mut tables = vec![origin(notes)];
    tables.extend(import.plans.iter().map(|plan| plan.table(notes)));
    tables.extend(keys);
    for stage in &stages {
        tables.extend(distribution(stage));
    }
    Ok(tables.iter().map(Table::to_string).collect::<Vec<_>>().join("\n"))
}

impl Import<'_> {
    fn document(&mut self, root: &Node<'_>, plan: Option<&str>) -> anyhow::Result<()> {
        // One page of a list, a list, or one thing.
        let Ok(mut fields) = root.fields() else {
            for node in root.items()? {
                self.thing(node.fields()?, plan)?;
            }
            return Ok(());
        };
        if !fields.has("items") {
            return self.thing(fields, plan);
        }
        for key in ["position", "NextToken"] {
            if fields.text(key)?.is_some() {
                self.notes.add(
                    Note::lost(
                        "further pages of a list",
                        "the file has only one page",
                        "export again, without `--max-items` and `--no-paginate`",
                    )
                    .at(&fields.at(key)),
                );
            }
        }
        for node in fields.items("warnings")? {
            let what = format!("a warning of AWS: {}", shown(node.text()?));
            self.notes.add(Note::lost(what, "it was in the list", "see what it means").at(node.path()));
        }
        for node in fields.items("items")? {
            self.thing(node.fields()?, plan)?;
        }
        Ok(())
    }

    fn thing(&mut self, mut fields: Fields<'_>, plan: Option<&str>) -> anyhow::Result<()> {
        let any = |keys: &[&str]| keys.iter().any(|key| fields.has(key));
        if let Some(plan) = plan {
            return self.keys.of_plan(&mut fields, plan);
        }
        if any(&["throttle", "quota", "apiStages", "productCode"]) {
            let plan = Plan::read(&mut fields, &mut self.plan_names, self.notes)?;
            self.plans.push(plan);
            return Ok(());
        }
        if any(&["enabled", "stageKeys", "createdDate", "lastUpdatedDate", "customerId"]) {
            return self.keys.read(&mut fields, self.notes);
        }
        let path = shown(fields.path());
        if any(&["type"]) {
            bail!(
                "`{path}` is a key of a usage plan, and nothing says of which\n  help: name the plan: `--plan-keys PLANID=FILE` in \
                 place of `FILE`"
            );
        }
        bail!(
            "`{path}` is neither a usage plan nor an API key\n  help: import what `aws apigateway get-usage-plans` and \
             `aws apigateway get-api-keys --include-values` print, unchanged"
        )
    }
}

/// The stages of all plans. A plan without one gets a host that does not exist, as it opens nothing at AWS.
fn stages(plans: &mut [Plan], notes: &Notes) -> Vec<Stage> {
    let mut names = Names::default();
    let mut stages: Vec<Stage> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for plan in plans {
        if plan.stages.is_empty() {
            let name = names.take(&format!("{}-without-stage", plan.name));
            let about = format!("The usage plan `{}` has no stage of an API: nobody can reach this.", plan.name);
            notes.add(Note::lost(
                format!("what the usage plan `{}` opens", plan.name),
                "it has no stage of an API",
                format!("set `distributions` of the plan, and remove the distribution `{name}`"),
            ));
            plan.distributions.push(name.clone());
            stages.push(Stage { host: host(&name), name, about, paths: BTreeSet::new() });
        }
        for stage in &plan.stages {
            let at = *known.entry(stage.id.clone()).or_insert_with(|| {
                let name = names.take(&stage.id);
                let about = format!("API Gateway: stage `{}`", shown(&stage.id));
                stages.push(Stage { host: host(&name), name, about, paths: BTreeSet::new() });
                stages.len() - 1
            });
            let Some(made) = stages.get_mut(at) else { continue };
            made.paths.extend(stage.throttles.iter().map(|throttle| throttle.path.clone()).filter(|path| path != "*"));
            if !plan.distributions.contains(&made.name) {
                plan.distributions.push(made.name.clone());
            }
        }
    }
    if let ([stage], 1) = (stages.as_mut_slice(), known.len()) {
        "*".clone_into(&mut stage.host);
    }
    notes.add(Note::lost(
        "hosts, methods and authorizers of APIs",
        "usage plans only name stages",
        "set `hosts` of each distribution, write its behaviors, and leave `api_key_required` out where no key is needed",
    ));
    stages
}

/// A name below `.invalid`, which never exists (RFC 2606).
fn host(name: &str) -> String {
    format!("{}.invalid", name.to_ascii_lowercase().replace('_', "-"))
}

fn origin(notes: &Notes) -> Table {
    notes.add(Note::lost(
        "where an API is",
        "it is in the integrations of the API, not in its usage plans",
        "set `url` of the origin `api`",
    ));
    let mut table = Table::new(&["origins", "api"]);
    table.about("TODO: where the API is.");
    table.set("url", "http://127.0.0.1:3000");
    table
}

fn distribution(stage: &Stage) -> Vec<Table> {
    let mut table = Table::new(&["distributions", &stage.name]);
    table.about(&stage.about);
    table.set("hosts", vec![stage.host.as_str()]);
    table.set("origin", "api");
    let mut paths: Vec<&String> = stage.paths.iter().collect();
    // Narrow patterns first: the first that matches counts.
    paths.sort_by_key(|path| (path.matches('*').count(), std::cmp::Reverse(path.len())));
    let mut tables = vec![table];
    for path in paths.into_iter().map(String::as_str).chain(["*"]) {
        let mut behavior = Table::element(&["distributions", &stage.name, "behaviors"]);
        behavior.set("path", path);
        behavior.set("api_key_required", true);
        behavior.set("cache_policy", "CachingDisabled");
        tables.push(behavior);
    }
    tables
}

/// The text of a name for comments: names of AWS can be anything.
fn readable(text: &str) -> String {
    if text.is_empty() { name(text) } else { shown(text) }
}
