//! Which route a place gets. Plain values in and out.

use edgeweir_sdk::validate::Problem;
use serde::Deserialize;

/// Most rules a binding may have.
const MAX_RULES: usize = 256;

/// The binding's settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Tried in order; the first that matches wins.
    #[serde(default)]
    rules: Vec<Rule>,
    /// For viewers that no rule matches, and for those whose place is not known.
    #[serde(default)]
    default: Default,
}

/// Where to send viewers from some places.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// ISO 3166-1 alpha-2 codes; case does not matter.
    #[serde(default)]
    country: Vec<String>,
    /// Continent codes; case does not matter.
    #[serde(default)]
    continent: Vec<String>,
    /// Put before the path, unless the path already starts with it.
    path_prefix: Option<String>,
    /// Name of the origin to fetch from.
    origin: Option<String>,
}

/// Where to send everybody else.
#[derive(Debug, std::default::Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Default {
    /// As in [`Rule`].
    path_prefix: Option<String>,
    /// As in [`Rule`].
    origin: Option<String>,
}

/// What changes about the request; nothing, if both are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    /// Put before the path, unless the path already starts with it.
    pub(crate) path_prefix: Option<&'a str>,
    /// Name of the origin to fetch from.
    pub(crate) origin: Option<&'a str>,
}

impl Settings {
    /// What serde cannot check.
    ///
    /// # Errors
    /// The message names the rule and the value.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.rules.len() > MAX_RULES {
            return Err(Problem::new(format!("{} rules, at most {MAX_RULES}", self.rules.len())).at("/rules"));
        }
        for (index, rule) in self.rules.iter().enumerate() {
            rule.check().map_err(|problem| problem.at(format_args!("/rules/{index}")))?;
        }
        check_prefix(self.default.path_prefix.as_deref()).map_err(|problem| problem.at("/default"))
    }

    /// Whether a rule needs the continent.
    pub(crate) fn asks_continent(&self) -> bool {
        self.rules.iter().any(|rule| !rule.continent.is_empty())
    }

    /// The first rule that has the country or the continent; the default if there is none.
    pub(crate) fn choose(&self, country: Option<&str>, continent: Option<&str>) -> Route<'_> {
        let rule = self.rules.iter().find(|rule| has(&rule.country, country) || has(&rule.continent, continent));
        let (path_prefix, origin) = match rule {
            Some(rule) => (&rule.path_prefix, &rule.origin),
            None => (&self.default.path_prefix, &self.default.origin),
        };
        Route { path_prefix: path_prefix.as_deref(), origin: origin.as_deref() }
    }
}

impl Rule {
    fn check(&self) -> Result<(), Problem> {
        if self.country.is_empty() && self.continent.is_empty() {
            return Err(Problem::new("give `country` or `continent`"));
        }
        if let Some(nth) = self.country.iter().position(|code| !is_code(code)) {
            let message = format!("`{}` is no two-letter country code", self.country[nth]);
            return Err(Problem::new(message).at(format_args!("/country/{nth}")));
        }
        let is_continent = |code: &String| CONTINENTS.iter().any(|known| known.eq_ignore_ascii_case(code));
        if let Some(nth) = self.continent.iter().position(|code| !is_continent(code)) {
            let known = CONTINENTS.join(", ");
            let message = format!("`{}` is no continent code: {known}", self.continent[nth]);
            return Err(Problem::new(message).at(format_args!("/continent/{nth}")));
        }
        check_prefix(self.path_prefix.as_deref())
    }
}

/// The path with the prefix before it; `None` if it has it already.
pub(crate) fn prefixed(prefix: &str, path: &str) -> Option<String> {
    match path.strip_prefix(prefix) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => None,
        _ => Some(format!("{prefix}{path}")),
    }
}

const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

fn is_code(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn has(codes: &[String], code: Option<&str>) -> bool {
    code.is_some_and(|code| codes.iter().any(|listed| listed.eq_ignore_ascii_case(code)))
}

fn check_prefix(prefix: Option<&str>) -> Result<(), Problem> {
    let message = match prefix {
        Some(prefix) if !prefix.starts_with('/') => format!("`{prefix}` must start with `/`"),
        Some(prefix) if prefix.ends_with('/') => {
            format!("`{prefix}` must not end with `/`: the path starts with one")
        }
        _ => return Ok(()),
    };
    Err(Problem::new(message).at("/path_prefix"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Settings {
        serde_json::from_str(json).expect("valid settings")
    }

    const DEMO: &str = r#"{
        "rules": [
            {"country": ["CH", "de"], "path_prefix": "/de"},
            {"country": ["FR"], "path_prefix": "/fr", "origin": "paris"},
            {"continent": ["EU"], "origin": "eu"},
            {"country": ["LI"], "path_prefix": "/never"}
        ],
        "default": {"path_prefix": "/en"}
    }"#;

    fn route<'a>(path_prefix: Option<&'a str>, origin: Option<&'a str>) -> Route<'a> {
        Route { path_prefix, origin }
    }

    #[test]
    fn the_first_match_wins() {
        let settings = settings(DEMO);
        settings.check().expect("good settings");
        assert!(settings.asks_continent());
        assert_eq!(settings.choose(Some("CH"), Some("EU")), route(Some("/de"), None));
        assert_eq!(settings.choose(Some("DE"), Some("EU")), route(Some("/de"), None));
        assert_eq!(settings.choose(Some("FR"), Some("EU")), route(Some("/fr"), Some("paris")));
        assert_eq!(
            settings.choose(Some("LI"), Some("EU")),
            route(None, Some("eu")),
            "an earlier rule has the continent"
        );
        assert_eq!(settings.choose(None, Some("EU")), route(None, Some("eu")));
    }

    #[test]
    fn an_unknown_place_gets_the_default() {
        let settings = settings(DEMO);
        assert_eq!(settings.choose(None, None), route(Some("/en"), None));
        assert_eq!(settings.choose(Some("US"), Some("NA")), route(Some("/en"), None));
        assert_eq!(self::settings("{}").choose(Some("CH"), None), route(None, None), "no rules, no default");
    }

    #[test]
    fn a_prefix_is_not_doubled() {
        assert_eq!(prefixed("/de", "/shop").as_deref(), Some("/de/shop"));
        assert_eq!(prefixed("/de", "/").as_deref(), Some("/de/"));
        assert_eq!(prefixed("/de", "/de/shop"), None);
        assert_eq!(prefixed("/de", "/de"), None);
        assert_eq!(prefixed("/de", "/desk").as_deref(), Some("/de/desk"));
    }

    #[test]
    fn wrong_settings_are_named() {
        let wrong = [
            (r#"{"rules":[{"path_prefix":"/de"}]}"#, "settings: rules[0]: give `country` or `continent`"),
            (
                r#"{"rules":[{"country":["CH"]},{"country":["CHE"]}]}"#,
                "settings: rules[1].country[0]: `CHE` is no two-letter country code",
            ),
            (
                r#"{"rules":[{"continent":["Europe"]}]}"#,
                "settings: rules[0].continent[0]: `Europe` is no continent code: AF, AN, AS, EU, NA, OC, SA",
            ),
            (
                r#"{"rules":[{"country":["CH"],"path_prefix":"de"}]}"#,
                "settings: rules[0].path_prefix: `de` must start with `/`",
            ),
            (
                r#"{"default":{"path_prefix":"/en/"}}"#,
                "settings: default.path_prefix: `/en/` must not end with `/`: the path starts with one",
            ),
        ];
        for (json, message) in wrong {
            assert_eq!(settings(json).check().expect_err(json).to_string(), message);
        }
        assert!(serde_json::from_str::<Settings>(r#"{"rules":[],"defaults":{}}"#).is_err(), "an unknown key");
    }
}
