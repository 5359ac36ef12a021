//! `edgeweir sign`: makes signed URLs and signed cookies, for this edge or for CloudFront.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use edgeweir_config::units::parse_duration;
use edgeweir_limits::period;
use serde_json::{Value, json};

use super::output;
use crate::files;
use crate::signed::{self, Hash, PARAMETERS, Policy, PrivateKey};

/// Largest key and policy, in bytes.
const MAX_FILE: u64 = 64 << 10;
/// How long a signature holds if nothing is said, in seconds.
const DEFAULT: u64 = 3_600;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The URL to sign, as viewers ask for it: "https://example.com/a.jpg?size=large"
    url: String,
    /// The private key, as PEM: RSA, or ECDSA on P-256
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The id of its public key
    #[arg(long, value_name = "ID")]
    key_id: String,
    /// How long it holds: a time from now, as `1h`; a date, as `2027-01-31`; or seconds since 1970 [default: 1h]
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    expires: Option<u64>,
    /// It does not hold before; makes a custom policy
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    not_before: Option<u64>,
    /// Only viewers with this IPv4 address or of this network; makes a custom policy
    #[arg(long, value_name = "CIDR")]
    ip: Option<String>,
    /// What is allowed, with `*` and `?` [default: the URL]; makes a custom policy
    #[arg(long, value_name = "PATTERN")]
    resource: Option<String>,
    /// A file with a policy, signed byte for byte
    #[arg(long, value_name = "FILE", conflicts_with_all = ["expires", "not_before", "ip", "resource"])]
    policy: Option<PathBuf>,
    /// What is signed; CloudFront takes `sha1` where nothing is said
    #[arg(long, value_enum, default_value_t = HashArg::Sha256)]
    hash: HashArg,
    /// Print cookies instead of the URL
    #[arg(long)]
    cookies: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum HashArg {
    Sha1,
    Sha256,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let key = String::from_utf8(read(&args.key)?).context("the key is not text")?;
    let key = PrivateKey::parse(&key).with_context(|| format!("the key in `{}`", args.key.display()))?;
    let pairs = sign(args, &key)?;
    let text = if args.cookies {
        let cookies = pairs.iter().map(|(name, value)| (format!("{}{name}", signed::COOKIE_PREFIX), value.clone()));
        match args.json {
            true => format!("{}\n", Value::Object(cookies.map(|(name, value)| (name, Value::from(value))).collect())),
            false => cookies.map(|(name, value)| format!("{name}={value}\n")).collect(),
        }
    } else {
        let joined: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let separator = if args.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}{}", args.url, joined.join("&"));
        if args.json { format!("{}\n", json!({ "url": url })) } else { format!("{url}\n") }
    };
    output::out(&text);
    Ok(ExitCode::SUCCESS)
}

/// Parameters or cookies, in CloudFront's order.
fn sign(args: &Args, key: &PrivateKey) -> anyhow::Result<Vec<(&'static str, String)>> {
    check_url(&args.url)?;
    let custom = args.not_before.is_some() || args.ip.is_some() || args.resource.is_some();
    let until = args.expires.unwrap_or_else(|| now() + DEFAULT);
    let [expires, policy, signature, key_pair_id, hash_algorithm] = PARAMETERS;
    let (mut pairs, text) = match &args.policy {
        Some(file) => {
            let text = read(file)?;
            if Policy::parse(&text).is_none() {
                bail!("`{}` is not a policy with one statement that the edge and CloudFront know", file.display());
            }
            (vec![(policy, signed::encode(&text))], text)
        }
        None if custom => {
            let text = custom_policy(args, until).into_bytes();
            if Policy::parse(&text).is_none() {
                bail!("the policy cannot be made");
            }
            (vec![(policy, signed::encode(&text))], text)
        }
        None => (vec![(expires, until.to_string())], signed::canned(&args.url, until).into_bytes()),
    };
    if args.policy.is_none() && until <= now() {
        output::err("warning: what is signed is over already: --expires is in the past\n");
    }
    let hash = match args.hash {
        HashArg::Sha1 => Hash::Sha1,
        HashArg::Sha256 => Hash::Sha256,
    };
    pairs.push((signature, signed::encode(&key.sign(hash, &text)?)));
    pairs.push((key_pair_id, args.key_id.clone()));
    if hash == Hash::Sha256 {
        pairs.push((hash_algorithm, "SHA256".to_owned()));
    }
    Ok(pairs)
}

/// In the order of botocore and the Developer Guide: resource, end, address, start.
fn custom_policy(args: &Args, until: u64) -> String {
    let resource = Value::from(args.resource.as_deref().unwrap_or(&args.url));
    let mut condition = format!(r#""DateLessThan":{{"AWS:EpochTime":{until}}}"#);
    if let Some(ip) = &args.ip {
        let net = if ip.contains('/') { ip.clone() } else { format!("{ip}/32") };
        condition.push_str(&format!(r#","IpAddress":{{"AWS:SourceIp":{}}}"#, Value::from(net)));
    }
    if let Some(from) = args.not_before {
        condition.push_str(&format!(r#","DateGreaterThan":{{"AWS:EpochTime":{from}}}"#));
    }
    format!(r#"{{"Statement":[{{"Resource":{resource},"Condition":{{{condition}}}}}]}}"#)
}

/// What is signed is the text, so it has to be the one that viewers send.
fn check_url(url: &str) -> anyhow::Result<()> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else { bail!("write the URL with its scheme: `https://…` or `http://…`") };
    if url.contains('#') || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("a URL is signed as it is sent: without fragment, and with spaces and other letters percent-encoded");
    }
    if !rest.contains('/') {
        bail!("the URL needs a path: write `{url}/`, which is what viewers ask for");
    }
    let query = url.split_once('?').map_or("", |(_, query)| query);
    if signed::Signed::of_query(query) != Ok(None) {
        bail!("the URL is signed already: leave {} away", PARAMETERS.join(", "));
    }
    Ok(())
}

fn read(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let bytes = files::read(path, MAX_FILE).with_context(|| format!("cannot read `{}`", path.display()))?;
    if bytes.len() as u64 > MAX_FILE {
        bail!("`{}` is larger than 64 KiB", path.display());
    }
    Ok(bytes)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn moment(text: &str) -> Result<u64, String> {
    if let Ok(epoch) = text.parse() {
        return Ok(epoch);
    }
    if let Some(day) = period::parse_date(text) {
        return Ok(day * period::DAY);
    }
    let after = parse_duration(text).map(|time| now() + time.as_secs());
    after.map_err(|_error| "write a time, as `1h`, a date, as `2027-01-31`, or seconds since 1970".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("../../../tests/vectors/rsa.pem");

    fn signed_by(line: &str) -> anyhow::Result<Vec<(&'static str, String)>> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let line = format!("x --key k.pem --key-id KRSA {line}");
        let args = <Line as clap::Parser>::try_parse_from(line.split(' ')).unwrap().args;
        sign(&args, &PrivateKey::parse(KEY).unwrap())
    }

    #[test]
    fn the_same_as_botocore() {
        let vectors: Vec<Value> = serde_json::from_str(include_str!("../../../tests/vectors/cloudfront.json")).unwrap();
        let mut seen = 0;
        for vector in vectors.iter().filter(|vector| vector["key"] == "rsa") {
            let url = vector["url"].as_str().unwrap();
            let hash = vector["hash"].as_str().unwrap().to_ascii_lowercase();
            let mut line = format!("{url} --hash {hash} --expires 4102444800");
            if let Some(policy) = vector["policy"].as_str() {
                let policy: Value = serde_json::from_str(policy).unwrap();
                let statement = &policy["Statement"][0];
                line.push_str(&format!(" --resource {}", statement["Resource"].as_str().unwrap()));
                if let Some(from) = statement["Condition"]["DateGreaterThan"]["AWS:EpochTime"].as_u64() {
                    line.push_str(&format!(" --not-before {from}"));
                }
                if let Some(ip) = statement["Condition"]["IpAddress"]["AWS:SourceIp"].as_str() {
                    line.push_str(&format!(" --ip {}", ip.trim_end_matches("/32")));
                }
            }
            let pairs = signed_by(&line).unwrap();
            let joined: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let separator = if url.contains('?') { '&' } else { '?' };
            assert_eq!(format!("{url}{separator}{}", joined.join("&")), vector["signed"].as_str().unwrap());
            seen += 1;
        }
        assert_eq!(seen, 14);
    }

    #[test]
    fn urls_that_no_viewer_sends() {
        for url in
            ["site.test/a", "https://site.test", "https://site.test/a#b", "https://site.test/ä", "https://h/?Policy=x"]
        {
            assert!(signed_by(url).is_err(), "{url}");
        }
    }
}
