//! The shipped hook ab-test, end to end.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};

const START: &str = r#"
    [origins.main]
    url = "http://{origin}"
    [origins.other]
    url = "http://{other}"
    [hooks.ab-test]
    file = "{hook:ab-test}"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [cache_policies.plain]
    query = "none"
    [[distributions.site.behaviors]]
    path = "*"
    cache_policy = "plain"
    [[distributions.site.behaviors.hooks.viewer-response]]
    hook = "ab-test"
"#;

fn test(settings: &str) -> String {
    format!(
        "[[distributions.site.behaviors.hooks.viewer-request]]\nhook = \"ab-test\"\n\
         [distributions.site.behaviors.hooks.viewer-request.settings]\n{settings}\n"
    )
}

/// Tells the variant, and may be stored.
fn told(received: &edgeweir_tests::origin::Received) -> Reply {
    Reply::new(200, &[("cache-control", "max-age=60")], received.header("x-variant").unwrap_or("none").as_bytes())
}

async fn edge(origin: &Origin, other: &Origin, tests: &[&str]) -> TestEdge {
    let tests: String = tests.iter().map(|settings| test(settings)).collect();
    Setup::new(&format!("{START}{tests}")).set("origin", &origin.address()).set("other", &other.address()).start().await
}

const HALVES: &str = "cookie = \"ab\"\nvariants = [{ name = \"a\", weight = 1 }, { name = \"b\", weight = 1 }]";

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_refused_before_any_request() {
    let weightless = HALVES.replace("weight = 1", "weight = 0");
    for (settings, word) in [
        (weightless.as_str(), "at `/variants`: all weights are 0"),
        ("cookie = \"a b\"\nvariants = []", "at `/cookie`: `a b` is no name"),
        ("variants = [{ name = \"a\", weight = 1 }]", "missing field `cookie`"),
    ] {
        let setup = Setup::new(&format!("{START}{}", test(settings))).set("origin", "127.0.0.1:9");
        let words = setup.set("other", "127.0.0.1:9").try_start().await.err().expect("it does not start");
        assert!(words.contains(word), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_viewer_draws_and_keeps_its_variant() {
    let (origin, other) = (Origin::start(told).await, Origin::hello().await);
    let edge = edge(&origin, &other, &[HALVES]).await;
    let mut seen = [0; 2];
    for _ in 0..40 {
        let response = edge.get_with("/", &[("X-Variant", "mine")]).await;
        let variant = response.text();
        seen[usize::from(variant == "b")] += 1;
        let cookie = format!("ab={variant}; Max-Age=2592000; Path=/; SameSite=Lax");
        assert_eq!(response.header_all("set-cookie"), [cookie]);
        let again = edge.get_with("/", &[("Cookie", &format!("x=1; ab={variant}"))]).await;
        assert_eq!((again.text(), again.header("set-cookie")), (variant, None));
    }
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}: one in 2^39 runs has only one variant");
    assert_eq!(origin.count(), 2, "each variant is cached once");
    let mut variants: Vec<String> =
        origin.requests().iter().map(|received| received.header_all("x-variant").join(",")).collect();
    variants.sort();
    assert_eq!(variants, ["a", "b"], "what the viewer sent is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_cookie_is_drawn_again() {
    let (origin, other) = (Origin::start(told).await, Origin::hello().await);
    let one =
        "cookie = \"ab\"\nsecure = true\nvariants = [{ name = \"a\", weight = 1 }, { name = \"old\", weight = 0 }]";
    let edge = edge(&origin, &other, &[one]).await;
    for cookie in ["ab=gone", "ab=", "ab=A", "ab=a;b", "other=a"] {
        let response = edge.get_with("/", &[("Cookie", cookie)]).await;
        assert_eq!(response.text(), "a", "{cookie}");
        if cookie != "ab=a;b" {
            let set = response.header("set-cookie");
            assert_eq!(set, Some("ab=a; Max-Age=2592000; Path=/; SameSite=Lax; Secure"), "{cookie}");
        }
    }
    assert_eq!(edge.get_with("/", &[("Cookie", "ab=old")]).await.text(), "old", "who has it keeps it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_may_have_a_path_and_an_origin() {
    let (origin, other) = (Origin::hello().await, Origin::hello().await);
    let next = "cookie = \"ab\"\nvariants = [{ name = \"old\", weight = 0 }, \
                { name = \"new\", weight = 1, path_prefix = \"/next\", origin = \"other\" }]";
    let edge = edge(&origin, &other, &[next]).await;
    assert_eq!(edge.get("/page?q").await.status, 200);
    assert_eq!(other.only_request().target(), "/next/page");
    assert_eq!(edge.get_with("/page", &[("Cookie", "ab=old")]).await.status, 200);
    assert_eq!(origin.only_request().target(), "/page");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_tests_share_a_behavior() {
    let (origin, other) = (Origin::hello().await, Origin::hello().await);
    let one = "cookie = \"one\"\nheader = \"x-one\"\nvariants = [{ name = \"a\", weight = 1 }]";
    let two = "cookie = \"two\"\nheader = \"x-two\"\nvariants = [{ name = \"b\", weight = 1 }]";
    let edge = edge(&origin, &other, &[one, two]).await;
    let response = edge.get("/").await;
    let names: Vec<&str> =
        response.header_all("set-cookie").iter().filter_map(|cookie| cookie.split(';').next()).collect();
    assert_eq!(names, ["one=a", "two=b"]);
    let received = origin.only_request();
    assert_eq!((received.header("x-one"), received.header("x-two")), (Some("a"), Some("b")));
}
