//! Usage plans: throttles, quotas, and throttles of methods.

use anyhow::bail;

use super::super::fits::{Section, refused};
use super::super::json::Fields;
use super::super::names::Names;
use super::super::notes::{Note, Notes, shown};
use super::super::write::{Item, Table};
use super::readable;

/// A usage plan.
pub(super) struct Plan {
    pub(super) id: String,
    /// Its name here.
    pub(super) name: String,
    pub(super) stages: Vec<PlanStage>,
    /// Names of distributions, once they are known.
    pub(super) distributions: Vec<String>,
    about: Vec<String>,
    throttle: Option<(f64, i64)>,
    quota: Option<Quota>,
}

/// A stage that a plan opens.
pub(super) struct PlanStage {
    /// `API/STAGE`, as keys have it in `stageKeys`.
    pub(super) id: String,
    pub(super) throttles: Vec<MethodThrottle>,
}

/// What a key may use of a method.
pub(super) struct MethodThrottle {
    pub(super) path: String,
    method: Option<String>,
    rate: f64,
    burst: i64,
}

struct Quota {
    limit: i64,
    offset: i64,
    period: &'static str,
}

const NOTHING: &str = "nothing, unless you depend on it";

impl Plan {
    /// A plan that is not at AWS, for keys whose plans nobody knows.
    pub(super) fn unassigned(names: &mut Names) -> Self {
        Self {
            id: String::new(),
            name: names.take("unassigned"),
            stages: Vec::new(),
            distributions: Vec::new(),
            about: vec!["TODO: keys whose usage plan is not known. It opens nothing.".to_owned()],
            throttle: None,
            quota: None,
        }
    }

    pub(super) fn read(fields: &mut Fields<'_>, names: &mut Names, notes: &Notes) -> anyhow::Result<Self> {
        let id = fields.text("id")?.unwrap_or_default().to_owned();
        let own = fields.text("name")?.unwrap_or(&id);
        let mut about = vec![format!("API Gateway: usage plan `{}` ({})", readable(own), readable(&id))];
        about.extend(fields.text("description")?.map(shown));
        for (key, what) in [("productCode", "the product code of AWS Marketplace"), ("tags", "tags")] {
            let at = fields.at(key);
            if fields.get(key).is_some() {
                notes.add(Note::lost(format!("{what} of a usage plan"), "the edge has none", "nothing").at(&at));
            }
        }
        let at = fields.at("throttle");
        let throttle = match fields.object("throttle")? {
            Some(mut throttle) => bucket(&mut throttle, &at, notes)?,
            None => None,
        };
        let quota = match fields.object("quota")? {
            Some(mut quota) => Some(Quota::read(&mut quota, notes)?),
            None => None,
        };
        let mut stages: Vec<PlanStage> = Vec::new();
        for node in fields.items("apiStages")? {
            let mut stage = node.fields()?;
            let id = format!("{}/{}", stage.need("apiId")?.text()?, stage.need("stage")?.text()?);
            let throttles = throttles(&mut stage, notes)?;
            match stages.iter_mut().find(|known| known.id == id) {
                Some(known) => known.throttles.extend(throttles),
                None => stages.push(PlanStage { id, throttles }),
            }
        }
        Ok(Self { name: names.take(own), id, stages, distributions: Vec::new(), about, throttle, quota })
    }

    pub(super) fn table(&self, notes: &Notes) -> Table {
        let mut table = Table::new(&["usage_plans", &self.name]);
        for line in &self.about {
            table.about(line);
        }
        if let Some((rate, burst)) = self.throttle {
            table.set("throttle", Item::inline([("rate", rate.into()), ("burst", burst.into())]));
        }
        if let Some(quota) = &self.quota {
            let mut pairs = vec![("limit", Item::from(quota.limit)), ("period", quota.period.into())];
            if quota.offset > 0 {
                pairs.push(("offset", quota.offset.into()));
            }
            table.set("quota", Item::inline(pairs));
        }
        if !self.distributions.is_empty() {
            table.set("distributions", self.distributions.clone());
        }
        let several = self.distributions.len() > 1;
        let mut list = Vec::new();
        for (stage, distribution) in self.stages.iter().zip(&self.distributions) {
            for throttle in &stage.throttles {
                let mut pairs = Vec::new();
                if several {
                    pairs.push(("distribution", Item::from(distribution.as_str())));
                }
                pairs.push(("path", throttle.path.as_str().into()));
                pairs.extend(throttle.method.as_deref().map(|method| ("method", method.into())));
                pairs.push(("rate", throttle.rate.into()));
                pairs.push(("burst", throttle.burst.into()));
                list.push(Item::inline(pairs));
            }
        }
        if list.len() > MOST {
            list.truncate(MOST);
            notes.add(Note::open(
                format!("more than {MOST} throttles of methods of the usage plan `{}`", self.name),
                "a plan here has no more",
                "write `method_throttles` of behaviors in their place",
            ));
        }
        if !list.is_empty() {
            table.set("method_throttles", Item::List(list));
        }
        table
    }
}

/// Most throttles of methods that a plan can have.
const MOST: usize = 100;

impl Quota {
    fn read(fields: &mut Fields<'_>, notes: &Notes) -> anyhow::Result<Self> {
        let at = fields.at("limit");
        let limit = fields.need("limit")?.whole()?;
        if !(1..=1_000_000_000_000).contains(&limit) {
            bail!("`{}` is {limit}\n  help: a quota is from 1 to 1,000,000,000,000 requests", shown(&at));
        }
        let node = fields.need("period")?;
        let period = match node.text()? {
            "DAY" => "DAY",
            "WEEK" => "WEEK",
            "MONTH" => "MONTH",
            other => {
                bail!("`{}` is `{}`\n  help: API Gateway has `DAY`, `WEEK` and `MONTH`", node.path(), shown(other))
            }
        };
        let offset_at = fields.at("offset");
        let mut offset = fields.whole("offset")?.unwrap_or_default().max(0);
        if offset > limit {
            notes.add(
                Note::lost("an offset above the limit of a quota", "the limit is written in its place", NOTHING)
                    .at(&offset_at),
            );
            offset = limit;
        }
        Ok(Self { limit, offset, period })
    }
}

/// Rate and burst, in a form that the edge takes. None: no limit.
fn bucket(fields: &mut Fields<'_>, at: &str, notes: &Notes) -> anyhow::Result<Option<(f64, i64)>> {
    let rate = fields.get("rateLimit").map(|node| node.number()).transpose()?;
    let burst = fields.whole("burstLimit")?;
    // -1 is "no limit of its own".
    let (rate, burst) = (rate.filter(|rate| *rate >= 0.0), burst.filter(|burst| *burst >= 0));
    // The edge's range; what is less than one request in eleven days is none.
    let rate = rate.map(|rate| if rate < 1e-6 { 0.0 } else { rate.min(1e9) });
    let changed = |why: &str, now: (f64, i64)| {
        let what =
            format!("a throttle with only half of its limits; `rate = {}`, `burst = {}` is written", now.0, now.1);
        notes.add(Note::lost(what, why.to_owned(), "set both as you want them").at(at));
        Some(now)
    };
    let whole = |rate: f64| rate.ceil().clamp(1.0, 1_000_000_000.0) as i64;
    let most = |burst: i64| burst.min(1_000_000_000);
    Ok(match (rate, burst) {
        (None, None) => None,
        // Either of them as 0 lets nothing through.
        (Some(rate), Some(burst)) if rate > 0.0 && burst > 0 => Some((rate, most(burst))),
        (Some(0.0), Some(0)) => Some((0.0, 0)),
        (Some(rate), None) if rate > 0.0 => changed("the edge wants a burst too", (rate, whole(rate))),
        (None, Some(burst)) if burst > 0 => changed("the edge wants a rate too", (most(burst) as f64, most(burst))),
        _ => changed("one of them is 0, so nothing passes", (0.0, 0)),
    })
}

fn throttles(stage: &mut Fields<'_>, notes: &Notes) -> anyhow::Result<Vec<MethodThrottle>> {
    let Some(mut map) = stage.object("throttle")? else { return Ok(Vec::new()) };
    let mut throttles = Vec::new();
    for key in map.names() {
        let at = map.at(&key);
        let Some(node) = map.get(&key) else { continue };
        let Some((rate, burst)) = bucket(&mut node.fields()?, &at, notes)? else { continue };
        let (path, method) = key.rsplit_once('/').unwrap_or(("", &key));
        let path = pattern(path);
        let method = Some(method).filter(|method| !matches!(*method, "*" | "ANY" | ""));
        let why = refused(Section::Behavior, "path", &path.as_str().into())
            .or_else(|| refused(Section::Behavior, "methods", &vec![method.unwrap_or("GET")].into()));
        match why {
            None => throttles.push(MethodThrottle { path, method: method.map(str::to_owned), rate, burst }),
            Some(why) => notes.add(
                Note::open(
                    format!("the throttle of the method `{}`", shown(&key)),
                    why,
                    "write it into `method_throttles` of the plan",
                )
                .at(&at),
            ),
        }
    }
    Ok(throttles)
}

/// A resource as a path pattern: what stands in braces is any text. `~1` is a `/` in paths of patches.
fn pattern(resource: &str) -> String {
    let resource = resource.replace("~1", "/");
    if resource == "*" {
        return resource;
    }
    let mut path = String::new();
    let mut rest = resource.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        path.push('*');
        rest = after.split_once('}').map_or("", |(_, behind)| behind);
    }
    path.push_str(rest);
    let path = format!("/{}", path.trim_matches('/'));
    path.replace("**", "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_as_patterns() {
        for (resource, expected) in [
            ("/pets", "/pets"),
            ("/pets/{id}", "/pets/*"),
            ("/pets/{id}/toys", "/pets/*/toys"),
            ("/{proxy+}", "/*"),
            ("/~1pets", "/pets"),
            ("/", "/"),
            ("", "/"),
            ("*", "*"),
        ] {
            assert_eq!(pattern(resource), expected, "{resource}");
        }
    }
}
