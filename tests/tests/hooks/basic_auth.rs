//! The shipped hook basic-auth, end to end.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};

/// `alice` with the password `open sesame`, and `test` with `123£` (the example of RFC 7617, 2.1).
const USERS: &str = r#"
    alice = "8f2d41c07b9e6a35:e8fca6f40bce6c80599b9c1f93b396100a561cca78f4184ee84f972ab69f8ed9"
    test = { env = "TEST_HASH" }
"#;

const TEST_HASH: &str = "another-salt:8cc33d2806e3701816b54b4e7ae8a8727c261d0bd22076de255a198600220dab";

fn setup(origin: &Origin, settings: &str) -> Setup {
    let config = format!(
        r#"
        [origins.main]
        url = "http://{{origin}}"
        [hooks.basic-auth]
        file = "{{hook:basic-auth}}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        path = "*"
        [[distributions.site.behaviors.hooks.viewer-request]]
        hook = "basic-auth"
        [distributions.site.behaviors.hooks.viewer-request.settings]
        {settings}
        [distributions.site.behaviors.hooks.viewer-request.settings.users]
        {USERS}
    "#
    );
    Setup::new(&config).set("origin", &origin.address()).env("TEST_HASH", TEST_HASH)
}

async fn edge(origin: &Origin, settings: &str) -> TestEdge {
    setup(origin, settings).start().await
}

const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2U6b3BlbiBzZXNhbWU=");
const TEST: (&str, &str) = ("Authorization", "Basic dGVzdDoxMjPCow==");

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_passes_and_stays_at_the_edge() {
    let origin = Origin::hello().await;
    let edge = edge(&origin, "user_header = \"X-User\"").await;
    assert_eq!(edge.get_with("/t", &[ALICE, ("X-User", "mallory")]).await.status, 200);
    let received = origin.only_request();
    assert_eq!(received.header_all("x-user"), ["alice"]);
    assert_eq!(received.header("authorization"), None);
    assert_eq!(edge.get_with("/t", &[TEST]).await.status, 200, "UTF-8, and a hash from the environment");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc_7617_2_everybody_else_gets_the_challenge() {
    let origin = Origin::hello().await;
    let edge = edge(&origin, "realm = \"the back room\"").await;
    let wrong = [
        vec![],
        vec![("Authorization", "Basic YWxpY2U6T3BlbiBTZXNhbWU=")],
        vec![("Authorization", "Basic Ym9iOm9wZW4gc2VzYW1l")],
        vec![("Authorization", "Basic !")],
        vec![("Authorization", "Bearer YWxpY2U6b3BlbiBzZXNhbWU=")],
        vec![ALICE, TEST],
    ];
    for headers in wrong {
        let response = edge.get_with("/t", &headers).await;
        assert_eq!(response.status, 401, "{headers:?}");
        let challenge = response.header_all("www-authenticate");
        assert_eq!(challenge, [r#"Basic realm="the back room", charset="UTF-8""#], "{headers:?}");
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_origin_gets_the_credentials_if_it_shall() {
    let origin = Origin::hello().await;
    let edge = edge(&origin, "strip_authorization = false").await;
    assert_eq!(edge.get_with("/t", &[ALICE]).await.status, 200);
    assert_eq!(origin.only_request().header("authorization"), Some(ALICE.1));
}

#[tokio::test(flavor = "multi_thread")]
async fn users_do_not_share_the_cache_if_the_origin_knows_them() {
    let origin = Origin::start(|received| {
        Reply::new(200, &[("cache-control", "max-age=60")], received.header("x-user").unwrap_or("nobody").as_bytes())
    })
    .await;
    let edge = edge(&origin, "user_header = \"x-user\"").await;
    for _ in 0..2 {
        assert_eq!(edge.get_with("/t", &[ALICE]).await.text(), "alice");
        assert_eq!(edge.get_with("/t", &[TEST]).await.text(), "test");
        assert_eq!(edge.get("/t").await.status, 401, "what is cached is guarded too");
    }
    assert_eq!(origin.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_refused_before_any_request() {
    let origin = Origin::hello().await;
    for (settings, word) in [
        ("relm = \"x\"", "at `/relm`: unknown field `relm`"),
        ("realm = 'a\"b'", "at `/realm`: has a quote"),
        ("user_header = \"Authorization\"", "at `/user_header`: "),
    ] {
        let words = setup(&origin, settings).try_start().await.err().expect("it does not start");
        assert!(words.contains(word) && !words.contains("e8fca6f4"), "{words}");
    }
    // What an edge runs with stays when a reload brings a mistake.
    let edge = edge(&origin, "realm = \"x\"").await;
    let words = edge.reload(&setup(&origin, "relm = \"x\"").text()).await.expect_err("a refusal");
    assert!(words.contains("at `/relm`"), "{words}");
    assert_eq!(edge.get("/t").await.status, 401);
}
