//! What is told of a request: plain values, for people (`text`) and as JSON.

use serde::Serialize;
use serde_json::Value;

/// The whole explanation, in the order of a request's steps. What a refused request does not come to is null or empty.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) request: Request,
    /// None if it is let through.
    pub(super) refused: Option<Refused>,
    pub(super) gate: Gate,
    pub(super) distribution: Option<Distribution>,
    pub(super) behavior: Option<Behavior>,
    /// Where the viewer is sent for HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redirect: Option<Redirect>,
    pub(super) api_key: Option<ApiKey>,
    pub(super) throttles: Vec<Throttle>,
    /// In the order that they run.
    pub(super) hooks: Vec<Hook>,
    pub(super) cache: Option<Cache>,
    pub(super) origin: Option<Origin>,
}

/// What was asked.
#[derive(Debug, Serialize)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) url: String,
    /// By the trust policy.
    pub(super) client: String,
    pub(super) client_why: String,
    /// By the trust policy.
    pub(super) scheme: &'static str,
    pub(super) country: Option<String>,
    pub(super) country_why: &'static str,
}

/// The answer that the edge gives by itself.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    pub(super) fault: &'static str,
    pub(super) status: u16,
    pub(super) message: &'static str,
    pub(super) why: String,
}

/// The answer to a request by HTTP where HTTPS is wanted.
#[derive(Debug, Serialize)]
pub(super) struct Redirect {
    pub(super) status: u16,
    pub(super) location: String,
}

/// What the gate made of the head.
#[derive(Debug, Serialize)]
pub(super) struct Gate {
    /// The path in the one spelling that is matched.
    pub(super) path: Option<String>,
    /// Header fields that were dropped.
    pub(super) dropped: Vec<String>,
}

/// Found by the host.
#[derive(Debug, Serialize)]
pub(super) struct Distribution {
    pub(super) name: String,
    pub(super) host: String,
    /// Its host pattern that matches.
    pub(super) pattern: Option<String>,
}

/// Found by the path.
#[derive(Debug, Serialize)]
pub(super) struct Behavior {
    pub(super) pattern: String,
    /// From 1.
    pub(super) number: usize,
    /// Of how many.
    pub(super) of: usize,
    /// What the request must have beside its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) conditions: Option<String>,
    /// Patterns before it, which did not match.
    pub(super) passed_over: Vec<String>,
    pub(super) methods: Vec<String>,
}

/// Whether a key is needed, and the one that came.
#[derive(Debug, Serialize)]
pub(super) struct ApiKey {
    pub(super) required: bool,
    pub(super) why: String,
    /// Its name, never the key.
    pub(super) key: Option<String>,
    pub(super) plan: Option<String>,
}

/// A bucket that the request is taken from.
#[derive(Debug, Serialize)]
pub(super) struct Throttle {
    pub(super) level: &'static str,
    /// Requests per second.
    pub(super) rate: f64,
    pub(super) burst: u32,
}

/// A binding.
#[derive(Debug, Serialize)]
pub(super) struct Hook {
    pub(super) stage: &'static str,
    pub(super) hook: String,
    pub(super) file: String,
    pub(super) timeout_ms: u128,
    pub(super) memory_bytes: u64,
    /// `closed` or `open`.
    pub(super) on_failure: &'static str,
    /// Whether it also runs on errors.
    pub(super) on_errors: bool,
    /// Without secrets.
    pub(super) settings: Value,
    /// The stores that it may read; none if the binding does not speak of stores.
    pub(super) key_value_stores: Option<Vec<String>>,
    /// The key sets that it may use.
    pub(super) jwks: Vec<String>,
    /// The names of the secrets that it may read; none if the binding does not speak of secrets.
    pub(super) secrets: Option<Vec<String>>,
}

/// What the cache does.
#[derive(Debug, Serialize)]
pub(super) struct Cache {
    pub(super) policy: String,
    /// Whether the cache is asked, and may be filled.
    pub(super) cacheable: bool,
    pub(super) why: String,
    /// In seconds.
    pub(super) min_ttl: f64,
    pub(super) default_ttl: f64,
    pub(super) max_ttl: f64,
    /// In seconds; how long a stale object answers if the origin does not say.
    pub(super) stale_while_revalidate: f64,
    pub(super) stale_if_error: f64,
    /// What the policy or the request's own fields mean for looking up and storing.
    pub(super) notes: Vec<String>,
    /// Empty if the cache is not asked.
    /// How a purge names it.
    pub(super) purged_as: Option<String>,
    /// Response headers with tags for purges.
    pub(super) tag_headers: Vec<String>,
    pub(super) key: Vec<Part>,
}

/// A part of the cache key.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) name: String,
    /// None for a header that the request does not have.
    pub(super) value: Option<String>,
}

/// What the origin gets, as far as no hook changes it.
#[derive(Debug, Serialize)]
pub(super) struct Origin {
    pub(super) name: String,
    pub(super) why: String,
    pub(super) url: String,
    pub(super) host: Option<String>,
    pub(super) host_why: &'static str,
    /// Path and query.
    pub(super) target: String,
    /// Fields that the viewer did not send, or not so.
    pub(super) headers: Vec<Field>,
    /// Fields that the viewer sent and the origin does not get, beside what the gate dropped.
    pub(super) removed: Vec<Field>,
}

/// A header field and what put or took it there.
#[derive(Debug, Serialize)]
pub(super) struct Field {
    pub(super) name: String,
    /// `***` for a secret of the configuration.
    pub(super) value: String,
    pub(super) why: String,
}
