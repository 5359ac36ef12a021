//! What a purge names, as people say it, made into what the cache understands.
//!
//! Rules are CloudFront's ("Invalidate files to remove content", "Specify the files"): paths begin with `/`, which may be
//! left out; they are case-sensitive; a `*` at the end stands for any rest and is a plain character elsewhere; the query
//! counts as far as it is in the cache key. Paths are normalised as those of viewers are. No I/O, no session.

use edgeweir_cache::filtered_query;
use edgeweir_cache::purge::{Item, Mode, Scope, Target};
use serde::Deserialize;

use crate::flow::authority::Authority;
use crate::flow::path::normalise;
use crate::snapshot::Snapshot;

/// Most things that one purge may name (CloudFront: 3,000 paths in progress).
pub const MAX_ITEMS: usize = 3_000;
/// Longest path, URL or tag, in bytes (CloudFront: 4,000 characters).
pub const MAX_TEXT: usize = 4_000;

/// What to purge, and how.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Order {
    /// `http://host/path?query`, with a `*` at the end for a prefix. The scheme and the port do not count.
    pub urls: Vec<String>,
    /// Paths of the distribution.
    pub paths: Vec<String>,
    /// Tags: of the distribution, or of all.
    pub tags: Vec<String>,
    /// Hosts, with everything that they have.
    pub hosts: Vec<String>,
    /// The distribution that paths, tags and `everything` are about. Paths need one if there are several.
    pub distribution: Option<String>,
    /// All objects, of the distribution or of all.
    pub everything: bool,
    /// Let stale rules serve what is purged, and the origin confirm it.
    pub soft: bool,
    /// Only count.
    pub dry_run: bool,
}

/// Why an order cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOrder {
    /// It names nothing.
    #[error("nothing to purge: name `urls`, `paths`, `tags` or `hosts`, or say `everything`")]
    Nothing,
    /// It names too much.
    #[error("{0} things to purge are more than {MAX_ITEMS}: use a path with `*`, a tag, or several calls")]
    TooMany(usize),
    /// A text is too long.
    #[error("longer than {MAX_TEXT} bytes: `{0}…`")]
    TooLong(String),
    /// Not `host/path`.
    #[error("not a URL: `{0}`")]
    BadUrl(String),
    /// A fragment, which no request has.
    #[error("a `#` begins a fragment, which is no part of what is asked for: leave it out, or write `%23`: `{0}`")]
    Fragment(String),
    /// A character that no request target has (RFC 9112, 3.2): such a purge would find nothing, ever.
    #[error("no request has `{}` in its target, only percent-encoded (`{}`): `{text}`", character.escape_debug(), encoded(*character))]
    Character {
        /// What is named.
        text: String,
        /// The first of its kind.
        character: char,
    },
    /// An empty tag, or one that would be two.
    #[error("a tag has no commas and no blanks, and is not empty: `{0}`")]
    BadTag(String),
    /// No distribution serves this host.
    #[error("no distribution has the host `{0}`")]
    UnknownHost(String),
    /// No distribution has this name.
    #[error("no distribution is called `{name}`; there are {known}")]
    UnknownDistribution {
        /// The name.
        name: String,
        /// All there are.
        known: String,
    },
    /// Paths without a distribution.
    #[error(
        "`{path}` could be a path of several distributions: name one with `distribution`, or give a URL; there are {known}"
    )]
    WhichDistribution {
        /// The path.
        path: String,
        /// All there are.
        known: String,
    },
}

impl Order {
    /// Hard or soft.
    #[must_use]
    pub fn mode(&self) -> Mode {
        if self.soft { Mode::Soft } else { Mode::Hard }
    }

    /// All that is named, for the cache.
    ///
    /// # Errors
    /// What cannot be understood; then nothing is purged.
    pub fn items(&self, snapshot: &Snapshot) -> Result<Vec<Item>, BadOrder> {
        let named = [&self.urls, &self.paths, &self.tags, &self.hosts];
        let count = named.iter().map(|list| list.len()).sum();
        if count == 0 && !self.everything {
            return Err(BadOrder::Nothing);
        }
        if count > MAX_ITEMS {
            return Err(BadOrder::TooMany(count));
        }
        if let Some(long) = named.into_iter().flatten().find(|text| text.len() > MAX_TEXT) {
            return Err(BadOrder::TooLong(long.chars().take(40).collect()));
        }
        let scope = match &self.distribution {
            None => Scope::Everything,
            Some(name) => Scope::Distribution(by_name(snapshot, name).map(|_index| name.clone())?),
        };
        let mut items = Vec::with_capacity(count);
        if self.everything {
            items.push(Item { scope: scope.clone(), target: Target::Prefix(String::new()) });
        }
        for url in &self.urls {
            check_fragment(url)?;
            let rest = url.split_once("://").map_or(url.as_str(), |(_scheme, rest)| rest);
            let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            let (index, scope) = by_host(snapshot, host, url)?;
            check_path(path)?;
            add(&mut items, snapshot, index, &scope, path);
        }
        for host in &self.hosts {
            let (_, scope) = by_host(snapshot, host, host)?;
            items.push(Item { scope, target: Target::Prefix(String::new()) });
        }
        for path in &self.paths {
            // CloudFront writes tags so among paths.
            if let Some(tag) = path.strip_prefix('#') {
                items.push(Item { scope: scope.clone(), target: Target::Tag(checked(tag)?) });
                continue;
            }
            check_fragment(path)?;
            check_path(path)?;
            let index = match (&self.distribution, snapshot.distributions.as_slice()) {
                (Some(name), _) => by_name(snapshot, name)?,
                (None, [_only]) => 0,
                (None, _) => return Err(BadOrder::WhichDistribution { path: path.clone(), known: known(snapshot) }),
            };
            let Some(found) = snapshot.distributions.get(index) else { continue };
            add(&mut items, snapshot, index, &Scope::Distribution(found.name.to_string()), path);
        }
        for tag in &self.tags {
            items.push(Item { scope: scope.clone(), target: Target::Tag(checked(tag)?) });
        }
        Ok(items)
    }
}

fn check_fragment(text: &str) -> Result<(), BadOrder> {
    if text.contains('#') { Err(BadOrder::Fragment(text.to_owned())) } else { Ok(()) }
}

/// A path with its query is one that requests can have.
fn check_path(text: &str) -> Result<(), BadOrder> {
    match text.chars().find(|character| !character.is_ascii_graphic()) {
        Some(character) => Err(BadOrder::Character { text: text.to_owned(), character }),
        None => Ok(()),
    }
}

/// As it is in a URL (RFC 3986, 2.1).
fn encoded(character: char) -> String {
    character.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn checked(tag: &str) -> Result<String, BadOrder> {
    let tag = tag.trim();
    if tag.is_empty() || tag.contains([',', ' ', '\t']) {
        Err(BadOrder::BadTag(tag.to_owned()))
    } else {
        Ok(tag.to_owned())
    }
}

fn by_name(snapshot: &Snapshot, name: &str) -> Result<usize, BadOrder> {
    let found = snapshot.distributions.iter().position(|found| &*found.name == name);
    found.ok_or_else(|| BadOrder::UnknownDistribution { name: name.to_owned(), known: known(snapshot) })
}

fn known(snapshot: &Snapshot) -> String {
    let names: Vec<String> = snapshot.distributions.iter().map(|found| format!("`{}`", found.name)).collect();
    names.join(", ")
}

fn by_host(snapshot: &Snapshot, host: &str, whole: &str) -> Result<(usize, Scope), BadOrder> {
    let host = Authority::parse(host.as_bytes()).ok_or_else(|| BadOrder::BadUrl(whole.to_owned()))?;
    let index = snapshot.hosts.find(host.host()).ok_or_else(|| BadOrder::UnknownHost(host.host().to_owned()))?;
    let distribution = snapshot.distributions.get(index).map(|found| found.name.to_string()).unwrap_or_default();
    Ok((index, Scope::Host { distribution, host: host.host().to_owned() }))
}

/// Adds a path: in the spelling that is in the key, and as it is for behaviors that keep the viewer's.
fn add(items: &mut Vec<Item>, snapshot: &Snapshot, distribution: usize, scope: &Scope, path: &str) {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let (text, prefix) = path.strip_suffix('*').map_or((path.as_str(), false), |text| (text, true));
    let (raw, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let mut spellings = vec![raw.to_owned()];
    // A prefix that ends in dots is no dot segment yet.
    if !(prefix && query.is_none() && (raw.ends_with("/.") || raw.ends_with("/.."))) {
        let normal = normalise(raw).path.into_owned();
        spellings.extend(Some(normal).filter(|normal| normal != raw));
    }
    let found = snapshot.distributions.get(distribution);
    if let Some(object) = found.and_then(|found| found.root_object.as_deref())
        && !prefix
        && spellings.iter().any(|path| path == "/")
    {
        // What is served for `/` is stored under its own name.
        spellings.push(object.to_owned());
    }
    for path in spellings {
        if prefix {
            let target = Target::Prefix(query.map_or_else(|| path.clone(), |query| format!("{path}?{query}")));
            items.push(Item { scope: scope.clone(), target });
            continue;
        }
        // Behaviors with other conditions may have other policies.
        let candidates = snapshot.candidates(distribution, &path);
        let behaviors = candidates.iter().filter_map(|at| found?.behaviors.get(*at));
        let mut kept: Vec<_> = behaviors.map(|behavior| filtered_query(query, &behavior.cache.query)).collect();
        if kept.is_empty() {
            kept.push(None);
        }
        kept.dedup();
        for query in kept {
            let target = Target::Exact(query.map_or_else(|| path.clone(), |query| format!("{path}?{query}")));
            items.push(Item { scope: scope.clone(), target });
        }
    }
}
