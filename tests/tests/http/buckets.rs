//! Requests to S3-compatible buckets: an origin that checks each signature as S3 does, by what came over the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Received, Reply};
use ring::{digest, hmac};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

const CONFIG: &str = r#"
[origins.bucket]
url = "http://{origin}/bucket"
sigv4 = { region = "eu-central-1", access_key = "AKIDEXAMPLE", secret_key = { env = "BUCKET_SECRET" }, query = ["versionId"] }

[origins.writable]
url = "http://{origin}/bucket"

[origins.writable.sigv4]
region = "eu-central-1"
access_key = "AKIDEXAMPLE"
secret_key = { env = "BUCKET_SECRET" }
session_token = { env = "BUCKET_TOKEN" }
write = true

[cache_policies.kept]
default_ttl = "1h"

[distributions.site]
hosts = ["site.test"]
origin = "bucket"

[[distributions.site.behaviors]]
path = "/writable/*"
origin = "writable"

[[distributions.site.behaviors]]
path = "/kept/*"
cache_policy = "kept"

[[distributions.site.behaviors]]
path = "*"
cache_policy = "CachingDisabled"
"#;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        let code = text.get(at + 1..at + 3).and_then(|code| u8::from_str_radix(code, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                out.push(code);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// The URI-encoding of the S3 API Reference.
fn escaped(bytes: &[u8], slash: bool) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (slash && byte == b'/');
    bytes.iter().map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Whether a request has the signature of the secret, as the API Reference has it ("Signature Calculations for the
/// Authorization Header: Transferring Payload in a Single Chunk").
fn is_signed(request: &Received) -> Result<(), String> {
    let authorization = request.header("authorization").ok_or("no authorization")?;
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/").ok_or("another form")?;
    let mut parts = rest.split(", ");
    let scope = parts.next().ok_or("no scope")?;
    let names = parts.next().and_then(|part| part.strip_prefix("SignedHeaders=")).ok_or("no names")?;
    let signature = parts.next().and_then(|part| part.strip_prefix("Signature=")).ok_or("no signature")?;
    let [day, region, service, end] = scope.split('/').collect::<Vec<_>>()[..] else { return Err("a scope".into()) };
    for (name, _) in &request.head.headers {
        let name = name.to_ascii_lowercase();
        if (name == "host" || name.starts_with("x-amz-")) && !names.split(';').any(|signed| signed == name) {
            return Err(format!("{name} must be signed"));
        }
    }
    let (path, query) = request.target().split_once('?').unwrap_or((request.target(), ""));
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (escaped(&unescaped(name), false), escaped(&unescaped(value), false)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let lines: String =
        names.split(';').map(|name| format!("{name}:{}\n", request.header(name).unwrap_or_default().trim())).collect();
    let payload = request.header("x-amz-content-sha256").ok_or("no payload hash")?;
    if payload != "UNSIGNED-PAYLOAD" && payload != hex(digest::digest(&digest::SHA256, &request.body.bytes).as_ref()) {
        return Err("another payload".into());
    }
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{payload}",
        request.method(),
        escaped(&unescaped(path), true),
        pairs.join("&")
    );
    let date = request.header("x-amz-date").ok_or("no date")?;
    let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in [day, region, service, end] {
        key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let wanted = hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), text.as_bytes()).as_ref());
    if wanted == signature && date.starts_with(day) { Ok(()) } else { Err(format!("another signature: {canonical}")) }
}

struct Bucket {
    origin: Origin,
    refused: Arc<AtomicUsize>,
}

async fn start() -> (Bucket, TestEdge) {
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refused);
    let origin = Origin::start(move |request| match is_signed(request) {
        Ok(()) => {
            Reply::new(200, &[("etag", "\"1\"")], format!("{} {}", request.method(), request.target()).into_bytes())
        }
        Err(why) => {
            counted.fetch_add(1, Ordering::SeqCst);
            Reply::new(403, &[], why.into_bytes())
        }
    })
    .await;
    let setup = Setup::new(CONFIG).set("origin", &origin.address());
    let edge = setup.env("BUCKET_SECRET", SECRET).env("BUCKET_TOKEN", "a/token+==").start().await;
    (Bucket { origin, refused }, edge)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_signed_as_it_is_sent() {
    let (bucket, edge) = start().await;
    for (target, sent) in [
        ("/a.jpg", "/bucket/a.jpg"),
        ("/folder/a%20b+c(1).txt", "/bucket/folder/a%20b%2Bc%281%29.txt"),
        ("/%c3%a4/%e4%bd%a0!.txt", "/bucket/%C3%A4/%E4%BD%A0%21.txt"),
        ("/a.jpg?versionId=a%2fb&acl&list-type=2", "/bucket/a.jpg?versionId=a%2Fb"),
        ("/a.jpg?uploads", "/bucket/a.jpg"),
        ("/kept/a.jpg", "/bucket/kept/a.jpg"),
    ] {
        let answer = edge.get(target).await;
        assert_eq!((answer.status, answer.text()), (200, format!("GET {sent}")), "{target}");
    }
    let asked = [
        ("authorization", "Bearer viewer"),
        ("cookie", "a=1"),
        ("x-amz-acl", "public-read"),
        ("x-amz-security-token", "viewer"),
        ("range", "bytes=0-1"),
        ("if-none-match", "\"2\""),
    ];
    let answer = edge.get_with("/a.jpg", &asked).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let last = bucket.origin.requests().pop().expect("a request");
    assert_eq!(
        (last.header("cookie"), last.header("x-amz-acl"), last.header("x-amz-security-token")),
        (None, None, None)
    );
    assert_eq!(last.header("range"), Some("bytes=0-1"));
    let head = edge.request("HEAD", "/kept/b.jpg", &[], b"").await;
    assert_eq!(head.status, 200, "the cache asks with GET for it");
    assert_eq!(edge.request("HEAD", "/b.jpg", &[], b"").await.status, 200);
    // A stored object is checked with a signature too.
    edge.purge(&serde_json::json!({ "paths": ["/kept/*"], "soft": true })).await;
    assert_eq!(edge.get("/kept/a.jpg").await.status, 200);
    assert_eq!(bucket.refused.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_neither_listed_nor_changed() {
    let (bucket, edge) = start().await;
    for (method, target) in
        [("GET", "/"), ("GET", "/?list-type=2"), ("PUT", "/a"), ("DELETE", "/a"), ("POST", "/a?delete")]
    {
        let answer = edge.request(method, target, &[], b"").await;
        assert_eq!(
            (answer.status, answer.header("x-amzn-errortype")),
            (403, Some("AccessDeniedException")),
            "{target}"
        );
    }
    assert_eq!(bucket.origin.count(), 0);
    let put = edge.request("PUT", "/writable/a", &[("x-amz-acl", "public-read")], b"body").await;
    assert_eq!((put.status, put.text().as_str()), (200, "PUT /bucket/writable/a"));
    let request = bucket.origin.only_request();
    assert_eq!(
        (request.body.bytes.as_slice(), request.header("x-amz-security-token")),
        (&b"body"[..], Some("a/token+=="))
    );
    assert_eq!(request.header("x-amz-content-sha256"), Some("UNSIGNED-PAYLOAD"));
    assert!(!edge.log_text().contains(SECRET));
}
