//! What was expected of a call against what came of it. Compares only; showing is the verb's.

use edgeweir_config::units::{format_duration, format_size};
use edgeweir_hookhost::{AuthorizerVerdict, Caller};
use http::HeaderMap;

use super::case::{Budget, Expect};
use super::run::{Decision, Outcome};

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Difference {
    /// What differs, for example `header location`.
    pub(super) what: String,
    pub(super) expected: String,
    pub(super) actual: String,
}

const NONE: &str = "(none)";

/// What of the outcome is not as expected, in the order of the case file.
pub(super) fn compare(expect: &Expect, outcome: &Outcome) -> Vec<Difference> {
    let mut differences = Differences(Vec::new());
    if let Decision::Fault { label, message } = &outcome.decision {
        match &expect.fault {
            Some(fault) => {
                differences.equal("fault", fault, label);
                if let Some(part) = expect.message.as_ref().filter(|part| !message.contains(part.as_str())) {
                    differences.push("message", format!("…{part}…"), message.clone());
                }
            }
            None => {
                let expected = expect.verdict.clone().unwrap_or_default();
                differences.push("verdict", expected, format!("fault {label}: {message}"));
            }
        }
        differences.log(expect, outcome);
        return differences.0;
    }
    let expected = match &expect.fault {
        Some(fault) => format!("fault {fault}"),
        None => expect.verdict.clone().unwrap_or_default(),
    };
    differences.equal("verdict", &expected, outcome.decision.name());
    if expected != outcome.decision.name() {
        differences.log(expect, outcome);
        return differences.0;
    }
    differences.message(expect, outcome);
    if expected == "next" {
        differences.edits(expect, outcome);
    }
    if let Decision::Authorized(verdict) = &outcome.decision {
        differences.authorized(expect, verdict);
    }
    differences.log(expect, outcome);
    differences.0
}

/// Where the hook is over its budget.
pub(super) fn over_budget(budget: &Budget, size: usize, memory: usize) -> Vec<Difference> {
    let over = |what: &str, limit: Option<u64>, actual: usize| {
        let actual = u64::try_from(actual).unwrap_or(u64::MAX);
        let limit = limit.filter(|limit| actual > *limit)?;
        let expected = format!("at most {}", format_size(limit));
        Some(Difference { what: format!("budget {what}"), expected, actual: kib(actual) })
    };
    [over("size", budget.size, size), over("memory", budget.memory, memory)].into_iter().flatten().collect()
}

/// Bytes as people compare them: KiB, rounded up.
pub(super) fn kib(bytes: u64) -> String {
    format!("{}KiB", bytes.div_ceil(1024))
}

struct Differences(Vec<Difference>);

impl Differences {
    fn push(&mut self, what: impl Into<String>, expected: impl Into<String>, actual: impl Into<String>) {
        self.0.push(Difference { what: what.into(), expected: expected.into(), actual: actual.into() });
    }

    fn equal(&mut self, what: &str, expected: &str, actual: &str) {
        if expected != actual {
            self.push(what, expected, actual);
        }
    }

    fn maybe(&mut self, what: &str, expected: Option<&str>, actual: Option<&str>) {
        if let Some(expected) = expected {
            self.equal(what, expected, actual.unwrap_or(NONE));
        }
    }

    /// Status, header fields and body: of the answer, of the response, or of the request.
    fn message(&mut self, expect: &Expect, outcome: &Outcome) {
        let answer = match &outcome.decision {
            Decision::Respond(response) => Some(response),
            _ => None,
        };
        let status = answer.map(|answer| answer.status).or(outcome.response.as_ref().map(|head| head.status));
        let (expected, actual) = (expect.status.map(|status| status.to_string()), status.as_ref().map(|s| s.as_str()));
        self.maybe("status", expected.as_deref(), actual);
        match (answer, &outcome.response) {
            (Some(answer), _) => self.headers(expect, &answer.headers.iter().cloned().collect()),
            (None, Some(response)) => self.headers(expect, &response.headers),
            (None, None) => self.headers(expect, &outcome.request.headers),
        }
        let body =
            answer.map(|answer| &answer.body).or(outcome.body.as_ref()).map(|body| String::from_utf8_lossy(body));
        self.maybe("body", expect.body.as_deref(), body.as_deref());
    }

    fn headers(&mut self, expect: &Expect, headers: &HeaderMap) {
        let all = |name: &str| {
            let values: Vec<_> =
                headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            if values.is_empty() { NONE.to_owned() } else { values.join(" | ") }
        };
        for (name, values) in &expect.headers {
            let expected = values.iter().collect::<Vec<_>>().join(" | ");
            self.equal(&format!("header {}", name.to_ascii_lowercase()), &expected, &all(name));
        }
        for name in &expect.removed {
            self.equal(&format!("header {}", name.to_ascii_lowercase()), NONE, &all(name));
        }
    }

    /// What only a verdict that goes on can change.
    fn edits(&mut self, expect: &Expect, outcome: &Outcome) {
        let uri = &outcome.request.uri;
        self.maybe("path", expect.path.as_deref(), Some(uri.path()));
        self.maybe("query", expect.query.as_deref(), Some(uri.query().unwrap_or_default()));
        self.maybe("origin", expect.origin.as_deref(), outcome.origin.as_deref());
        self.maybe("note", expect.note.as_deref(), outcome.note.as_deref());
        let key = |parts: &[String]| if parts.is_empty() { NONE.to_owned() } else { parts.join(" | ") };
        let expected = expect.cache_key.as_deref().map(key);
        self.maybe("cache_key", expected.as_deref(), Some(&key(&outcome.cache_key)));
        let expected = expect.cache_tags.as_deref().map(key);
        self.maybe("cache_tags", expected.as_deref(), Some(&key(&outcome.cache_tags)));
        let cost = outcome.cost.unwrap_or(1).to_string();
        self.maybe("cost", expect.cost.map(|cost| cost.to_string()).as_deref(), Some(&cost));
        self.maybe("api_key", expect.api_key.as_deref(), outcome.api_key.as_deref());
        let ttl = outcome.ttl.map(format_duration);
        self.maybe("ttl", expect.ttl.map(format_duration).as_deref(), ttl.as_deref());
    }

    /// What an authorizer says.
    fn authorized(&mut self, expect: &Expect, verdict: &AuthorizerVerdict) {
        let nobody = Caller::default();
        let (caller, challenge) = match verdict {
            AuthorizerVerdict::Allow(caller) | AuthorizerVerdict::Deny(caller) => (caller, None),
            AuthorizerVerdict::Unauthorized(challenge) => (&nobody, challenge.as_ref()),
        };
        self.maybe("principal", expect.principal.as_deref(), caller.principal());
        for (name, value) in &expect.context {
            self.maybe(&format!("context {name}"), Some(value), caller.get(name));
        }
        self.maybe("api_key", expect.api_key.as_deref(), caller.api_key.as_ref().map(|key| &*key.0));
        let age = caller.max_age.map(format_duration);
        self.maybe("max_age", expect.max_age.map(format_duration).as_deref(), age.as_deref());
        let challenge = challenge.map(|value| String::from_utf8_lossy(value.as_bytes()));
        self.maybe("challenge", expect.challenge.as_deref(), challenge.as_deref());
    }

    fn log(&mut self, expect: &Expect, outcome: &Outcome) {
        for part in &expect.log {
            if !outcome.log.iter().any(|line| line.contains(part.as_str())) {
                let actual = if outcome.log.is_empty() { NONE.to_owned() } else { outcome.log.join(" | ") };
                self.push("log", format!("…{part}…"), actual);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_limits() {
        let budget = Budget { size: Some(1000), memory: Some(64 << 10) };
        assert_eq!(over_budget(&budget, 1000, 64 << 10), []);
        let over = over_budget(&budget, 1025, 128 << 10);
        assert_eq!(over.len(), 2);
        assert_eq!((over[0].expected.as_str(), over[0].actual.as_str()), ("at most 1KB", "2KiB"));
        assert_eq!((over[1].what.as_str(), over[1].actual.as_str()), ("budget memory", "128KiB"));
    }
}
