//! The viewers' side of a distribution: certificates, where viewers are, error pages.

use std::collections::BTreeSet;
use std::time::Duration;

use edgeweir_config::units::{format_duration, parse_country};

use super::super::fits::{Section, refused};
use super::super::json::Fields;
use super::super::names::name;
use super::super::notes::{Note, Notes, shown};
use super::super::write::{Item, Table};
use super::Import;

const NOTHING: &str = "nothing, unless your site depends on it";
/// Longest life of an error, in seconds.
const YEAR: i64 = 365 * 86_400;

/// What a distribution wants of a listener.
pub(super) struct Tls {
    pub(super) hosts: Vec<String>,
    /// The stem of its files.
    pub(super) file: String,
    pub(super) min_tls: &'static str,
    pub(super) ipv6: bool,
    pub(super) http2: bool,
}

/// Which geo databases are needed.
#[derive(Default)]
pub(super) struct Geo(BTreeSet<&'static str>);

impl Geo {
    fn need(&mut self, file: &'static str) {
        self.0.insert(file);
    }

    /// The databases that are needed. One of cities knows countries too.
    pub(super) fn table(&self, notes: &Notes) -> Option<Table> {
        let mut files: Vec<&str> = self.0.iter().copied().collect();
        if files.contains(&CITY) {
            files.retain(|file| *file != COUNTRY);
        }
        if files.is_empty() {
            return None;
        }
        for file in &files {
            let what = match *file {
                CITY => "a geo database with cities, as GeoLite2-City",
                ASN => "a geo database with autonomous systems, as GeoLite2-ASN",
                _ => "a geo database with countries, as GeoLite2-Country",
            };
            notes.bring(file, what);
        }
        let mut table = Table::new(&["geo"]);
        table.set("databases", files);
        Some(table)
    }
}

const COUNTRY: &str = "geo/country.mmdb";
const CITY: &str = "geo/city.mmdb";
const ASN: &str = "geo/asn.mmdb";

impl Import<'_> {
    /// Notes which databases these fields need.
    pub(super) fn geo_facts(&mut self, fields: &[String]) {
        for field in fields {
            let lower = field.to_ascii_lowercase();
            let Some(fact) = lower.strip_prefix("cloudfront-viewer-") else { continue };
            match fact {
                "country" | "country-name" => self.geo.need(COUNTRY),
                "asn" => self.geo.need(ASN),
                "country-region"
                | "country-region-name"
                | "city"
                | "postal-code"
                | "metro-code"
                | "time-zone"
                | "latitude"
                | "longitude" => self.geo.need(CITY),
                _ => {}
            }
        }
    }

    /// Who is let in by country.
    pub(super) fn restriction(&mut self, config: &mut Fields<'_>) -> anyhow::Result<Option<Item>> {
        let Some(mut restrictions) = config.object("Restrictions")? else { return Ok(None) };
        let Some(mut geo) = restrictions.object("GeoRestriction")? else { return Ok(None) };
        let kind = geo.need("RestrictionType")?;
        let countries = geo.quantified()?;
        let list = match kind.text()? {
            "none" => return Ok(None),
            "whitelist" => "allow",
            "blacklist" => "deny",
            other => anyhow::bail!(
                "`{}` is `{}`\n  help: CloudFront has `none`, `whitelist` and `blacklist`",
                kind.path(),
                shown(other)
            ),
        };
        let mut known: BTreeSet<String> = BTreeSet::new();
        for node in &countries {
            let code = node.text()?;
            match parse_country(&code.to_ascii_uppercase()) {
                Ok(country) => {
                    known.insert(country);
                }
                Err(error) => {
                    let what = format!("the country `{}` in the geo restriction", shown(code));
                    self.notes.add(
                        Note::of(list == "deny", what, error.to_string(), "write the code that geo databases have")
                            .at(node.path()),
                    );
                }
            }
        }
        if known.is_empty() && list == "deny" {
            return Ok(None);
        }
        if known.is_empty() {
            anyhow::bail!(
                "`{}`: nobody would be let in: the list of allowed countries has none that is known",
                geo.at("Items")
            );
        }
        self.geo.need(COUNTRY);
        let countries = Item::inline([("countries", known.into_iter().collect::<Vec<_>>().into())]);
        // CloudFront lets in viewers whose country nobody knows (Developer Guide, "Restrict the geographic distribution").
        Ok(Some(Item::inline([(list, countries), ("unknown", "allow".into())])))
    }

    pub(super) fn root_object(&self, config: &mut Fields<'_>) -> anyhow::Result<Option<Item>> {
        let at = config.at("DefaultRootObject");
        let Some(text) = config.text("DefaultRootObject")? else { return Ok(None) };
        let value = Item::from(text.trim_start_matches('/'));
        match refused(Section::Distribution, "default_root_object", &value) {
            None => Ok(Some(value)),
            Some(why) => {
                let what = format!("the default root object `{}`", shown(text));
                self.notes.add(Note::lost(what, why, "name a file whose name the edge takes").at(&at));
                Ok(None)
            }
        }
    }

    pub(super) fn error_pages(&self, config: &mut Fields<'_>) -> anyhow::Result<Vec<Item>> {
        let mut pages = Vec::new();
        let mut seen = BTreeSet::new();
        for node in config.items("CustomErrorResponses")? {
            let mut fields = node.fields()?;
            let status = fields.need("ErrorCode")?.whole()?;
            let page = fields.text("ResponsePagePath")?;
            let code = fields.text("ResponseCode")?;
            let code_at = fields.at("ResponseCode");
            let life = fields.whole("ErrorCachingMinTTL")?.unwrap_or(10);
            let mut pairs = vec![("status".to_owned(), Item::from(status))];
            if let Some(page) = page {
                pairs.push(("page".to_owned(), page.into()));
                match code.map(str::parse::<i64>) {
                    None => {}
                    Some(Ok(code)) if code == status => {}
                    Some(Ok(code)) => pairs.push(("response_status".to_owned(), code.into())),
                    Some(Err(_)) => {
                        let what = format!("the response code `{}`", shown(code.unwrap_or_default()));
                        self.notes
                            .add(Note::lost(what, "it is no number", "set `response_status` by hand").at(&code_at));
                    }
                }
            }
            let time = format_duration(Duration::from_secs(u64::try_from(life.clamp(0, YEAR)).unwrap_or_default()));
            let mut with_life = pairs.clone();
            with_life.push(("ttl".to_owned(), time.into()));
            let fits = |pairs: &[(String, Item)]| {
                refused(Section::Distribution, "error_responses", &Item::List(vec![Item::Inline(pairs.to_vec())]))
            };
            if !seen.insert(status) {
                let what = format!("a second error response for {status}");
                self.notes.add(Note::lost(what, "the edge has one for each status", NOTHING).at(node.path()));
                continue;
            }
            let why = match fits(&with_life) {
                None => {
                    pages.push(Item::Inline(with_life));
                    continue;
                }
                Some(why) => why,
            };
            if page.is_some() && fits(&pairs).is_none() {
                let what = format!("how long the error {status} is stored");
                self.notes.add(Note::lost(what, why, NOTHING).at(&fields.at("ErrorCachingMinTTL")));
                pages.push(Item::Inline(pairs));
            } else {
                let what = format!("the error response for {status}");
                self.notes.add(Note::lost(what, why, "write it by hand into `error_responses`").at(node.path()));
            }
        }
        Ok(pages)
    }

    /// What the certificate says, as what a listener would have.
    pub(super) fn certificate(
        &self,
        config: &mut Fields<'_>,
        hosts: &[String],
        distribution: &str,
    ) -> anyhow::Result<Tls> {
        let mut min_tls = "1.2";
        if let Some(mut certificate) = config.object("ViewerCertificate")? {
            let own = certificate.flag("CloudFrontDefaultCertificate")?;
            let at = certificate.path().to_owned();
            certificate.bookkeeping(&["Certificate", "CertificateSource"]);
            let arn = [certificate.text("ACMCertificateArn")?, certificate.text("IAMCertificateId")?];
            if own || arn.iter().any(Option::is_some) {
                let what = if own { "CloudFront's own certificate" } else { "the certificate" };
                self.notes.add(
                    Note::lost(
                        what,
                        "keys of certificates do not leave AWS",
                        "bring a certificate and its key, or let the edge fetch one (`acme = true`, docs/tls.md): remove the `#` \
                         before the listeners at the end",
                    )
                    .at(&at),
                );
            }
            if let Some(version) = certificate.text("MinimumProtocolVersion")? {
                if version.starts_with("TLSv1.3") {
                    min_tls = "1.3";
                } else if !version.starts_with("TLSv1.2") && !own {
                    self.notes.add(
                        Note::lost(
                            format!("viewers with `{}`", shown(version)),
                            "the edge speaks TLS 1.2 and 1.3 with viewers",
                            "nothing: browsers of the last ten years speak them",
                        )
                        .at(&certificate.at("MinimumProtocolVersion")),
                    );
                }
            }
            if let Some(method) = certificate.text("SSLSupportMethod")?.filter(|method| *method != "sni-only") {
                self.notes.add(
                    Note::lost(
                        format!("certificates by address (`{}`)", shown(method)),
                        "the edge chooses a certificate by the name that a viewer asks for",
                        "leave `hosts` of one certificate out: viewers without SNI get that one",
                    )
                    .at(&certificate.at("SSLSupportMethod")),
                );
            }
        }
        let ipv6 = config.get("IsIPV6Enabled").map(|node| node.flag()).transpose()?.unwrap_or(true);
        let version = config.text("HttpVersion")?.unwrap_or("http2");
        if version.contains('3') {
            self.notes.add(
                Note::lost(
                    "HTTP/3",
                    "the edge speaks HTTP/1.1 and HTTP/2 with viewers",
                    "nothing: browsers take HTTP/2 then",
                )
                .at(&config.at("HttpVersion")),
            );
        }
        let file = hosts.first().map_or_else(|| distribution.to_owned(), |host| name(host));
        Ok(Tls { hosts: hosts.to_vec(), file, min_tls, ipv6, http2: version.contains('2') })
    }
}

/// Listeners with TLS, to be switched on when the certificates are there.
pub(super) fn listeners(all: &[Tls]) -> String {
    let ipv6 = all.iter().any(|tls| tls.ipv6);
    let address = |port: u16| if ipv6 { format!("[::]:{port}") } else { format!("0.0.0.0:{port}") };
    let mut plain = Table::element(&["listeners"]);
    plain.set("address", address(80));
    let mut tls = Table::element(&["listeners"]);
    tls.set("address", address(443));
    // The oldest that any of them wants: a listener has one for all.
    let oldest = if all.iter().all(|tls| tls.min_tls == "1.3") { "1.3" } else { "1.2" };
    tls.set("min_tls", oldest);
    if all.iter().all(|tls| !tls.http2) {
        tls.set("http2", false);
    }
    let certificate = |tls: &Tls| {
        let mut pairs = Vec::new();
        if tls.hosts.iter().all(|host| host != "*") && !tls.hosts.is_empty() {
            pairs.push(("hosts", Item::from(tls.hosts.clone())));
        }
        pairs.push(("certificate", format!("certificates/{}.pem", tls.file).into()));
        pairs.push(("key", format!("certificates/{}.key", tls.file).into()));
        Item::inline(pairs)
    };
    tls.set("certificates", all.iter().map(certificate).collect::<Vec<_>>());
    let mut text = String::from(
        "# The edge listens on 127.0.0.1:8080, without TLS. Where viewers connect, once the certificates are there (remove the `#`):\n#\n",
    );
    for line in format!("{plain}\n{tls}").lines() {
        text.push('#');
        text.push_str(line);
        text.push('\n');
    }
    text
}
