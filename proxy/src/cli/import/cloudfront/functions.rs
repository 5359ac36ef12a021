//! CloudFront Functions and Lambda@Edge functions as hooks: their code is not in the configuration, so each becomes a file
//! that the user brings.

use std::collections::BTreeMap;

use super::super::json::Fields;
use super::super::names::{Names, name};
use super::super::notes::{Note, Notes, shown};
use super::super::write::{Item, Table};

/// In the order of a request.
const STAGES: [&str; 4] = ["viewer-request", "origin-request", "origin-response", "viewer-response"];

/// The hooks so far, by ARN.
#[derive(Default)]
pub(super) struct Functions {
    hooks: BTreeMap<String, Hook>,
    names: Names,
}

struct Hook {
    name: String,
    lambda: bool,
}

impl Functions {
    /// The hooks of a behavior by stage, if it has any.
    pub(super) fn read(&mut self, behavior: &mut Fields<'_>, notes: &Notes) -> anyhow::Result<Option<Item>> {
        let mut stages: [Vec<Item>; 4] = Default::default();
        for (list, arn, lambda) in
            [("FunctionAssociations", "FunctionARN", false), ("LambdaFunctionAssociations", "LambdaFunctionARN", true)]
        {
            for node in behavior.items(list)? {
                let mut function = node.fields()?;
                let arn = function.need(arn)?.text()?;
                let stage = function.need("EventType")?;
                let body = function.flag("IncludeBody")?;
                let Some(at) = STAGES.iter().position(|known| stage.text().is_ok_and(|text| text == *known)) else {
                    notes.add(
                        Note::lost(
                            format!("the function `{}` at the stage `{}`", shown(arn), shown(stage.text()?)),
                            format!("the edge has the stages {}", STAGES.join(", ")),
                            "bind the hook where it belongs",
                        )
                        .at(stage.path()),
                    );
                    continue;
                };
                let name = self.hook(arn, lambda, notes);
                let binding = match body && at < 2 {
                    true => Item::inline([("hook", name.into()), ("request_body", true.into())]),
                    false => name.into(),
                };
                if let Some(list) = stages.get_mut(at) {
                    list.push(binding);
                }
            }
        }
        let used = STAGES.into_iter().zip(stages).filter(|(_, list)| !list.is_empty());
        let pairs: Vec<(String, Item)> = used.map(|(stage, list)| (stage.to_owned(), Item::List(list))).collect();
        Ok((!pairs.is_empty()).then_some(Item::Inline(pairs)))
    }

    fn hook(&mut self, arn: &str, lambda: bool, notes: &Notes) -> String {
        if let Some(hook) = self.hooks.get(arn) {
            return hook.name.clone();
        }
        let own = own_name(arn, lambda);
        let name = self.names.take(&own);
        let kind = if lambda { "the Lambda@Edge function" } else { "the CloudFront function" };
        notes.bring(&file(&name), format!("a hook that does what {kind} `{}` does", shown(arn)));
        self.hooks.insert(arn.to_owned(), Hook { name: name.clone(), lambda });
        name
    }

    pub(super) fn tables(&self) -> Vec<Table> {
        let mut hooks: Vec<(&String, &Hook)> = self.hooks.iter().collect();
        hooks.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        let table = |(arn, hook): (&String, &Hook)| {
            let mut table = Table::new(&["hooks", &hook.name]);
            let kind = if hook.lambda { "Lambda@Edge function" } else { "CloudFront function" };
            table.about(&format!("{kind} `{}`", shown(arn)));
            table.set("file", file(&hook.name));
            if hook.lambda {
                table.remark(
                    "The time and memory that the function has are not in the distribution: set `timeout` and `memory`",
                );
                table.remark("if 50 ms and 16 MiB are not enough.");
            }
            table
        };
        hooks.into_iter().map(table).collect()
    }
}

fn file(name: &str) -> String {
    format!("hooks/{name}.wasm")
}

/// `arn:aws:cloudfront::123456789012:function/NAME`, `arn:aws:lambda:us-east-1:123456789012:function:NAME:VERSION`. The version
/// is left out: where there are two, the second gets a number.
fn own_name(arn: &str, lambda: bool) -> String {
    let own = match lambda {
        true => arn.split(':').nth(6),
        false => arn.rsplit_once('/').map(|(_, last)| last),
    };
    name(own.unwrap_or(arn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_arns() {
        assert_eq!(own_name("arn:aws:cloudfront::123456789012:function/url-rewrite", false), "url-rewrite");
        assert_eq!(own_name("arn:aws:lambda:us-east-1:123456789012:function:auth:7", true), "auth");
        assert_eq!(own_name("x", true), "x");
    }
}
