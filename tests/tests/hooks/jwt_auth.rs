//! The shipped hook jwt-auth, end to end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::jwt;
use edgeweir_tests::origin::Origin;
use serde_json::{Value, json};

const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes!";

fn config(settings: &str) -> String {
    format!(
        r#"
        [origins.main]
        url = "http://{{origin}}"
        [hooks.jwt-auth]
        file = "{{hook:jwt-auth}}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        path = "*"
        [[distributions.site.behaviors.hooks.viewer-request]]
        hook = "jwt-auth"
        [distributions.site.behaviors.hooks.viewer-request.settings]
        {settings}
    "#
    )
}

async fn edge(origin: &Origin, settings: &str) -> TestEdge {
    Setup::new(&config(settings)).set("origin", &origin.address()).start().await
}

fn hs256() -> String {
    format!("algorithm = \"HS256\"\nsecret = \"{SECRET}\"\nclaims = {{ sub = \"x-user\" }}")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn claims() -> Value {
    json!({"sub": "alice", "exp": now() + 300})
}

async fn status(edge: &TestEdge, authorization: &str) -> u16 {
    edge.get_with("/t", &[("Authorization", authorization)]).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_passes_and_its_claims_become_headers() {
    let origin = Origin::mirror().await;
    let edge = edge(&origin, &hs256()).await;
    let token = jwt::hs256(SECRET, &claims());
    let headers = [("Authorization", format!("Bearer {token}")), ("X-User", "mallory".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(edge.get_with("/t", &headers).await.status, 200);
    assert_eq!(origin.only_request().header_all("x-user"), ["alice"]);
    assert_eq!(status(&edge, &format!("bearer {token}")).await, 200, "the scheme has no case");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc6750_3_no_token_is_401_with_a_challenge() {
    let origin = Origin::mirror().await;
    let edge = edge(&origin, &hs256()).await;
    let response = edge.get("/t").await;
    assert_eq!(response.status, 401);
    let challenge = response.header("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Bearer") && !challenge.contains("error="), "{challenge}");
    let response = edge.get_with("/t", &[("Authorization", "Bearer nonsense")]).await;
    let challenge = response.header("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert!(response.header("cache-control").is_some_and(|value| value.contains("no-store")));
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tokens_are_refused() {
    let origin = Origin::mirror().await;
    let edge = edge(&origin, &hs256()).await;
    let good = jwt::hs256(SECRET, &claims());
    let (input, signature) = good.rsplit_once('.').expect("three parts");
    let mut changed = json!({"sub": "root", "exp": now() + 300});
    let forged = format!("{}.{signature}", jwt::signing_input(&json!({"alg": "HS256"}), &changed));
    changed["exp"] = json!(now() - 3600);
    let cases = [
        ("other secret", jwt::hs256("another-secret-of-thirty-two-bytes!!!", &claims())),
        ("alg none", jwt::unsigned(&claims())),
        (
            "alg none with the signature",
            format!("{}.{signature}", jwt::signing_input(&json!({"alg": "none"}), &claims())),
        ),
        ("changed claims", forged),
        ("no signature", format!("{input}.")),
        ("two parts", input.to_owned()),
        ("four parts", format!("{good}.x")),
        ("expired", jwt::hs256(SECRET, &changed)),
        ("no exp", jwt::hs256(SECRET, &json!({"sub": "alice"}))),
        ("exp is text", jwt::hs256(SECRET, &json!({"sub": "alice", "exp": "9999999999"}))),
        ("not yet", jwt::hs256(SECRET, &json!({"sub": "alice", "exp": now() + 9000, "nbf": now() + 8000}))),
        ("line break in a claim", jwt::hs256(SECRET, &json!({"sub": "a\r\nx-admin: 1", "exp": now() + 300}))),
        ("too large", jwt::hs256(SECRET, &json!({"sub": "x".repeat(9000), "exp": now() + 300}))),
        ("padding", format!("{good}=")),
    ];
    for (name, token) in cases {
        assert_eq!(status(&edge, &format!("Bearer {token}")).await, 401, "{name}");
    }
    assert_eq!(status(&edge, &format!("Basic {good}")).await, 401);
    assert!(matches!(status(&edge, "Bearer ").await, 400 | 401), "RFC 6750, 3.1: a malformed request may be 400");
    let twice = [("Authorization", format!("Bearer {good}")), ("Authorization", "Bearer x".to_owned())];
    let twice: Vec<(&str, &str)> = twice.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert!(matches!(edge.get_with("/t", &twice).await.status, 400 | 401), "two of them");
    assert_eq!(origin.heads(), 0);
    assert_eq!(status(&edge, &format!("Bearer {good}")).await, 200, "the good one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_when_the_clock_says_so() {
    let origin = Origin::mirror().await;
    let edge = edge(&origin, &hs256()).await;
    let token = format!("Bearer {}", jwt::hs256(SECRET, &claims()));
    assert_eq!(status(&edge, &token).await, 200);
    edge.advance(Duration::from_secs(3600));
    assert_eq!(status(&edge, &token).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn es256_with_a_public_key() {
    let origin = Origin::mirror().await;
    let key = jwt::Es256::new();
    let settings =
        format!("algorithm = \"ES256\"\npublic_key = {:?}\nclaims = {{ sub = \"x-user\" }}", key.public_pem());
    let edge = edge(&origin, &settings).await;
    assert_eq!(status(&edge, &format!("Bearer {}", key.token(&claims()))).await, 200);
    assert_eq!(origin.only_request().header("x-user"), Some("alice"));
    assert_eq!(status(&edge, &format!("Bearer {}", jwt::Es256::new().token(&claims()))).await, 401, "another key");
    // The public key is public: used as a secret it must open nothing.
    let confused = jwt::hs256(&key.public_pem(), &claims());
    assert_eq!(status(&edge, &format!("Bearer {confused}")).await, 401, "algorithm confusion");
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_viewers_own_claim_headers_never_arrive() {
    let origin = Origin::mirror().await;
    let settings =
        format!("algorithm = \"HS256\"\nsecret = \"{SECRET}\"\nclaims = {{ role = \"x-role\", sub = \"x-user\" }}");
    let edge = edge(&origin, &settings).await;
    let token = format!("Bearer {}", jwt::hs256(SECRET, &claims()));
    let headers = [("Authorization", token.as_str()), ("X-Role", "admin"), ("x-role", "root"), ("X_Role", "admin")];
    assert_eq!(edge.get_with("/t", &headers).await.status, 200);
    let received = origin.only_request();
    assert_eq!((received.header("x-role"), received.header("x_role")), (None, None), "the token has no role");
    // Nor can the viewer have the edge's header removed.
    let headers = [("Authorization", token.as_str()), ("Connection", "x-user")];
    if edge.get_with("/t", &headers).await.status == 200 {
        assert_eq!(origin.requests().pop().expect("a request").header_all("x-user"), ["alice"]);
    }
}
