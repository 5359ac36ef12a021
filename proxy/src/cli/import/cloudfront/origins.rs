//! Origins and groups of origins. One of CloudFront can become two here: what an origin gets as `Host` is said by its
//! behaviors there, and by the origin here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::bail;
use edgeweir_config::units::format_duration;

use super::super::fits::{Section, refused};
use super::super::json::Fields;
use super::super::names::{Names, name};
use super::super::notes::{Note, Notes, shown};
use super::super::write::{Item, Table};

/// All origins and groups so far.
#[derive(Default)]
pub(super) struct Targets {
    origins: Vec<Origin>,
    groups: Vec<Group>,
    names: Names,
}

/// What the ids of one distribution mean.
pub(super) struct Ids {
    origins: BTreeMap<String, usize>,
    groups: BTreeMap<String, usize>,
}

#[derive(PartialEq)]
struct Origin {
    id: String,
    keys: Vec<(String, Item)>,
    remarks: Vec<String>,
    /// Signed by its own name, so it never gets the viewer's.
    bucket: bool,
    /// Whether it gets the viewer's host, and its name then.
    forms: Vec<(bool, String)>,
}

struct Group {
    id: String,
    members: Vec<usize>,
    statuses: Vec<i64>,
    forms: Vec<(bool, String)>,
}

impl Targets {
    /// Reads the origins and groups of a distribution.
    pub(super) fn read(&mut self, config: &mut Fields<'_>, notes: &Notes) -> anyhow::Result<Ids> {
        let mut ids = Ids { origins: BTreeMap::new(), groups: BTreeMap::new() };
        for node in config.need("Origins")?.items()? {
            let mut origin = read(&mut node.fields()?, notes)?;
            let same = |old: &Origin| (&old.id, &old.keys) == (&origin.id, &origin.keys);
            let at = match self.origins.iter().position(same) {
                Some(at) => at,
                None => {
                    origin.remarks.dedup();
                    self.origins.push(origin);
                    self.origins.len() - 1
                }
            };
            let id = self.origins.get(at).map(|origin| origin.id.clone()).unwrap_or_default();
            if ids.origins.insert(id.clone(), at).is_some() {
                bail!("`{}`: there are two origins with the id `{}`", node.path(), shown(&id));
            }
        }
        for node in config.items("OriginGroups")? {
            let mut fields = node.fields()?;
            let group = self.group(&mut fields, &ids, notes)?;
            let id = group.id.clone();
            self.groups.push(group);
            ids.groups.insert(id, self.groups.len() - 1);
        }
        Ok(ids)
    }

    fn group(&self, fields: &mut Fields<'_>, ids: &Ids, notes: &Notes) -> anyhow::Result<Group> {
        let id = fields.need("Id")?.text()?.to_owned();
        let mut members = Vec::new();
        for node in fields.need("Members")?.items()? {
            let mut member = node.fields()?;
            let member = member.need("OriginId")?;
            let origin = member.text()?;
            let Some(at) = ids.origins.get(origin) else { bail!(unknown(member.path(), origin, ids)) };
            members.push(*at);
        }
        if members.iter().collect::<BTreeSet<_>>().len() < 2 {
            bail!("`{}`: a group has two origins, and here are {}", fields.at("Members"), members.len());
        }
        let at = fields.at("FailoverCriteria");
        let mut criteria = fields.need("FailoverCriteria")?.fields()?;
        let mut statuses = Vec::new();
        for node in criteria.need("StatusCodes")?.items()? {
            let status = node.whole()?;
            match refused(Section::Group, "statuses", &vec![status].into()) {
                None if statuses.contains(&status) => {}
                None => statuses.push(status),
                Some(why) => {
                    notes.add(Note::lost(format!("failover for the status {status}"), why, NOTHING).at(node.path()));
                }
            }
        }
        if statuses.is_empty() {
            notes.add(
                Note::lost(
                    "a group without statuses",
                    "the edge goes on for 500, 502, 503 and 504 where nothing is said",
                    "set `statuses` of the group",
                )
                .at(&at),
            );
        }
        if let Some(kind) = fields.text("SelectionCriteria")?.filter(|kind| *kind != "default") {
            notes.add(
                Note::lost(
                    format!("the selection of origins by `{}`", shown(kind)),
                    "the edge asks the members of a group in order",
                    "check that the first member is the one you want",
                )
                .at(&fields.at("SelectionCriteria")),
            );
        }
        Ok(Group { id, members, statuses, forms: Vec::new() })
    }

    /// The name of a target, in the form that gets the viewer's host or its own.
    ///
    /// # Errors
    /// If the distribution has no origin and no group with this id.
    pub(super) fn target(&mut self, id: &str, ids: &Ids, viewer_host: bool, path: &str) -> anyhow::Result<String> {
        if let Some(at) = ids.origins.get(id) {
            return Ok(self.origin(*at, viewer_host));
        }
        let Some(at) = ids.groups.get(id) else { bail!(unknown(path, id, ids)) };
        let Some(members) = self.groups.get(*at).map(|group| group.members.clone()) else {
            bail!(unknown(path, id, ids))
        };
        for member in members {
            self.origin(member, viewer_host);
        }
        let (names, groups) = (&mut self.names, &mut self.groups);
        let Some(group) = groups.get_mut(*at) else { bail!(unknown(path, id, ids)) };
        Ok(form(&mut group.forms, &group.id, viewer_host, names))
    }

    fn origin(&mut self, at: usize, viewer_host: bool) -> String {
        let Some(origin) = self.origins.get_mut(at) else { return String::new() };
        form(&mut origin.forms, &origin.id, viewer_host && !origin.bucket, &mut self.names)
    }

    /// Tables of all origins and groups.
    pub(super) fn tables(&mut self) -> Vec<Table> {
        // What no behavior has may still be chosen by a function.
        for at in 0..self.origins.len() {
            if self.origins.get(at).is_some_and(|origin| origin.forms.is_empty()) {
                self.origin(at, false);
            }
        }
        let mut tables = Vec::new();
        for origin in &self.origins {
            for (viewer_host, name) in &origin.forms {
                let mut table = Table::new(&["origins", name]);
                table.about(&format!("CloudFront: origin `{}`", shown(&origin.id)));
                for remark in &origin.remarks {
                    table.about(remark);
                }
                for (key, value) in &origin.keys {
                    table.set(key, value.clone());
                }
                if *viewer_host {
                    table.set("host_header", "viewer");
                }
                tables.push(table);
            }
        }
        for group in &self.groups {
            for (viewer_host, name) in &group.forms {
                let mut table = Table::new(&["origin_groups", name]);
                table.about(&format!("CloudFront: origin group `{}`", shown(&group.id)));
                let member = |at: &usize| {
                    let origin = self.origins.get(*at)?;
                    let wanted = *viewer_host && !origin.bucket;
                    origin.forms.iter().find(|(viewer, _)| *viewer == wanted).map(|(_, name)| name.clone())
                };
                table.set("members", group.members.iter().filter_map(member).collect::<Vec<_>>());
                if !group.statuses.is_empty() {
                    table.set("statuses", group.statuses.clone());
                }
                tables.push(table);
            }
        }
        tables
    }
}

const NOTHING: &str = "nothing, unless your site depends on it";

fn unknown(path: &str, id: &str, ids: &Ids) -> String {
    let known: Vec<String> = ids.origins.keys().chain(ids.groups.keys()).map(|id| format!("`{}`", shown(id))).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    format!("`{path}`: no origin and no group has the id `{}`\n  help: there are {known}", shown(id))
}

/// The name in this form; the first form has the plain name.
fn form(forms: &mut Vec<(bool, String)>, id: &str, viewer_host: bool, names: &mut Names) -> String {
    if let Some((_, name)) = forms.iter().find(|(viewer, _)| *viewer == viewer_host) {
        return name.clone();
    }
    let name = match (forms.is_empty(), viewer_host) {
        (true, _) => names.take(id),
        (false, true) => names.take(&format!("viewer-host-{id}")),
        (false, false) => names.take(&format!("own-host-{id}")),
    };
    forms.push((viewer_host, name.clone()));
    name
}

/// An origin while it is read.
struct Reader<'n> {
    keys: Vec<(String, Item)>,
    remarks: Vec<String>,
    notes: &'n Notes,
}

impl Reader<'_> {
    /// Sets what the configuration takes, and notes what it does not.
    fn set(&mut self, key: &str, value: Item, path: &str) {
        match refused(Section::Origin, key, &value) {
            None => self.keys.push((key.to_owned(), value)),
            Some(why) => self
                .notes
                .add(Note::lost(format!("`{key}` of an origin"), why, format!("set `{key}` by hand")).at(path)),
        }
    }

    fn seconds(&mut self, key: &str, fields: &mut Fields<'_>, field: &str) -> anyhow::Result<()> {
        if let Some(seconds) = fields.whole(field)? {
            let time = format_duration(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
            self.set(key, time.into(), &fields.at(field));
        }
        Ok(())
    }
}

fn read(fields: &mut Fields<'_>, notes: &Notes) -> anyhow::Result<Origin> {
    let id = fields.need("Id")?.text()?.to_owned();
    let domain = fields.need("DomainName")?.text()?;
    let at = fields.at("DomainName");
    let prefix = fields.text("OriginPath")?.map(encoded).unwrap_or_default();
    let mut reader = Reader { keys: Vec::new(), remarks: Vec::new(), notes };
    let mut bucket = false;
    let access_control = fields.text("OriginAccessControlId")?;
    if let Some(mut custom) = fields.object("CustomOriginConfig")? {
        let (scheme, port) = protocol(&mut custom, notes)?;
        url(&mut reader, scheme, domain, port, &prefix, &at);
        custom_config(&mut reader, &mut custom, scheme == "https", &id)?;
        if access_control.is_some() {
            notes.add(
                Note::lost(
                    "an origin access control of a custom origin",
                    "the edge signs requests for S3-compatible buckets only",
                    "let the origin tell the edge by other means, such as a secret in `headers` or `tls.certificate`",
                )
                .at(&fields.at("OriginAccessControlId")),
            );
        }
    } else if let Some(mut vpc) = fields.object("VpcOriginConfig")? {
        url(&mut reader, "https", domain, None, &prefix, &at);
        vpc_config(&mut reader, &mut vpc)?;
    } else {
        let mut s3 = fields.object("S3OriginConfig")?;
        let identity = match &mut s3 {
            Some(s3) => s3.text("OriginAccessIdentity")?,
            None => None,
        };
        url(&mut reader, "https", domain, None, &prefix, &at);
        if let Some(s3) = &mut s3 {
            reader.seconds("read_timeout", s3, "OriginReadTimeout")?;
        }
        if identity.is_some() || access_control.is_some() {
            bucket = true;
            sign(&mut reader, domain, &id, &at);
        }
    }
    common(&mut reader, fields)?;
    Ok(Origin { id, keys: reader.keys, remarks: reader.remarks, bucket, forms: Vec::new() })
}

/// Path characters of RFC 3986; others are percent-encoded. It always begins with `/`, so that it never becomes part of a host.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte);
    let coded =
        path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    format!("/{}", coded.collect::<String>().trim_start_matches('/'))
}

fn url(reader: &mut Reader<'_>, scheme: &str, domain: &str, port: Option<i64>, prefix: &str, at: &str) {
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let wanted = format!("{scheme}://{domain}{port}{prefix}");
    let value = match refused(Section::Origin, "url", &wanted.as_str().into()) {
        None => wanted,
        Some(why) => {
            let what = format!("where an origin is: `{}`", shown(&wanted));
            reader.notes.add(Note::lost(what, why, "set `url` of the origin; `origin.invalid` stands there").at(at));
            format!("{scheme}://origin.invalid")
        }
    };
    reader.keys.insert(0, ("url".to_owned(), value.into()));
}

/// The scheme, and the port if it is not the scheme's.
fn protocol(custom: &mut Fields<'_>, notes: &Notes) -> anyhow::Result<(&'static str, Option<i64>)> {
    let (plain, tls) = (custom.whole("HTTPPort")?.unwrap_or(80), custom.whole("HTTPSPort")?.unwrap_or(443));
    let policy = custom.need("OriginProtocolPolicy")?;
    Ok(match policy.text()? {
        "http-only" => ("http", Some(plain).filter(|port| *port != 80)),
        other => {
            if other != "https-only" {
                notes.add(
                    Note::lost(
                        format!("the origin protocol policy `{}`", shown(other)),
                        "the edge speaks one protocol with an origin: HTTPS is written",
                        format!("if the origin speaks plain HTTP only, write `http://` (port {plain}) in its `url`"),
                    )
                    .at(policy.path()),
                );
            }
            ("https", Some(tls).filter(|port| *port != 443))
        }
    })
}

fn custom_config(reader: &mut Reader<'_>, custom: &mut Fields<'_>, tls: bool, id: &str) -> anyhow::Result<()> {
    reader.seconds("read_timeout", custom, "OriginReadTimeout")?;
    reader.seconds("keepalive", custom, "OriginKeepaliveTimeout")?;
    let protocols = custom.at("OriginSslProtocols");
    let old: Vec<&str> = custom.texts("OriginSslProtocols")?.into_iter().filter(|text| *text != "TLSv1.2").collect();
    if tls && !old.is_empty() {
        reader.notes.add(
            Note::lost(
                format!("{} towards an origin", shown(&old.join(", "))),
                "the edge speaks TLS 1.2 and 1.3",
                "make sure that the origin speaks TLS 1.2 or newer",
            )
            .at(&protocols),
        );
    }
    if let Some(kind) = custom.text("IpAddressType")?.filter(|kind| *kind != "dualstack" && *kind != "ipv4") {
        reader.notes.add(
            Note::lost(
                format!("the address type `{}` of an origin", shown(kind)),
                "the edge uses all addresses that a name has",
                "list those that it may use in `addresses` of the origin",
            )
            .at(&custom.at("IpAddressType")),
        );
    }
    if let Some(mut mtls) = custom.object("OriginMtlsConfig")? {
        let at = mtls.at("ClientCertificateArn");
        let arn = mtls.text("ClientCertificateArn")?.unwrap_or_default().to_owned();
        if tls {
            let file = |kind: &str| format!("origins/{}.{kind}", name(id));
            let (certificate, key) = (file("pem"), file("key"));
            reader.notes.bring(
                &certificate,
                format!("the edge's certificate for the origin `{}`, with its chain: `{}`", shown(id), shown(&arn)),
            );
            reader.notes.bring(&key, "its private key");
            let pair = Item::inline([("certificate", certificate.into()), ("key", key.into())]);
            reader.set("tls", pair, &at);
        }
    }
    Ok(())
}

fn vpc_config(reader: &mut Reader<'_>, vpc: &mut Fields<'_>) -> anyhow::Result<()> {
    reader.notes.add(
        Note::lost(
            "the way to a VPC origin",
            "protocol and port are in the VPC origin and not in the distribution, and the edge goes by the network that it is in",
            "run the edge where it reaches the origin, and check `url`",
        )
        .at(&vpc.at("VpcOriginId")),
    );
    vpc.known(&["VpcOriginId"]);
    vpc.bookkeeping(&["OwnerAccountId"]);
    reader.seconds("read_timeout", vpc, "OriginReadTimeout")?;
    reader.seconds("keepalive", vpc, "OriginKeepaliveTimeout")
}

/// A bucket that only CloudFront may read: the edge signs with keys that the user makes.
fn sign(reader: &mut Reader<'_>, domain: &str, id: &str, at: &str) {
    let region = region(domain);
    if region.is_none() {
        reader.notes.add(
            Note::lost(
                format!("the region of the bucket `{}`", shown(domain)),
                "its name does not say it: `us-east-1` is written",
                "check `sigv4.region` of the origin",
            )
            .at(at),
        );
    }
    let file = |kind: &str| format!("secrets/{}.{kind}", name(id));
    let (access, secret) = (file("access-key"), file("secret-key"));
    reader.notes.bring(&access, format!("id of an access key that may read the bucket `{}`", shown(domain)));
    reader.notes.bring(&secret, "the secret of that access key");
    let pairs = [
        ("region", Item::from(region.unwrap_or("us-east-1"))),
        ("access_key", Item::inline([("file", access.into())])),
        ("secret_key", Item::inline([("file", secret.into())])),
    ];
    reader.set("sigv4", Item::inline(pairs), at);
    reader.remarks.push("Origin access control or identity: the edge signs with an access key of your own.".to_owned());
}

/// `bucket.s3.REGION.amazonaws.com`, `bucket.s3-REGION.amazonaws.com`; a bucket without one is in the first region.
fn region(domain: &str) -> Option<&str> {
    let rest = domain.strip_suffix(".amazonaws.com").or_else(|| domain.strip_suffix(".amazonaws.com.cn"))?;
    if rest.ends_with(".s3") {
        return Some("us-east-1");
    }
    let (front, last) = rest.rsplit_once('.')?;
    if let Some(region) = last.strip_prefix("s3-") {
        return Some(region);
    }
    front.ends_with(".s3").then_some(last).or_else(|| front.ends_with(".dualstack").then_some(last))
}

/// What all kinds of origins have.
fn common(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> anyhow::Result<()> {
    let notes = reader.notes;
    reader.seconds("connect_timeout", fields, "ConnectionTimeout")?;
    let headers = fields.items("CustomHeaders")?;
    let mut pairs: Vec<(String, Item)> = Vec::new();
    for node in &headers {
        let mut header = node.fields()?;
        let name = header.need("HeaderName")?.text()?;
        let value = header.need("HeaderValue")?.text()?;
        let pair = (name.to_ascii_lowercase(), Item::from(value));
        let why = match pairs.iter().any(|(known, _)| *known == pair.0) {
            true => Some("the name is there already".to_owned()),
            false => refused(Section::Origin, "headers", &Item::Inline(vec![pair.clone()])),
        };
        match why {
            None => pairs.push(pair),
            Some(why) => notes.add(
                Note::lost(
                    format!("the origin header `{}`", shown(name)),
                    why,
                    "send it under another name, or not at all",
                )
                .at(node.path()),
            ),
        }
    }
    if !pairs.is_empty() {
        let at = fields.at("CustomHeaders");
        reader.set("headers", Item::Inline(pairs), &at);
    }
    if let Some(attempts) = fields.whole("ConnectionAttempts")? {
        notes.add(
            Note::lost(
                format!("{attempts} attempts to connect to an origin"),
                "the edge tries up to three addresses of an origin, each once",
                "nothing, or list more addresses in `addresses` of the origin",
            )
            .at(&fields.at("ConnectionAttempts")),
        );
    }
    if fields.whole("ResponseCompletionTimeout")?.is_some_and(|seconds| seconds > 0) {
        notes.add(
            Note::lost(
                "a limit for the whole answer of an origin",
                "the edge limits each pause (`read_timeout`), not the whole",
                "nothing, or end long answers at the origin",
            )
            .at(&fields.at("ResponseCompletionTimeout")),
        );
    }
    if let Some(mut shield) = fields.object("OriginShield")? {
        let at = fields.at("OriginShield");
        shield.known(&["OriginShieldRegion"]);
        if shield.flag("Enabled")? {
            notes.add(
                Note::lost(
                    "Origin Shield",
                    "an edge has one cache, in which requests for one object wait for one fetch",
                    "nothing, or put one edge as the origin of the others",
                )
                .at(&at),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_of_buckets() {
        for (domain, expected) in [
            ("site.s3.eu-central-1.amazonaws.com", Some("eu-central-1")),
            ("my.site.s3-eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("site.s3.dualstack.us-east-2.amazonaws.com", Some("us-east-2")),
            ("site.s3.amazonaws.com", Some("us-east-1")),
            ("site.s3.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("minio.example.com", None),
        ] {
            assert_eq!(region(domain), expected, "{domain}");
        }
    }

    #[test]
    fn paths_are_encoded() {
        assert_eq!(encoded("/a b/ü"), "/a%20b/%C3%BC");
        assert_eq!(encoded("evil.test"), "/evil.test");
    }
}
