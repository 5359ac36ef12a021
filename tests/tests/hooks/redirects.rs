//! The shipped hook redirects, end to end.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::Origin;

fn config(behavior: &str, settings: &str) -> String {
    format!(
        r#"
        [origins.main]
        url = "http://{{origin}}"
        [hooks.redirects]
        file = "{{hook:redirects}}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        path = "*"
        {behavior}
        [[distributions.site.behaviors.hooks.viewer-request]]
        hook = "redirects"
        [distributions.site.behaviors.hooks.viewer-request.settings]
        {settings}
    "#
    )
}

/// An edge whose table is a file of its own.
async fn edge(origin: &Origin, behavior: &str, settings: &str, table: &str) -> TestEdge {
    let settings = format!("table = {{ file = \"redirects.txt\" }}\n{settings}");
    let setup = Setup::new(&config(behavior, &settings)).set("origin", &origin.address());
    std::fs::write(setup.folder().join("redirects.txt"), table).expect("a writable folder");
    setup.start().await
}

async fn location(edge: &TestEdge, target: &str) -> (u16, Option<String>) {
    let response = edge.get(target).await;
    (response.status, response.header("location").map(str::to_owned))
}

fn to(status: u16, location: &str) -> (u16, Option<String>) {
    (status, Some(location.to_owned()))
}

const PREFIXES: &str = r#"prefixes = [
    { from = "/blog/", to = "https://blog.test/", status = 302 },
    { from = "/attic", to = "/" },
]"#;

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_paths_and_some_prefixes() {
    let origin = Origin::hello().await;
    let mut table = String::from("# old paths\n/first /1\n");
    for number in 0..5000 {
        table.push_str(&format!("/articles/{number}/an-article-with-a-name /stories/{number}\n"));
    }
    table.push_str("/caf%C3%A9 https://cafe.test/menu#today 307\n/last /end");
    let edge = edge(&origin, "", PREFIXES, &table).await;
    for (target, wanted) in [
        ("/first", to(301, "/1")),
        ("/articles/0/an-article-with-a-name", to(301, "/stories/0")),
        ("/articles/4999/an-article-with-a-name?page=2&x", to(301, "/stories/4999?page=2&x")),
        ("/articles/./77/an-%61rticle-with-a-name", to(301, "/stories/77")),
        ("/caf%c3%a9?q", to(307, "https://cafe.test/menu?q#today")),
        ("/last", to(301, "/end")),
        ("/blog/2024/x?y", to(302, "https://blog.test/2024/x?y")),
        ("/blog", to(302, "https://blog.test/")),
        ("/articles/5000/an-article-with-a-name", (200, None)),
        ("/articles/77", (200, None)),
        ("/stories/77", (200, None)),
        ("/blogs", (200, None)),
        ("/", (200, None)),
    ] {
        assert_eq!(location(&edge, target).await, wanted, "{target}");
    }
    assert_eq!(origin.count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_query_as_the_settings_say() {
    let origin = Origin::hello().await;
    let edge = edge(&origin, "", "status = 308\nkeep_query = false", "/a /b\r\n/c /d?x=1 302\r\n").await;
    assert_eq!(location(&edge, "/a?q=1").await, to(308, "/b"));
    assert_eq!(location(&edge, "/c?q=1").await, to(302, "/d?x=1"));
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_redirects_to_another_host() {
    let origin = Origin::hello().await;
    let raw = "raw_path = true\nallow_ambiguous_paths = true";
    let edge = edge(&origin, raw, PREFIXES, "# none\n").await;
    for target in [
        "/attic//evil.test",
        "/attic///evil.test/x",
        "/attic/\\evil.test",
        "/attic\\evil.test",
        "/attic/\\/evil.test",
        "/attic/%5cevil.test",
        "/attic/%2f%2fevil.test",
        "/attic/.//evil.test",
        "/attic/..//evil.test",
        "/attic/;//evil.test",
        "/attic/@evil.test",
        "/attic/?//evil.test",
    ] {
        let (status, location) = location(&edge, target).await;
        // A path that is none of the hook's goes to the origin.
        let Some(location) = location else { continue };
        assert_eq!(status, 301, "{target}");
        let own = location.starts_with('/') && !location.starts_with("//") && !location.contains('\\');
        assert!(own, "{target} leads to {location}");
    }
    assert_eq!(location(&edge, "/attic/x").await, to(301, "/x"), "the test is not vacuous");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_browsers_misread_is_refused_before_any_request() {
    for (settings, table, word) in [
        ("", "/good /fine\n/bad //evil.test\n", "at `/table`: line 2: target `//evil.test` begins with `//`"),
        ("prefixes = [{ from = \"/a\", to = \"/a/b\" }]", "/x /y\n", "at `/prefixes/0/to`: `/a/b` is below `/a`"),
        ("status = 303", "/x /y\n", "at `/status`: 303 is no redirect"),
        ("keep_qery = true", "/x /y\n", "at `/keep_qery`: unknown field"),
    ] {
        let settings = format!("table = {{ file = \"redirects.txt\" }}\n{settings}");
        let setup = Setup::new(&config("", &settings)).set("origin", "127.0.0.1:9");
        std::fs::write(setup.folder().join("redirects.txt"), table).expect("a writable folder");
        let words = setup.try_start().await.err().expect("it does not start");
        assert!(words.contains(word), "{words}");
    }
}

/// With `raw_path` a viewer's dots come to the hook; a browser would climb out of the target by them.
#[tokio::test(flavor = "multi_thread")]
async fn dots_of_a_raw_path_stay_below_the_target() {
    let origin = Origin::hello().await;
    let prefixes = "prefixes = [{ from = \"/blog\", to = \"/news/blog\" }]";
    let edge = edge(&origin, "raw_path = true\nallow_ambiguous_paths = true", prefixes, "/x /y\n").await;
    for target in ["/blog/../../admin", "/blog/%2e%2E/admin", "/blog/./admin"] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
        let response = edge.exchange(&head).await;
        assert_eq!(response.header("location"), Some("/news/blog/admin"), "{target}: {}", response.status);
    }
}
