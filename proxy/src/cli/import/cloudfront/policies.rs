//! Cache policies and origin request policies: CloudFront's managed ones by their ids, those of the user where a file has them,
//! and placeholders for the others. Together they are one cache policy here.

use std::collections::BTreeMap;
use std::time::Duration;

use edgeweir_config::units::format_duration;

use super::super::fits::{Section, refused};
use super::super::names::{Names, name};
use super::super::notes::{Note, Notes, shown};
use super::super::write::{Item, Table};

/// Longest life that a policy can say, in seconds.
const YEAR: i64 = 365 * 86_400;
/// Errors that CloudFront stores for ten seconds where nothing else is said, as the presets of the edge have them.
const ERRORS: [u16; 7] = [404, 414, 500, 501, 502, 503, 504];

/// Some of a set of named things.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Selection {
    #[default]
    None,
    All,
    Only(Vec<String>),
    Except(Vec<String>),
}

impl Selection {
    fn item(&self) -> Item {
        match self {
            Self::None => "none".into(),
            Self::All => "all".into(),
            Self::Only(names) if names.is_empty() => "none".into(),
            Self::Except(names) if names.is_empty() => "all".into(),
            Self::Only(names) => names.clone().into(),
            Self::Except(names) => Item::inline([("except", names.clone().into())]),
        }
    }
}

/// What is stored, how long, and under which key.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Policy {
    /// Shortest, default and longest life in seconds.
    pub(super) ttls: [i64; 3],
    /// Header fields in the key, as they were written.
    pub(super) headers: Vec<String>,
    pub(super) cookies: Selection,
    pub(super) query: Selection,
    pub(super) gzip: bool,
    pub(super) brotli: bool,
    pub(super) compress: bool,
    pub(super) forward: Forwarded,
    /// The field with the tags of objects, if it is not the usual one.
    pub(super) tags: Option<String>,
}

/// What the origin gets beside what is in the key.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Forwarded {
    pub(super) headers: Selection,
    pub(super) cookies: Selection,
    pub(super) query: Selection,
}

/// What an origin request policy says.
#[derive(Debug, Clone, Default)]
pub(super) struct OriginRequest {
    pub(super) name: String,
    pub(super) forward: Forwarded,
    /// The origin gets the host that the viewer asked for.
    pub(super) host: bool,
    /// Facts about the viewer.
    pub(super) facts: Vec<String>,
}

/// A managed policy of CloudFront that the edge has as a preset (Developer Guide, "Use managed cache policies").
struct Managed {
    id: &'static str,
    name: &'static str,
    ttls: [i64; 3],
    headers: &'static [&'static str],
    all_cookies: bool,
    all_query: bool,
    codings: bool,
}

const DAY: i64 = 86_400;
const ORIGINS_CHOICE: &[&str] = &["Host", "Origin", "X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override"];

const fn managed(id: &'static str, name: &'static str, ttls: [i64; 3]) -> Managed {
    Managed { id, name, ttls, headers: &[], all_cookies: false, all_query: false, codings: false }
}

const MANAGED: [Managed; 6] = [
    managed("4135ea2d-6df8-44a3-9df3-4b5a84be39ad", DISABLED, [0, 0, 0]),
    Managed { codings: true, ..managed("658327ea-f89d-4fab-a63d-7e88639e58f6", "CachingOptimized", [1, DAY, YEAR]) },
    managed("b2884449-e4de-46a7-ac36-70bc7f1ddd6d", "CachingOptimizedForUncompressedObjects", [1, DAY, YEAR]),
    Managed {
        headers: &["Authorization", "CloudFront-Viewer-Country", "Host"],
        all_cookies: true,
        all_query: true,
        codings: true,
        ..managed("2e54312d-136d-493c-8eb9-b001f22f67d2", "Amplify", [2, 2, 600])
    },
    Managed {
        headers: ORIGINS_CHOICE,
        all_cookies: true,
        codings: true,
        ..managed("83da9c7e-98b4-4e11-a168-04f0df8e2c65", "UseOriginCacheControlHeaders", [0, 0, YEAR])
    },
    Managed {
        headers: ORIGINS_CHOICE,
        all_cookies: true,
        all_query: true,
        codings: true,
        ..managed("4cc15a8a-d715-48a4-82b8-cc0b614638fe", "UseOriginCacheControlHeaders-QueryStrings", [0, 0, YEAR])
    },
];

/// The preset that stores nothing.
pub(super) const DISABLED: &str = "CachingDisabled";

/// Facts that `AllViewerAndCloudFrontHeaders-2022-06` adds, as far as the edge knows them.
const FACTS: [&str; 21] = [
    "CloudFront-Forwarded-Proto",
    "CloudFront-Is-Android-Viewer",
    "CloudFront-Is-Desktop-Viewer",
    "CloudFront-Is-IOS-Viewer",
    "CloudFront-Is-Mobile-Viewer",
    "CloudFront-Is-SmartTV-Viewer",
    "CloudFront-Is-Tablet-Viewer",
    "CloudFront-Viewer-ASN",
    "CloudFront-Viewer-Address",
    "CloudFront-Viewer-City",
    "CloudFront-Viewer-Country",
    "CloudFront-Viewer-Country-Name",
    "CloudFront-Viewer-Country-Region",
    "CloudFront-Viewer-Country-Region-Name",
    "CloudFront-Viewer-Http-Version",
    "CloudFront-Viewer-Latitude",
    "CloudFront-Viewer-Longitude",
    "CloudFront-Viewer-Metro-Code",
    "CloudFront-Viewer-Postal-Code",
    "CloudFront-Viewer-TLS",
    "CloudFront-Viewer-Time-Zone",
];

/// A managed cache policy as one that can be changed.
pub(super) fn managed_cache(id: &str) -> Option<(&'static str, Policy)> {
    let found = MANAGED.iter().find(|policy| policy.id == id)?;
    let all = |all| if all { Selection::All } else { Selection::None };
    let policy = Policy {
        ttls: found.ttls,
        headers: found.headers.iter().map(|&name| name.to_owned()).collect(),
        cookies: all(found.all_cookies),
        query: all(found.all_query),
        gzip: found.codings,
        brotli: found.codings,
        ..Policy::default()
    };
    Some((found.name, policy))
}

/// A managed origin request policy (Developer Guide, "Use managed origin request policies").
pub(super) fn managed_request(id: &str) -> Option<OriginRequest> {
    let everything = || Forwarded { headers: Selection::All, cookies: Selection::All, query: Selection::All };
    let only = |names: &[&str]| Forwarded {
        headers: Selection::Only(names.iter().map(|&name| name.to_owned()).collect()),
        ..Forwarded::default()
    };
    let (name, forward, host) = match id {
        "216adef6-5c7f-47e4-b989-5492eafa07d3" => ("AllViewer", everything(), true),
        "b689b0a8-53d0-40ab-baf2-68738e2966ac" => ("AllViewerExceptHostHeader", everything(), false),
        "33f36d7e-f396-46d9-90e0-52428a34d9dc" => ("AllViewerAndCloudFrontHeaders-2022-06", everything(), true),
        "59781a5b-3903-41f3-afcb-af62929ccde1" => ("CORS-CustomOrigin", only(&["Origin"]), false),
        "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf" => {
            let headers = ["Origin", "Access-Control-Request-Headers", "Access-Control-Request-Method"];
            ("CORS-S3Origin", only(&headers), false)
        }
        "bf0718e1-ba1e-49d1-88b1-f726733018ae" => ("HostHeaderOnly", Forwarded::default(), true),
        "acba4595-bd28-49b8-b9fe-13317c0390fa" => ("UserAgentRefererHeaders", only(&["User-Agent", "Referer"]), false),
        _ => return None,
    };
    let facts = if name.contains("CloudFront") { FACTS.map(str::to_owned).to_vec() } else { Vec::new() };
    Some(OriginRequest { name: name.to_owned(), forward, host, facts })
}

/// CloudFront's managed response headers policies, which the edge has by the same names.
pub(super) fn managed_headers(id: &str) -> Option<&'static str> {
    Some(match id {
        "60669652-455b-4ae9-85a4-c4c02393f86c" => "SimpleCORS",
        "5cc3b908-e619-4b99-88e5-2cf7f45965bd" => "CORS-With-Preflight",
        "67f7725c-6f97-4210-82d7-5512b31e9d03" => "SecurityHeadersPolicy",
        "e61eb60c-9c35-4d20-a928-2b84e02af89c" => "CORS-and-SecurityHeadersPolicy",
        "eaab4381-ed33-4a86-88ca-d9558dc6cd63" => "CORS-with-preflight-and-SecurityHeadersPolicy",
        _ => return None,
    })
}

/// The policies that are written.
#[derive(Default)]
pub(super) struct Policies {
    made: Vec<(String, Policy)>,
    cache_placeholders: BTreeMap<String, String>,
    headers_placeholders: BTreeMap<String, String>,
    names: Names,
}

impl Policies {
    /// The name of a policy that is like this one.
    pub(super) fn made(&mut self, wanted: &str, policy: Policy) -> String {
        if let Some((name, _)) = self.made.iter().find(|(_, old)| *old == policy) {
            return name.clone();
        }
        let mut name = self.names.take(wanted);
        // Presets cannot be changed.
        while MANAGED.iter().any(|preset| preset.name == name) {
            name = self.names.take(&format!("own-{wanted}"));
        }
        self.made.push((name.clone(), policy));
        name
    }

    /// The name of what stands for a cache policy of which only the id is known.
    pub(super) fn cache_placeholder(&mut self, id: &str) -> String {
        let names = &mut self.names;
        let name = self.cache_placeholders.entry(id.to_owned()).or_insert_with(|| names.take(&format!("todo-{id}")));
        name.clone()
    }

    /// The same for a response headers policy.
    pub(super) fn headers_placeholder(&mut self, id: &str) -> String {
        let names = &mut self.names;
        let name = self.headers_placeholders.entry(id.to_owned()).or_insert_with(|| names.take(&format!("todo-{id}")));
        name.clone()
    }

    pub(super) fn tables(&self, notes: &Notes) -> Vec<Table> {
        let mut tables: Vec<Table> = self.made.iter().map(|(name, policy)| policy.table(name, notes)).collect();
        for (id, name) in &self.cache_placeholders {
            let mut table = Table::new(&["cache_policies", name]);
            table.about(&format!(
                "TODO: the cache policy with the id {}; nothing is stored until you write it here.",
                shown(id)
            ));
            for key in ["min_ttl", "default_ttl", "max_ttl"] {
                table.set(key, "0s");
            }
            tables.push(table);
        }
        for (id, name) in &self.headers_placeholders {
            let mut table = Table::new(&["response_headers_policies", name]);
            table.about(&format!("TODO: the response headers policy with the id {}; it does nothing yet.", shown(id)));
            tables.push(table);
        }
        tables
    }
}

impl Policy {
    /// Whether it stores anything.
    pub(super) fn stores(&self) -> bool {
        self.ttls != [0, 0, 0]
    }

    /// Puts the lives in order, as the edge wants them and CloudFront reads them.
    pub(super) fn with_ttls(mut self, [min, default, max]: [i64; 3], path: &str, notes: &Notes) -> Self {
        let limited = |seconds: i64| seconds.clamp(0, YEAR);
        if [min, default, max].iter().any(|seconds| *seconds != limited(*seconds)) {
            notes.add(
                Note::lost("a life of more than a year", "the edge's longest is 365 days, which is written", NOTHING)
                    .at(path),
            );
        }
        let min = limited(min);
        let max = limited(max).max(min);
        self.ttls = [min, limited(default).clamp(min, max), max];
        self
    }

    fn table(&self, name: &str, notes: &Notes) -> Table {
        let mut table = Table::new(&["cache_policies", name]);
        let time = |seconds: i64| format_duration(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
        for (key, seconds) in ["min_ttl", "default_ttl", "max_ttl"].into_iter().zip(self.ttls) {
            table.set(key, time(seconds));
        }
        if !self.stores() {
            return table;
        }
        if !self.headers.is_empty() {
            table.set("headers", self.headers.clone());
        }
        let mut selection = |key: &str, selection: &Selection| {
            let item = selection.item();
            match refused(Section::CachePolicy, key, &item) {
                None => table.set(key, item),
                Some(why) => {
                    let todo = format!("set `{key}` of the cache policy `{name}` by hand");
                    notes.add(Note::lost(format!("`{key}` of the cache policy `{name}`"), why, todo));
                    table.set(key, if key.starts_with("forward") { "none" } else { "all" });
                }
            }
        };
        selection("cookies", &self.cookies);
        selection("query", &self.query);
        selection("forward_headers", &self.forward.headers);
        selection("forward_cookies", &self.forward.cookies);
        selection("forward_query", &self.forward.query);
        let codings: Vec<&str> =
            [("br", self.brotli), ("gzip", self.gzip)].iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        if !codings.is_empty() {
            table.set("accept_encoding", codings.clone());
            if self.compress {
                table.set("compress", codings);
            }
        }
        let [_, _, max] = self.ttls;
        let life = time(max.min(10));
        table.set("errors", Item::inline(ERRORS.map(|status| (status.to_string(), life.as_str().into()))));
        if self.cookies == Selection::None && self.forward.cookies == Selection::None {
            table.set("set_cookie", "strip");
        }
        if let Some(field) = &self.tags {
            table.set("tag_headers", vec![field.as_str()]);
        }
        table
    }

    /// Takes out of the key what cannot be in it.
    pub(super) fn check_key(&mut self, path: &str, notes: &Notes) {
        let mut kept: Vec<String> = Vec::new();
        for header in std::mem::take(&mut self.headers) {
            if kept.iter().any(|old| old.eq_ignore_ascii_case(&header)) {
                continue;
            }
            let codings = header.eq_ignore_ascii_case("accept-encoding") && (self.gzip || self.brotli);
            match refused(Section::CachePolicy, "headers", &vec![header.as_str()].into()) {
                None if codings => {}
                None => kept.push(header),
                Some(why) => notes.add(
                    Note::lost(format!("the header `{}` in the cache key", shown(&header)), why, NOTHING).at(path),
                ),
            }
        }
        self.headers = kept;
        for (what, selection) in [("cookie", &mut self.cookies), ("parameter", &mut self.query)] {
            let Selection::Only(names) = selection else { continue };
            names.sort_unstable();
            names.dedup();
            names.retain(|name| !name.is_empty());
            // A name with a wildcard: all of them are in the key then, which stores more than is needed and nothing wrong.
            if what == "cookie" && names.iter().any(|name| name.contains('*')) {
                notes.add(
                    Note::lost(
                        "wildcards in the names of cookies",
                        "the edge knows whole names only: all cookies are in the cache key",
                        "list the names in `cookies` of the cache policy, so that more is found in the cache",
                    )
                    .at(path),
                );
                *selection = Selection::All;
            }
        }
    }
}

const NOTHING: &str = "nothing, unless your site depends on it";

/// What an id is called in a name.
pub(super) fn short(text: &str) -> String {
    name(text)
}
