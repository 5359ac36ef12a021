//! `[cache]` of a case: the cache policy of the behavior, so that the test can tell whether an answer would be stored that
//! depends on what is not in its key. The policy is read by the code that reads configurations.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use edgeweir_cache::{Decision as Storing, RequestFacts, decide};
use edgeweir_config::KeyLeaks;
use edgeweir_hookhost::{ReadSet, Stage};
use http::header::VARY;
use http::{HeaderMap, HeaderValue};
use pingora::http::ResponseHeader;
use serde::Deserialize;

use crate::cli::hook::run::{Decision, Outcome};
use crate::flow::leaks::{AlsoKeyed, leaks};
use crate::snapshot::CachePolicy;
use crate::snapshot::build::cache_policy;

/// As people write it. What is not named here is of the policy's own.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Cache {
    /// Name of a preset.
    policy: Option<String>,
    /// The `Vary` that the origin would send, at request stages.
    vary: Option<String>,
    /// Keys as in `[cache_policies.*]`.
    #[serde(flatten)]
    own: toml::Table,
}

/// How answers of the case are stored.
pub(in crate::cli::hook) struct Stored {
    policy: CachePolicy,
    vary: HeaderMap,
    now: SystemTime,
}

impl Cache {
    /// Reads the policy; that of a behavior which names none if nothing is said. `now` is the case's clock in milliseconds.
    ///
    /// # Errors
    /// What `edgeweir check` would say.
    pub(super) fn read(&self, now: u64) -> anyhow::Result<Stored> {
        let named = match (&self.policy, self.own.is_empty()) {
            (Some(_), false) => {
                return Err(anyhow!("either `policy` names a preset, or the keys of a policy are here"));
            }
            (Some(preset), true) => format!("cache_policy = {}\n", toml::Value::from(preset.as_str())),
            (None, true) => String::new(),
            (None, false) => "cache_policy = \"case\"\n".to_owned(),
        };
        let own = match self.own.is_empty() {
            true => String::new(),
            false => toml::to_string(&toml::Table::from_iter([(
                "cache_policies".to_owned(),
                toml::Value::Table(toml::Table::from_iter([("case".to_owned(), toml::Value::Table(self.own.clone()))])),
            )]))?,
        };
        let text = format!(
            "{own}\n[origins.origin]\nurl = \"http://127.0.0.1:1\"\n[distributions.site]\nhosts = [\"*\"]\norigin = \"origin\"\n\
             [[distributions.site.behaviors]]\npath = \"*\"\n{named}"
        );
        let config = match edgeweir_config::parse(&text, Path::new("")) {
            Ok(parsed) => parsed.config,
            Err(report) => {
                let words = report.problems.iter().map(|problem| match &problem.help {
                    Some(help) => format!("{}: {help}", problem.message),
                    None => problem.message.clone(),
                });
                return Err(anyhow!("{}", words.collect::<Vec<_>>().join("; ")));
            }
        };
        let used = config.distributions.first().and_then(|site| site.behaviors.first()).map(|one| one.cache_policy.0);
        let policy = used
            .and_then(|at| config.cache_policies.get(at))
            .map(|policy| cache_policy(policy, &config.viewer.header_prefix));
        let mut vary = HeaderMap::new();
        if let Some(text) = &self.vary {
            vary.insert(VARY, HeaderValue::from_str(text)?);
        }
        let policy = policy.ok_or_else(|| anyhow!("there is no such policy"))?;
        Ok(Stored { policy, vary, now: SystemTime::UNIX_EPOCH + Duration::from_millis(now) })
    }
}

impl Stored {
    /// What the hook read that shows in an answer which may be stored, and is neither in the key nor in `Vary`.
    pub(in crate::cli::hook) fn leaks(&self, stage: Stage, outcome: &Outcome) -> Vec<String> {
        let Some(reads) = outcome.report.reads.as_deref().filter(|_reads| outcome.shows) else { return Vec::new() };
        if self.policy.disabled || self.policy.key_leaks == KeyLeaks::Ignore {
            return Vec::new();
        }
        let of = |response: &HeaderMap, reads: &ReadSet| leaks(reads, &self.policy, response, AlsoKeyed::default());
        match (stage, &outcome.decision, &outcome.response) {
            (Stage::OriginRequest, Decision::Respond(answer), _) => {
                let head = http::Response::builder().status(answer.status).body(()).map(|made| made.into_parts().0);
                let Ok(mut head) = head.map(ResponseHeader::from) else { return Vec::new() };
                for (name, value) in &answer.headers {
                    // It was checked by the host.
                    let _added = head.append_header(name.clone(), value.clone());
                }
                if self.keeps(&head, outcome) { of(&head.headers, reads) } else { Vec::new() }
            }
            (Stage::OriginResponse, _, Some(head)) if self.keeps(head, outcome) => of(&head.headers, reads),
            // What the origin will answer is not known: it may well be stored.
            (Stage::ViewerRequest | Stage::OriginRequest, Decision::Next, _) => of(&self.vary, reads),
            _ => Vec::new(),
        }
    }

    /// Whether a response would be stored.
    fn keeps(&self, head: &ResponseHeader, outcome: &Outcome) -> bool {
        let facts = RequestFacts::new(&outcome.request.method);
        let stored = matches!(decide(&facts, head, &self.policy.rules, self.now), Storing::Store(_));
        stored || outcome.ttl.is_some_and(|ttl| !ttl.is_zero())
    }
}
