//! Whether a value would pass the rules of the configuration: asked of the rules themselves, with the smallest configuration
//! that has it. So an import never knows other rules than the edge.

use std::path::Path;

use edgeweir_config::Severity;

use super::write::{Item, quoted};

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Origin,
    Group,
    CachePolicy,
    Distribution,
    Behavior,
}

/// Why a key with this value would be an error, if it would.
pub(super) fn refused(section: Section, key: &str, value: &Item) -> Option<String> {
    let line = format!("{} = {value}\n", quoted(key));
    let of = |wanted: Section| if wanted == section { line.as_str() } else { "" };
    let url = if section == Section::Origin && key == "url" { "" } else { "url = \"https://origin.test\"\n" };
    let hosts = if section == Section::Distribution && key == "hosts" { "" } else { "hosts = [\"*\"]\n" };
    let text = format!(
        "geo = {{ databases = [\"geo.mmdb\"] }}\n[origins.one]\n{url}{}[origins.two]\nurl = \"http://two.test\"\n\
         [origin_groups.both]\nmembers = [\"one\", \"two\"]\n{}[cache_policies.own]\n{}[distributions.site]\n{hosts}origin = \"both\"\n{}\
         [[distributions.site.behaviors]]\ncache_policy = \"own\"\n{}[[distributions.site.behaviors]]\n",
        of(Section::Origin),
        of(Section::Group),
        of(Section::CachePolicy),
        of(Section::Distribution),
        of(Section::Behavior)
    );
    let report = edgeweir_config::parse(&text, Path::new("")).err()?;
    let first = report.problems.iter().find(|problem| problem.severity == Severity::Error)?;
    Some(match &first.help {
        Some(help) => format!("{} ({help})", first.message),
        None => first.message.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_the_edge_are_asked() {
        for (section, key, value) in [
            (Section::Origin, "url", Item::from("https://a.test/base")),
            (Section::Origin, "headers", Item::inline([("x-a", "b".into())])),
            (Section::Group, "statuses", Item::from(vec![500_i64])),
            (Section::CachePolicy, "headers", Item::from(vec!["Host"])),
            (Section::Distribution, "hosts", Item::from(vec!["*.a.test"])),
            (Section::Distribution, "default_root_object", Item::from("index.html")),
            (Section::Behavior, "path", Item::from("/a/*.jpg")),
        ] {
            assert_eq!(refused(section, key, &value), None, "{key}");
        }
        for (section, key, value) in [
            (Section::Origin, "url", Item::from("https://a b")),
            (Section::Origin, "headers", Item::inline([("cookie", "b".into())])),
            (Section::Group, "statuses", Item::from(vec![418_i64])),
            (Section::CachePolicy, "headers", Item::from(vec!["Cookie"])),
            (Section::Distribution, "hosts", Item::from(vec!["a b"])),
            (Section::Distribution, "default_root_object", Item::from("/index.html")),
            (Section::Behavior, "path", Item::from("/a b")),
        ] {
            assert!(refused(section, key, &value).is_some_and(|why| !why.contains("unknown key")), "{key}");
        }
    }
}
