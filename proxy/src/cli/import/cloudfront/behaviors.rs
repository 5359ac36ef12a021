//! Cache behaviors: which requests, to where, stored how, with which functions.

use anyhow::bail;

use super::super::fits::{Section, refused};
use super::super::json::Fields;
use super::super::notes::{Note, shown};
use super::super::write::{Item, Table};
use super::Import;
use super::origins::Ids;
use super::policies::{
    DISABLED, Forwarded, OriginRequest, Policy, Selection, managed_cache, managed_headers, managed_request, short,
};
use super::signers::Active;

/// What a behavior's distribution says about it.
pub(super) struct Around<'a> {
    /// The distribution's name here.
    pub(super) name: &'a str,
    pub(super) ids: &'a Ids,
    pub(super) active: &'a Active,
    /// The field with the tags of objects, if it is not the usual one.
    pub(super) tags: Option<String>,
}

/// What becomes of the policies of a behavior.
struct Chosen {
    policy: String,
    viewer_host: bool,
    facts: Vec<String>,
}

const NOTHING: &str = "nothing, unless your site depends on it";
/// Fields that legacy settings do not forward unless they are listed (Developer Guide, "HTTP request headers and CloudFront
/// behavior").
const NOT_FORWARDED: [&str; 6] =
    ["Accept", "Accept-Charset", "Accept-Language", "Authorization", "Referer", "User-Agent"];

impl Import<'_> {
    /// A behavior; the default one has no path pattern. None where its path cannot be written.
    pub(super) fn behavior(
        &mut self,
        fields: &mut Fields<'_>,
        around: &Around<'_>,
        default: bool,
    ) -> anyhow::Result<Option<Table>> {
        let path = if default { Some("*".to_owned()) } else { self.path_pattern(fields)? };
        let mut table = Table::element(&["distributions", around.name, "behaviors"]);
        let target = fields.need("TargetOriginId")?;
        let chosen = self.policies_of(fields, around)?;
        let origin = self.targets.target(target.text()?, around.ids, chosen.viewer_host, target.path())?;
        if let Some(path) = &path {
            table.set("path", path.as_str());
        }
        table.set("origin", origin);
        let policy = fields.need("ViewerProtocolPolicy")?;
        match policy.text()? {
            known @ ("allow-all" | "https-only" | "redirect-to-https") => table.set("viewer_protocol_policy", known),
            other => bail!(
                "`{}` is `{}`\n  help: CloudFront has `allow-all`, `https-only` and `redirect-to-https`",
                policy.path(),
                shown(other)
            ),
        }
        table.set("methods", self.methods(fields)?);
        table.set("cache_policy", chosen.policy);
        if let Some(id) = fields.text("ResponseHeadersPolicyId")? {
            let at = fields.at("ResponseHeadersPolicyId");
            table.set("response_headers_policy", self.response_headers(id, &at));
        }
        if !chosen.facts.is_empty() {
            table.set("viewer_headers", chosen.facts);
        }
        if let Some(groups) = self.signers.read(fields, around.active, self.notes)? {
            table.set("trusted_key_groups", groups);
        }
        if let Some(hooks) = self.functions.read(fields, self.notes)? {
            table.set("hooks", hooks);
        }
        self.without_equal(fields)?;
        Ok(path.map(|_| table))
    }

    fn path_pattern(&self, fields: &mut Fields<'_>) -> anyhow::Result<Option<String>> {
        let node = fields.need("PathPattern")?;
        let text = node.text()?;
        // CloudFront takes `&amp;` for `&` (Developer Guide, "Path pattern").
        let wanted = text.replace("&amp;", "&");
        match refused(Section::Behavior, "path", &wanted.as_str().into()) {
            None => Ok(Some(wanted)),
            Some(why) => {
                self.notes.add(
                    Note::open(
                        format!("the behavior for `{}`: its requests go to the next one that fits", shown(text)),
                        why,
                        "write a behavior with a path that the edge takes, before the others",
                    )
                    .at(node.path()),
                );
                Ok(None)
            }
        }
    }

    fn methods(&self, fields: &mut Fields<'_>) -> anyhow::Result<Vec<String>> {
        let Some(mut allowed) = fields.object("AllowedMethods")? else {
            return Ok(vec!["GET".to_owned(), "HEAD".to_owned()]);
        };
        let at = allowed.at("CachedMethods");
        let cached = allowed.texts("CachedMethods")?;
        if cached.contains(&"OPTIONS") {
            self.notes.add(
                Note::lost(
                    "stored answers to OPTIONS",
                    "the edge stores answers to GET and HEAD only",
                    "nothing, or let the edge answer CORS preflights by itself with `cors`",
                )
                .at(&at),
            );
        }
        let mut methods: Vec<String> = Vec::new();
        for node in allowed.quantified()? {
            let method = node.text()?;
            match refused(Section::Behavior, "methods", &vec![method].into()) {
                None if methods.iter().any(|known| known == method) => {}
                None => methods.push(method.to_owned()),
                Some(why) => bail!("`{}`: {why}", node.path()),
            }
        }
        if methods.is_empty() {
            bail!("`{}` has no method\n  help: CloudFront allows GET and HEAD at least", allowed.path());
        }
        Ok(methods)
    }

    fn response_headers(&mut self, id: &str, at: &str) -> String {
        if let Some(name) = managed_headers(id) {
            return name.to_owned();
        }
        self.notes.add(
            Note::lost(
                format!("the response headers policy {}", shown(id)),
                "the distribution has only its id: an empty policy stands in its place, so none of its fields are sent",
                format!("`aws cloudfront get-response-headers-policy --id {}` has what belongs into it", short(id)),
            )
            .at(at),
        );
        self.policies.headers_placeholder(id)
    }

    fn policies_of(&mut self, fields: &mut Fields<'_>, around: &Around<'_>) -> anyhow::Result<Chosen> {
        let compress = fields.flag("Compress")?;
        let request = self.origin_request(fields)?;
        let legacy = fields.object("ForwardedValues")?;
        let whole =
            |fields: &mut Fields<'_>, key: &str, default: i64| anyhow::Ok(fields.whole(key)?.unwrap_or(default));
        let (lives_at, lives) = (
            fields.at("MinTTL"),
            [whole(fields, "MinTTL", 0)?, whole(fields, "DefaultTTL", 86_400)?, whole(fields, "MaxTTL", 31_536_000)?],
        );
        let id_at = fields.at("CachePolicyId");
        let Some(id) = fields.text("CachePolicyId")? else {
            let mut policy = Policy { compress, tags: around.tags.clone(), gzip: true, ..Policy::default() };
            let mut host = false;
            if let Some(mut values) = legacy {
                let at = values.path().to_owned();
                host = self.forwarded_values(&mut values, &mut policy)?;
                policy.check_key(&at, self.notes);
            }
            let all_headers = policy.forward.headers == Selection::All;
            let policy = policy.with_ttls(lives, &lives_at, self.notes);
            self.geo_facts(&policy.headers);
            let stores = policy.stores() && !all_headers;
            if !stores && !all_headers {
                self.sends_everything(&lives_at);
            }
            let policy = if stores { self.policies.made("legacy", policy) } else { DISABLED.to_owned() };
            return Ok(Chosen { policy, viewer_host: host, facts: Vec::new() });
        };
        if let Some(mut values) = legacy {
            values.known(&["QueryString", "Cookies", "Headers", "QueryStringCacheKeys"]);
            self.notes.add(
                Note::lost("legacy cache settings", "there is a cache policy too, which counts", NOTHING)
                    .at(values.path()),
            );
        }
        let Some((preset, mut policy)) = managed_cache(id) else {
            let note = Note::lost(
                format!("the cache policy {}", shown(id)),
                "the distribution has only its id: a policy that stores nothing stands in its place",
                format!(
                    "`aws cloudfront get-cache-policy --id {}` has what belongs into it (docs/cache.md){}",
                    short(id),
                    if compress { "; `Compress` is `compress`" } else { "" }
                ),
            )
            .at(&id_at);
            self.notes.add(if compress { note.at(&fields.at("Compress")) } else { note });
            let policy = self.policies.cache_placeholder(id);
            let (viewer_host, facts) = request.map_or((false, Vec::new()), |request| (request.host, request.facts));
            return Ok(Chosen { policy, viewer_host, facts: self.known_facts(facts, &id_at) });
        };
        let host =
            policy.headers.iter().any(|name| name == "Host") || request.as_ref().is_some_and(|request| request.host);
        self.geo_facts(&policy.headers);
        let all = |request: &OriginRequest| {
            let Forwarded { headers, cookies, query } = &request.forward;
            [headers, cookies, query].into_iter().all(|one| *one == Selection::All)
        };
        if !policy.stores() && !request.as_ref().is_some_and(all) {
            self.sends_everything(&id_at);
        }
        let squeezes = compress && policy.gzip;
        let plain = request.is_none() && !squeezes && around.tags.is_none();
        let facts = request.as_ref().map(|request| request.facts.clone()).unwrap_or_default();
        let name = if !policy.stores() {
            preset.to_owned()
        } else if plain {
            self.notes.add(
                Note::lost(
                    format!("what `{preset}` keeps from the origin"),
                    "without an origin request policy CloudFront keeps most header fields of viewers back; the edge's policy of \
                     the same name sends them",
                    "nothing if the origin says `Vary` where it answers by them; else write a policy with `forward_headers = \"none\"`",
                )
                .at(&id_at),
            );
            preset.to_owned()
        } else {
            let mut wanted = preset.to_owned();
            if let Some(request) = request {
                wanted = format!("{wanted}-{}", request.name);
                policy.forward = request.forward;
            }
            policy.compress = squeezes;
            policy.tags.clone_from(&around.tags);
            self.policies.made(&if squeezes { format!("{wanted}-compressed") } else { wanted }, policy)
        };
        Ok(Chosen { policy: name, viewer_host: host, facts: self.known_facts(facts, &id_at) })
    }

    /// Where nothing is stored, nothing is kept from the origin.
    fn sends_everything(&self, path: &str) {
        self.notes.add(
            Note::lost(
                "what is kept from the origin where nothing is stored",
                "with `CachingDisabled` the edge sends the origin all of the query, all cookies and the viewer's header fields",
                "nothing, or take them out with a hook at origin-request",
            )
            .at(path),
        );
    }

    /// What an origin request policy sends to the origin.
    fn origin_request(&self, fields: &mut Fields<'_>) -> anyhow::Result<Option<OriginRequest>> {
        let at = fields.at("OriginRequestPolicyId");
        let Some(id) = fields.text("OriginRequestPolicyId")? else { return Ok(None) };
        let found = managed_request(id);
        if found.is_none() {
            self.notes.add(
                Note::lost(
                    format!("the origin request policy {}", shown(id)),
                    "the distribution has only its id: the origin gets what is in the cache key",
                    format!(
                        "`aws cloudfront get-origin-request-policy --id {}` has what belongs into `forward_headers`, \
                         `forward_cookies` and `forward_query` of the cache policy; if it has `Host`, set `host_header = \"viewer\"` \
                         of the origin",
                        short(id)
                    ),
                )
                .at(&at),
            );
        }
        // What is not known forwards nothing: what is not in the key must not change what is stored.
        let unknown = || OriginRequest {
            name: format!("todo-{}", short(id).chars().take(8).collect::<String>()),
            ..Default::default()
        };
        Ok(Some(found.unwrap_or_else(unknown)))
    }

    /// Settings from before policies. Says whether the origin gets the viewer's host.
    fn forwarded_values(&self, values: &mut Fields<'_>, policy: &mut Policy) -> anyhow::Result<bool> {
        let query = values.flag("QueryString")?;
        let keys: Vec<String> = values.texts("QueryStringCacheKeys")?.into_iter().map(str::to_owned).collect();
        (policy.query, policy.forward.query) = match (query, keys.is_empty()) {
            (false, _) => (Selection::None, Selection::None),
            (true, true) => (Selection::All, Selection::None),
            (true, false) => (Selection::Only(keys), Selection::All),
        };
        if let Some(mut cookies) = values.object("Cookies")? {
            let names = cookies.texts("WhitelistedNames")?.into_iter().map(str::to_owned).collect();
            let forward = cookies.need("Forward")?;
            policy.cookies = match forward.text()? {
                "none" => Selection::None,
                "all" => Selection::All,
                "whitelist" => Selection::Only(names),
                other => bail!(
                    "`{}` is `{}`\n  help: CloudFront has `none`, `whitelist` and `all`",
                    forward.path(),
                    shown(other)
                ),
            };
        }
        let headers = values.texts("Headers")?;
        let except = NOT_FORWARDED.iter().filter(|name| !headers.iter().any(|own| own.eq_ignore_ascii_case(name)));
        policy.forward.headers = Selection::Except(except.map(|&name| name.to_owned()).collect());
        if headers.contains(&"*") {
            // All fields in the key: CloudFront stores nothing then.
            policy.forward.headers = Selection::All;
            return Ok(true);
        }
        policy.headers = headers.iter().map(|&name| name.to_owned()).collect();
        Ok(headers.iter().any(|name| name.eq_ignore_ascii_case("host")))
    }

    /// Facts that the edge can tell.
    fn known_facts(&mut self, facts: Vec<String>, path: &str) -> Vec<String> {
        let mut known = Vec::new();
        for fact in facts {
            match refused(Section::Behavior, "viewer_headers", &Item::from(vec![fact.as_str()])) {
                None => known.push(fact),
                Some(why) => self
                    .notes
                    .add(Note::lost(format!("the field `{}` for origins", shown(&fact)), why, NOTHING).at(path)),
            }
        }
        self.geo_facts(&known);
        known
    }

    /// What no behavior here has.
    fn without_equal(&self, fields: &mut Fields<'_>) -> anyhow::Result<()> {
        for (key, what, why, todo) in [
            (
                "FieldLevelEncryptionId",
                "field-level encryption",
                "the edge encrypts no fields of forms",
                "encrypt in the page, or with a hook that reads the request's body",
            ),
            (
                "RealtimeLogConfigArn",
                "real-time logs",
                "the edge's access log is one JSON line for each request, at once",
                "read `log.access` (docs/operations.md)",
            ),
        ] {
            if fields.text(key)?.is_some() {
                self.notes.add(Note::lost(what, why, todo).at(&fields.at(key)));
            }
        }
        if fields.flag("SmoothStreaming")? {
            self.notes.add(
                Note::lost("Microsoft Smooth Streaming", "the edge passes it on as any other answer", NOTHING)
                    .at(&fields.at("SmoothStreaming")),
            );
        }
        if let Some(mut grpc) = fields.object("GrpcConfig")?
            && grpc.flag("Enabled")?
        {
            self.notes.add(
                Note::lost(
                    "gRPC for a behavior",
                    "whether an origin speaks HTTP/2 is said by the origin here",
                    "set `http = \"h2\"` of the behavior's origin, or `\"h2-only\"` without TLS",
                )
                .at(grpc.path()),
            );
        }
        Ok(())
    }
}
