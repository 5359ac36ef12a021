//! `edgeweir import cloudfront`: distributions as `aws cloudfront get-distribution-config` and `get-distribution` print them.

use std::collections::BTreeSet;

use anyhow::bail;
use serde_json::Value;

use super::fits::{Section, refused};
use super::json::{Fields, Node};
use super::names::Names;
use super::notes::{Note, Notes, shown};
use super::write::{Item, Table};

mod behaviors;
mod functions;
mod origins;
mod policies;
mod signers;
mod viewers;

use behaviors::Around;
use functions::Functions;
use origins::Targets;
use policies::Policies;
use signers::{Active, Signers};
use viewers::{Geo, Tls};

/// What is made of all distributions together.
pub(super) struct Import<'n> {
    notes: &'n Notes,
    targets: Targets,
    policies: Policies,
    functions: Functions,
    signers: Signers,
    geo: Geo,
    names: Names,
    hosts: BTreeSet<String>,
    tls: Vec<Tls>,
}

/// The configuration for these distributions, each with how its paths begin.
///
/// # Errors
/// What is wrong with a document, and where.
pub(super) fn convert(documents: &[(String, Value)], notes: &Notes) -> anyhow::Result<String> {
    let mut import = Import {
        notes,
        targets: Targets::default(),
        policies: Policies::default(),
        functions: Functions::default(),
        signers: Signers::default(),
        geo: Geo::default(),
        names: Names::default(),
        hosts: BTreeSet::new(),
        tls: Vec::new(),
    };
    let mut distributions: Vec<Table> = Vec::new();
    for (root, value) in documents {
        distributions.extend(import.document(&Node::root(value, root, notes), documents.len() == 1)?);
    }
    let mut tables: Vec<Table> = import.geo.table(notes).into_iter().collect();
    tables.extend(import.targets.tables());
    tables.extend(import.functions.tables());
    tables.extend(import.signers.tables());
    tables.extend(import.policies.tables(notes));
    tables.extend(distributions);
    let mut text: Vec<String> = tables.iter().map(Table::to_string).collect();
    text.push(viewers::listeners(&import.tls));
    Ok(text.join("\n"))
}

/// What a document says beside the configuration.
#[derive(Default)]
struct Beside<'v> {
    id: Option<&'v str>,
    domain: Option<&'v str>,
    active: Active,
}

impl Import<'_> {
    fn document(&mut self, root: &Node<'_>, alone: bool) -> anyhow::Result<Vec<Table>> {
        let mut fields = root.fields()?;
        fields.bookkeeping(&["ETag"]);
        if fields.has("DefaultCacheBehavior") || fields.has("Origins") {
            return self.distribution(fields, &Beside::default(), alone);
        }
        if let Some(mut distribution) = fields.object("Distribution")? {
            return self.whole(&mut distribution, alone);
        }
        if fields.has("DistributionConfig") && (fields.has("DomainName") || fields.has("Id")) {
            return self.whole(&mut fields, alone);
        }
        if let Some(config) = fields.object("DistributionConfig")? {
            return self.distribution(config, &Beside::default(), alone);
        }
        let help = match fields.has("DistributionList") {
            true => {
                "a list has only a part of each distribution: import what `aws cloudfront get-distribution-config --id ID` prints"
            }
            false => "import what `aws cloudfront get-distribution-config --id ID` prints, unchanged",
        };
        // What is in it would be noted as unknown.
        bail!("`{}` is no distribution: it has no `DistributionConfig`\n  help: {help}", shown(root.path()));
    }

    /// What `get-distribution` prints.
    fn whole(&mut self, fields: &mut Fields<'_>, alone: bool) -> anyhow::Result<Vec<Table>> {
        fields.bookkeeping(&["ARN", "Status", "LastModifiedTime", "InProgressInvalidationBatches"]);
        let mut beside =
            Beside { id: fields.text("Id")?, domain: fields.text("DomainName")?, active: Active::default() };
        beside.active.read(fields)?;
        if !fields.items("AliasICPRecordals")?.is_empty() {
            let at = fields.at("AliasICPRecordals");
            self.notes.add(Note::lost("ICP recordals of aliases", "they are AWS's", "nothing").at(&at));
        }
        let config = fields.need("DistributionConfig")?.fields()?;
        self.distribution(config, &beside, alone)
    }

    fn distribution(&mut self, mut config: Fields<'_>, beside: &Beside<'_>, alone: bool) -> anyhow::Result<Vec<Table>> {
        let hosts = self.hosts(&mut config, beside, alone)?;
        let first = hosts.iter().find(|host| *host != "*").map(String::as_str);
        let name = self.names.take(first.or(beside.id).unwrap_or("distribution"));
        let mut table = Table::new(&["distributions", &name]);
        let comment = config.text("Comment")?.unwrap_or_default();
        let id = beside.id.map(|id| format!(" {}", shown(id))).unwrap_or_default();
        let about = if comment.is_empty() { String::new() } else { format!(": {}", shown(comment)) };
        table.about(&format!("CloudFront: distribution{id}{about}"));
        table.set("hosts", hosts.clone());
        if let Some(root) = self.root_object(&mut config)? {
            table.set("default_root_object", root);
        }
        if let Some(restriction) = self.restriction(&mut config)? {
            table.set("geo_restriction", restriction);
        }
        let pages = self.error_pages(&mut config)?;
        if !pages.is_empty() {
            table.set("error_responses", Item::List(pages));
        }
        let tls = self.certificate(&mut config, &hosts, &name)?;
        self.tls.push(tls);
        let tags = self.tags(&mut config)?;
        let ids = self.targets.read(&mut config, self.notes)?;
        let around = Around { name: &name, ids: &ids, active: &beside.active, tags };
        let mut tables = vec![table];
        for node in config.items("CacheBehaviors")? {
            tables.extend(self.behavior(&mut node.fields()?, &around, false)?);
        }
        let mut default = config.need("DefaultCacheBehavior")?.fields()?;
        tables.extend(self.behavior(&mut default, &around, true)?);
        config.bookkeeping(&["CallerReference"]);
        self.settings(&mut config)?;
        Ok(tables)
    }

    fn hosts(&mut self, config: &mut Fields<'_>, beside: &Beside<'_>, alone: bool) -> anyhow::Result<Vec<String>> {
        let at = config.at("Aliases");
        let mut hosts: Vec<String> = Vec::new();
        for node in config.items("Aliases")? {
            let alias = node.text()?;
            let lower = alias.to_ascii_lowercase();
            let why = match self.hosts.contains(&lower) {
                true => Some("another distribution of this import has it".to_owned()),
                false => refused(Section::Distribution, "hosts", &vec![lower.as_str()].into()),
            };
            match why {
                None if hosts.contains(&lower) => {}
                None => hosts.push(lower),
                Some(why) => self.notes.add(
                    Note::lost(format!("the alias `{}`", shown(alias)), why, "add the host by hand where it belongs")
                        .at(node.path()),
                ),
            }
        }
        if hosts.is_empty() {
            let domain = beside.domain.map(str::to_ascii_lowercase);
            let fits = |host: &String| refused(Section::Distribution, "hosts", &vec![host.as_str()].into()).is_none();
            let host = match domain.filter(fits).filter(|host| !self.hosts.contains(host)) {
                _ if alone => "*".to_owned(),
                Some(domain) => domain,
                None => format!("distribution-{}.invalid", self.tls.len() + 1),
            };
            self.notes.add(
                Note::lost(
                    "the host names of a distribution",
                    format!("it has no aliases; `{host}` is written"),
                    "set `hosts` of the distribution",
                )
                .at(&at),
            );
            hosts.push(host);
        }
        self.hosts.extend(hosts.iter().cloned());
        Ok(hosts)
    }

    /// The field with the tags of objects, where it is not one of those that the edge reads anyway.
    fn tags(&self, config: &mut Fields<'_>) -> anyhow::Result<Option<String>> {
        let Some(mut tags) = config.object("CacheTagConfig")? else { return Ok(None) };
        let node = tags.need("HeaderName")?;
        let header = node.text()?;
        if header.eq_ignore_ascii_case("cache-tag") {
            return Ok(None);
        }
        match refused(Section::CachePolicy, "tag_headers", &vec![header].into()) {
            None => Ok(Some(header.to_owned())),
            Some(why) => {
                let what = format!("the field `{}` with the tags of objects", shown(header));
                self.notes.add(Note::lost(what, why, "set `tag_headers` of the cache policies").at(node.path()));
                Ok(None)
            }
        }
    }

    /// Settings of a distribution that have no equal.
    fn settings(&self, config: &mut Fields<'_>) -> anyhow::Result<()> {
        let notes = self.notes;
        let at = |key: &str, config: &Fields<'_>| config.at(key);
        if let Some(mut logging) = config.object("Logging")? {
            let path = logging.path().to_owned();
            logging.known(&["IncludeCookies", "Bucket", "Prefix"]);
            if logging.flag("Enabled")? {
                notes.add(
                    Note::lost(
                        "access logs to a bucket",
                        "the edge writes its access log to standard output or a file, one JSON line for each request, without cookies",
                        "set `log.access`, and ship the file with what you have for logs",
                    )
                    .at(&path),
                );
            }
        }
        if let Some(class) = config.text("PriceClass")? {
            let what = format!("the price class `{}`", shown(class));
            notes.add(Note::lost(what, "edges are where you run them", "nothing").at(&at("PriceClass", config)));
        }
        if config.get("Enabled").map(|node| node.flag()).transpose()? == Some(false) {
            notes.add(
                Note::open(
                    "a distribution that is switched off",
                    "the edge serves what is in its configuration",
                    "remove the distribution if it shall not be served",
                )
                .at(&at("Enabled", config)),
            );
        }
        if config.text("WebACLId")?.is_some() {
            notes.add(
                Note::open(
                    "the web ACL of AWS WAF",
                    "the edge has no rules of WAF: its gate refuses malformed requests, and limits and hooks can do more",
                    "write rates as `per_address`, addresses as `geo_restriction` with `cidrs`, other rules as a hook",
                )
                .at(&at("WebACLId", config)),
            );
        }
        if let Some(mut mtls) = config.object("ViewerMtlsConfig")? {
            let path = mtls.path().to_owned();
            mtls.known(&["TrustStoreConfig"]);
            let mode = mtls.text("Mode")?.unwrap_or("required");
            let what = format!("certificates of viewers (`{}`)", shown(mode));
            let why = "the edge asks viewers for no certificates".to_owned();
            notes.add(
                Note::of(
                    mode == "required",
                    what,
                    why,
                    "ask for them in a proxy in front, or use keys or an authorizer",
                )
                .at(&path),
            );
        }
        if let Some(mut function) = config.object("ConnectionFunctionAssociation")? {
            function.known(&["Id"]);
            notes.add(
                Note::open(
                    "a connection function",
                    "the edge runs no hooks while a connection is made",
                    "decide in a hook at viewer-request",
                )
                .at(function.path()),
            );
        }
        if let Some(mut tenants) = config.object("TenantConfig")? {
            tenants.known(&["ParameterDefinitions"]);
            let path = tenants.path().to_owned();
            notes.add(
                Note::lost("parameters of tenants", "the edge has no tenants", "write a distribution for each")
                    .at(&path),
            );
        }
        if let Some(mode) = config.text("ConnectionMode")?.filter(|mode| *mode != "direct") {
            let what = format!("the connection mode `{}`", shown(mode));
            notes.add(
                Note::lost(what, "the edge has no tenants", "write a distribution for each tenant")
                    .at(&at("ConnectionMode", config)),
            );
        }
        if config.flag("Staging")? {
            notes.add(
                Note::lost(
                    "a staging distribution",
                    "continuous deployment is not the edge's: `match` sends requests with a header or cookie to other behaviors",
                    "import the primary one, and write behaviors with `match` for what you want to try",
                )
                .at(&at("Staging", config)),
            );
        }
        for (key, what, why, todo) in [
            (
                "ContinuousDeploymentPolicyId",
                "continuous deployment",
                "the edge has no staging distributions",
                "a behavior with `match`, or the hook ab-test, sends a part of the viewers elsewhere",
            ),
            ("AnycastIpListId", "static addresses", "an edge has the addresses of its machine", "nothing"),
        ] {
            if config.text(key)?.is_some() {
                notes.add(Note::lost(what, why, todo).at(&at(key, config)));
            }
        }
        Ok(())
    }
}
