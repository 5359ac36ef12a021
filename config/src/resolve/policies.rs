//! Cache policies: those of the file, then the presets that are used.

use std::time::Duration;

use toml::Spanned;

use super::names::Names;
use super::{time, viewer};
use crate::decode::{List, Text};
use crate::model::{CacheBehaviour, CachePolicy, CachePolicyId, Coding, Forward, Selection, SetCookie};
use crate::report::Report;
use crate::schema::{self, File};

const DAY: u64 = 86_400;

/// Errors that CloudFront stores also if the origin does not say how long they live, for its `ErrorCachingMinTTL` at least,
/// which is 10 s if it is not configured (Developer Guide, "How CloudFront processes HTTP 4xx and 5xx status codes from your
/// origin").
const ERRORS: [u16; 7] = [404, 414, 500, 501, 502, 503, 504];
const ERROR_TTL: Duration = Duration::from_secs(10);

/// A policy that is always there.
pub(crate) struct Preset {
    /// As behaviors call it.
    pub(crate) name: &'static str,
    /// Seconds: shortest, default, longest.
    ttls: [u64; 3],
    headers: &'static [&'static str],
    cookies: Selection,
    query: Selection,
    /// Gzip and Brotli: what the viewer accepts of them is in the key, in one spelling.
    codings: bool,
}

/// Headers in the key of the two policies that leave the choice to the origin.
const ORIGIN_HEADERS: &[&str] = &["host", "origin", "x-http-method", "x-http-method-override", "x-method-override"];

/// CloudFront's managed policies (Developer Guide, "Use managed cache policies"). Where `Set-Cookie` would keep a response out
/// of the cache although no cookie is in the key, it is not passed on, as CloudFront does it. What a viewer says besides is
/// forwarded, as CloudFront does it with the origin request policy `AllViewer`.
pub(crate) const PRESETS: [Preset; 6] = [
    Preset {
        name: "CachingDisabled",
        ttls: [0, 0, 0],
        headers: &[],
        cookies: Selection::None,
        query: Selection::None,
        codings: false,
    },
    Preset {
        name: "CachingOptimized",
        ttls: [1, DAY, 365 * DAY],
        headers: &[],
        cookies: Selection::None,
        query: Selection::None,
        codings: true,
    },
    Preset {
        name: "CachingOptimizedForUncompressedObjects",
        ttls: [1, DAY, 365 * DAY],
        headers: &[],
        cookies: Selection::None,
        query: Selection::None,
        codings: false,
    },
    Preset {
        name: "Amplify",
        ttls: [2, 2, 600],
        headers: &["authorization", "cloudfront-viewer-country", "host"],
        cookies: Selection::All,
        query: Selection::All,
        codings: true,
    },
    Preset {
        name: "UseOriginCacheControlHeaders",
        ttls: [0, 0, 365 * DAY],
        headers: ORIGIN_HEADERS,
        cookies: Selection::All,
        query: Selection::None,
        codings: true,
    },
    Preset {
        name: "UseOriginCacheControlHeaders-QueryStrings",
        ttls: [0, 0, 365 * DAY],
        headers: ORIGIN_HEADERS,
        cookies: Selection::All,
        query: Selection::All,
        codings: true,
    },
];

/// Where origins put tags if the policy does not say: CloudFront's and Cloudflare's name, and Fastly's.
const TAG_HEADERS: [&str; 2] = ["cache-tag", "surrogate-key"];

/// The preset of behaviors that name no policy.
const DEFAULT: &str = "UseOriginCacheControlHeaders-QueryStrings";

/// The policies of the model while it is made.
pub(super) struct Policies<'n> {
    names: &'n Names,
    /// Names of the presets used so far, and whether behaviors ask for them by name.
    presets: Vec<(&'static str, bool)>,
}

impl<'n> Policies<'n> {
    /// No preset is used yet.
    pub(super) fn new(names: &'n Names) -> Self {
        Self { names, presets: Vec::new() }
    }

    /// The policy of a behavior.
    pub(super) fn find(&mut self, name: Option<&Spanned<Text>>, out: &mut Report) -> CachePolicyId {
        let text = name.map_or(DEFAULT, |name| name.get_ref().0.as_str());
        if let Some(preset) = PRESETS.iter().find(|preset| preset.name == text) {
            let wanted = (preset.name, name.is_some());
            let at = self.presets.iter().position(|used| *used == wanted).unwrap_or_else(|| {
                self.presets.push(wanted);
                self.presets.len() - 1
            });
            return CachePolicyId(self.names.policies.len() + at);
        }
        let presets = PRESETS.map(|preset| preset.name);
        CachePolicyId(name.map_or(0, |name| self.names.policies.find(name, &presets, out)))
    }

    /// All policies, at their index.
    pub(super) fn finish(self, file: &File) -> Vec<CachePolicy> {
        let own = file.cache_policies.value().into_iter().flat_map(|policies| policies.iter());
        let prefix = viewer::prefix(file);
        let own = own.map(|(name, written)| resolve(name.get_ref(), written, prefix));
        let presets = self.presets.iter().filter_map(|(name, named)| {
            let preset = PRESETS.iter().find(|preset| preset.name == *name)?;
            Some(preset.policy(prefix, *named))
        });
        own.chain(presets).collect()
    }
}

impl Preset {
    /// Who does not ask for CloudFront's policies `named` gets HTTP's rules: what fails is asked for again.
    fn policy(&self, prefix: &str, named: bool) -> CachePolicy {
        let [min_ttl, default_ttl, max_ttl] = self.ttls.map(Duration::from_secs);
        // `max_ttl` limits also what errors live.
        let least = ERROR_TTL.min(max_ttl);
        let errors = if least.is_zero() || !named { Vec::new() } else { ERRORS.map(|status| (status, least)).to_vec() };
        let set_cookie = if self.cookies == Selection::None { SetCookie::Strip } else { SetCookie::Refuse };
        CachePolicy {
            name: self.name.to_owned(),
            min_ttl,
            default_ttl,
            max_ttl,
            headers: self.headers.iter().map(|header| viewer::field(header, prefix)).collect(),
            cookies: self.cookies.clone(),
            query: self.query.clone(),
            tag_headers: TAG_HEADERS.map(str::to_owned).to_vec(),
            send_tags: false,
            compress: Vec::new(),
            accept_encoding: if self.codings { vec![Coding::Brotli, Coding::Gzip] } else { Vec::new() },
            forward: Forward::default(),
            behaviour: CacheBehaviour { set_cookie, errors, ..CacheBehaviour::default() },
        }
    }
}

fn resolve(name: &str, written: &schema::CachePolicy, prefix: &str) -> CachePolicy {
    let min_ttl = time(written.min_ttl.value(), 0);
    let max_ttl = time(written.max_ttl.value(), 365 * DAY * 1_000);
    // What is not written gives way to what is.
    let default_ttl = written.default_ttl.value().map_or(min_ttl, |ttl| ttl.0);
    let mut headers: Vec<String> = match written.headers.value() {
        Some(list) => list.items.iter().map(|header| viewer::field(&header.get_ref().0, prefix)).collect(),
        None => Vec::new(),
    };
    headers.sort_unstable();
    CachePolicy {
        name: name.to_owned(),
        min_ttl,
        default_ttl,
        max_ttl,
        headers,
        cookies: written.cookies.value().map_or(Selection::None, selection),
        query: written.query.value().map_or(Selection::All, selection),
        tag_headers: written.tag_headers.value().map_or_else(
            || TAG_HEADERS.map(str::to_owned).to_vec(),
            |list| list.items.iter().map(|name| name.get_ref().0.clone()).collect(),
        ),
        send_tags: written.send_tags.value().copied().unwrap_or(false),
        compress: codings(written.compress.value()),
        accept_encoding: codings(written.accept_encoding.value()),
        forward: forward(written, prefix),
        behaviour: behaviour(written),
    }
}

fn codings(written: Option<&List<Coding>>) -> Vec<Coding> {
    written.map_or_else(Vec::new, |list| list.items.iter().map(|coding| *coding.get_ref()).collect())
}

fn forward(written: &schema::CachePolicy, prefix: &str) -> Forward {
    let usual = Forward::default();
    let headers = match written.forward_headers.value().map_or(usual.headers, selection) {
        Selection::Only(names) => Selection::Only(lower(&names, prefix)),
        Selection::Except(names) => Selection::Except(lower(&names, prefix)),
        other => other,
    };
    Forward {
        headers,
        cookies: written.forward_cookies.value().map_or(usual.cookies, selection),
        query: written.forward_query.value().map_or(usual.query, selection),
    }
}

fn lower(names: &[String], prefix: &str) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| viewer::field(name, prefix)).collect();
    names.sort_unstable();
    names
}

fn behaviour(written: &schema::CachePolicy) -> CacheBehaviour {
    let usual = CacheBehaviour::default();
    let mut errors: Vec<(u16, Duration)> = match written.errors.value() {
        Some(errors) => {
            errors.iter().filter_map(|(status, ttl)| Some((status.get_ref().parse().ok()?, ttl.0))).collect()
        }
        None => Vec::new(),
    };
    errors.sort_unstable();
    CacheBehaviour {
        heuristic: written.heuristic.value().copied().unwrap_or(usual.heuristic),
        stale_while_revalidate: written.stale_while_revalidate.value().map_or(usual.stale_while_revalidate, |t| t.0),
        stale_if_error: written.stale_if_error.value().map_or(usual.stale_if_error, |t| t.0),
        errors,
        set_cookie: written.set_cookie.value().copied().unwrap_or(usual.set_cookie),
        viewer_directives: written.viewer_directives.value().copied().unwrap_or(usual.viewer_directives),
        targeted_fields: written.targeted_fields.value().copied().unwrap_or(usual.targeted_fields),
        collapse: written.collapse.value().map_or(usual.collapse, |t| t.0),
        admit_after: written.admit_after.value().map_or(usual.admit_after, |count| count.as_u8()),
        admit_within: written.admit_within.value().map_or(usual.admit_within, |t| t.0),
        x_cache: written.x_cache.value().copied().unwrap_or(usual.x_cache),
        key_leaks: written.key_leaks.value().copied().unwrap_or(usual.key_leaks),
    }
}

fn selection(written: &schema::Selection) -> Selection {
    let sorted = |names: &[Spanned<Text>]| {
        let mut names: Vec<String> = names.iter().map(|name| name.get_ref().0.clone()).collect();
        names.sort_unstable();
        names
    };
    match written {
        schema::Selection::None => Selection::None,
        schema::Selection::All => Selection::All,
        // The same set has one form.
        schema::Selection::Only(names) if names.is_empty() => Selection::None,
        schema::Selection::Except(names) if names.is_empty() => Selection::All,
        schema::Selection::Only(names) => Selection::Only(sorted(names)),
        schema::Selection::Except(names) => Selection::Except(sorted(names)),
    }
}
