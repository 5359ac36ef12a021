//! Signed URLs and cookies, with signatures that botocore made (`tests/vectors`) and our own.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use edgeweir_proxy::signed::{Hash, PrivateKey, canned, encode};
use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};
use serde_json::Value;

const CONFIG: &str = r#"
[origins.main]
url = "http://{origin}"

[public_keys.rsa]
id = "KRSA"
key = { file = "{vectors}/rsa-public.pem" }

[public_keys.KEC]
key = { file = "{vectors}/ec-public.pem" }

[key_groups.customers]
keys = ["rsa"]

[key_groups.partners]
keys = ["KEC"]

[usage_plans.basic]

[[api_keys]]
name = "good"
key = "test-key-0123456789abcdefghij"
plans = ["basic"]

[distributions.site]
hosts = ["site.test"]
origin = "main"

[[distributions.site.behaviors]]
path = "/rsa-only/*"
trusted_key_groups = ["customers"]
api_key_required = true
cors = { origins = ["https://app.test"] }

[[distributions.site.behaviors]]
path = "/open/*"

[[distributions.site.behaviors]]
path = "*"
cache_policy = "everything"
trusted_key_groups = ["customers", "partners"]

[cache_policies.everything]
default_ttl = "1h"
query = "all"
cookies = "all"
"#;

fn vectors() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").display().to_string()
}

async fn edge(origin: &Origin) -> TestEdge {
    Setup::new(CONFIG).set("origin", &origin.address()).set("vectors", &vectors()).frozen().start().await
}

/// Those for URLs without TLS, as the target and the vector.
fn plain_vectors() -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(format!("{}/cloudfront.json", vectors())).expect("the vectors");
    let all: Vec<Value> = serde_json::from_str(&text).expect("vectors are JSON");
    let of = |vector: Value| {
        let target = vector["signed"].as_str()?.strip_prefix("http://site.test")?.to_owned();
        Some((target, vector))
    };
    let plain: Vec<_> = all.into_iter().filter_map(of).collect();
    assert_eq!(plain.len(), 16);
    plain
}

/// The target of a URL that our signer signed with a canned policy.
fn signed_target(edge: &TestEdge, target: &str, lasts: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let until = now + lasts;
    let signature = signature(&canned(&format!("http://site.test{target}"), until));
    let separator = if target.contains('?') { '&' } else { '?' };
    // The clock of the edge stands at its start, a moment ago.
    assert!(edge.address().port() > 0);
    format!("{target}{separator}Expires={until}&Signature={signature}&Key-Pair-Id=KRSA&Hash-Algorithm=SHA256")
}

fn signature(policy: &str) -> String {
    let pem = std::fs::read_to_string(format!("{}/rsa.pem", vectors())).expect("the key");
    let key = PrivateKey::parse(&pem).expect("a private key");
    encode(&key.sign(Hash::Sha256, policy.as_bytes()).expect("a signature"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_botocore_signed_passes_and_leaves_no_trace() {
    let origin = Origin::start(|request| {
        Reply::new(200, &[], format!("{} {:?}", request.target(), request.header("cookie")).into_bytes())
    })
    .await;
    let edge = edge(&origin).await;
    for (target, vector) in plain_vectors() {
        let plain = vector["url"].as_str().and_then(|url| url.strip_prefix("http://site.test")).expect("a URL");
        let answer = edge.get_with(&target, &[("cookie", "a=1; CloudFront-Policy=x")]).await;
        assert_eq!((answer.status, answer.text()), (200, format!("{plain} Some(\"a=1\")")), "{vector}");
        let Some(cookies) = vector["cookies"].as_object() else { continue };
        let pairs = cookies.iter().map(|(name, value)| format!("{name}={}", value.as_str().expect("text")));
        let cookies = format!("a=1; {}", pairs.collect::<Vec<_>>().join("; "));
        let answer = edge.get_with(plain, &[("cookie", &cookies)]).await;
        assert_eq!((answer.status, answer.text()), (200, format!("{plain} Some(\"a=1\")")), "{vector}");
    }
    // However often and by whom it was signed, a thing is stored once.
    let mut targets: Vec<String> = origin.requests().iter().map(|request| request.target().to_owned()).collect();
    targets.sort();
    targets.dedup();
    assert_eq!((origin.count(), targets.len()), (4, 4), "{targets:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_cookies_in_other_letters_do_not_hide_those_of_the_signer() {
    let origin = Origin::hello().await;
    let edge = edge(&origin).await;
    let until = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() + 60;
    let signature = signature(&canned("http://site.test/a.jpg", until));
    let cookies = format!(
        "name=Zo\u{eb}; CloudFront-Expires={until}; CloudFront-Signature={signature}; CloudFront-Key-Pair-Id=KRSA; \
         CloudFront-Hash-Algorithm=SHA256"
    );
    let head = format!("GET /a.jpg HTTP/1.1\r\nHost: site.test\r\nCookie: {cookies}\r\nConnection: close\r\n\r\n");
    assert_eq!(edge.exchange(head).await.status, 200);
    let received = origin.only_request();
    let bytes = received.header("cookie").unwrap_or_default();
    assert!(!bytes.contains("CloudFront"), "{bytes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_and_how() {
    let origin = Origin::hello().await;
    let edge = edge(&origin).await;
    let missing = edge.get("/a.jpg").await;
    assert_eq!(missing.status, 403);
    assert_eq!(missing.text(), r#"{"message":"Missing Key-Pair-Id query parameter or cookie value"}"#);
    assert_eq!(missing.header("x-amzn-errortype"), Some("MissingAuthenticationTokenException"));
    let good = signed_target(&edge, "/a.jpg", 60);
    let refused = |error: &'static str, target: String| {
        let edge = &edge;
        async move {
            let answer = edge.get(&target).await;
            assert_eq!((answer.status, answer.header("x-amzn-errortype")), (403, Some(error)), "{target}");
        }
    };
    refused("InvalidSignatureException", good.replace("/a.jpg", "/b.jpg")).await;
    refused("InvalidSignatureException", format!("{good}&extra=1")).await;
    refused("InvalidSignatureException", good.replace("SHA256", "SHA512")).await;
    refused("InvalidSignatureException", good.replace("&Hash-Algorithm=SHA256", "")).await;
    refused("InvalidSignatureException", good.replace("KRSA", "KEC")).await;
    refused("InvalidSignatureException", "/a.jpg?Policy=e30_&Signature=x&Key-Pair-Id=KRSA".to_owned()).await;
    // The URL goes before cookies, also where it is worse.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let policy = format!(
        r#"{{"Statement":[{{"Resource":"http://site.test/public/*","Condition":{{"DateLessThan":{{"AWS:EpochTime":{}}}}}}}]}}"#,
        now + 60
    );
    let cookies = format!(
        "CloudFront-Policy={}; CloudFront-Signature={}; CloudFront-Key-Pair-Id=KRSA; CloudFront-Hash-Algorithm=SHA256",
        encode(policy.as_bytes()),
        signature(&policy)
    );
    let with_cookies = |target: &'static str| {
        let (edge, cookies) = (&edge, &cookies);
        async move {
            let answer = edge.get_with(target, &[("cookie", cookies)]).await;
            (answer.status, answer.header("x-amzn-errortype").map(str::to_owned))
        }
    };
    let denied = (403, Some("AccessDeniedException".to_owned()));
    assert_eq!(with_cookies("/public/a").await.0, 200);
    assert_eq!(with_cookies("/public/a?Signature=x&Key-Pair-Id=KRSA").await.0, 403);
    assert_eq!(with_cookies("/private/a").await, denied);
    for climbing in ["/public/../private/a", "/public/%2e%2e/private/a", "/public//../private/a"] {
        assert_eq!(with_cookies(climbing).await, denied, "{climbing}");
    }
    assert_eq!(edge.get(&good).await.status, 200);
    // It is stored by now; who comes too late does not get it.
    edge.advance(Duration::from_secs(61));
    refused("ExpiredTokenException", good).await;
    assert_eq!(origin.count(), 2, "nothing that was refused reached the origin");
    let lines = edge.log_lines(15).await;
    let faults: Vec<&str> = lines.iter().filter_map(|line| line["fault"].as_str()).collect();
    assert!(faults.contains(&"signature-missing") && faults.contains(&"signature-expired"), "{faults:?}");
    assert!(!edge.log_text().contains("Signature=x"), "no signature is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_come_before_keys_and_after_preflights() {
    let origin = Origin::hello().await;
    let edge = edge(&origin).await;
    let error = |answer: &edgeweir_tests::raw::Response| answer.header("x-amzn-errortype").map(str::to_owned);
    let unsigned = edge.get_with("/rsa-only/a", &[("x-api-key", "test-key-0123456789abcdefghij")]).await;
    assert_eq!(error(&unsigned).as_deref(), Some("MissingAuthenticationTokenException"));
    let target = signed_target(&edge, "/rsa-only/a", 60);
    let keyless = edge.get(&target).await;
    assert_eq!((keyless.status, error(&keyless).as_deref()), (403, Some("ForbiddenException")));
    let both = edge.get_with(&target, &[("x-api-key", "test-key-0123456789abcdefghij")]).await;
    assert_eq!(both.status, 200);
    // The group of the behavior counts, not all keys.
    let (ec, _) = plain_vectors().into_iter().find(|(_, vector)| vector["key"] == "ec").expect("one of them");
    let query = ec.split_once('?').expect("a query").1;
    assert_eq!(edge.get(&format!("/rsa-only/a?{query}")).await.status, 403);
    let preflight = [("origin", "https://app.test"), ("access-control-request-method", "GET")];
    assert_eq!(edge.request("OPTIONS", "/rsa-only/a", &preflight, b"").await.status, 204);
    // Elsewhere the parameters are nobody's.
    edge.get("/open/a?Expires=1&Signature=x").await;
    assert_eq!(origin.requests().last().expect("a request").target(), "/open/a?Expires=1&Signature=x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_used_is_said_with_its_place() {
    let origin = Origin::hello().await;
    let config = CONFIG.replace("rsa-public.pem", "rsa.pem");
    let setup = Setup::new(&config).set("origin", &origin.address()).set("vectors", &vectors());
    let Err(error) = setup.try_start().await else { panic!("a private key is no public key") };
    assert!(error.contains("public key `rsa`: this is a private key"), "{error}");
}
