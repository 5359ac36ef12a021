//! Spellings of a path: what was matched is what is forwarded, and ambiguous spellings are refused.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::Origin;

use crate::support::{assert_still_serving, mirrored, passed, refused};

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc3986_5_2_4_dot_segments_are_removed_before_forwarding() {
    let (edge, origin) = mirrored().await;
    for (sent, expected) in [
        ("/a/../b", "/b"),
        ("/a/./b", "/a/b"),
        ("/a/b/..", "/a/"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/%2E%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a/%2e/b", "/a/b"),
        ("/a/b/../../c?x=../y", "/c?x=../y"),
        ("/%61/%7Euser", "/a/~user"),
    ] {
        let (_, received) = passed(&edge, &origin, get(sent)).await;
        assert_eq!(received.target(), expected, "for {sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_do_not_climb_above_the_root() {
    let (edge, origin) = mirrored().await;
    for sent in ["/a/../../etc/passwd", "/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/a/..//../etc/passwd"] {
        let before = origin.count();
        let response = edge.exchange(get(sent)).await;
        if response.status == 200 {
            let received = origin.requests().pop().expect("the origin got it");
            assert_eq!(received.target(), "/etc/passwd", "for {sent}");
        } else {
            assert_eq!((response.status, origin.count()), (400, before), "for {sent}");
        }
    }
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_with_a_path_prefix_cannot_be_left() {
    let origin = Origin::mirror().await;
    let config = r#"
        [origins.main]
        url = "http://{origin}/base"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
    "#;
    let edge = TestEdge::start(config, &origin.address()).await;
    for sent in ["/../secret", "/%2e%2e/secret", "/x/../../secret", "/.%2e/secret"] {
        edge.exchange(get(sent)).await;
    }
    assert_eq!(edge.get("/x").await.status, 200);
    let targets: Vec<String> = origin.requests().iter().map(|received| received.target().to_owned()).collect();
    assert!(targets.iter().all(|target| target.starts_with("/base/") && !target.contains("..")), "{targets:?}");
    assert_eq!(targets.last().map(String::as_str), Some("/base/x"));
}

const AMBIGUOUS: [&str; 14] = [
    "/a%2fb",
    "/a%2Fb",
    "/a%5cb",
    "/a%5Cb",
    "/a\\b",
    "/a%00b",
    "/a%252fb",
    "/a%252e%252e/b",
    "/a;x/b",
    "/a/..;/b",
    "/a/;/b",
    "/a%3bx/b",
    "/a%25%32%66b",
    "/a/%2e%2e%2fb",
];

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_spellings_are_refused() {
    let (edge, origin) = mirrored().await;
    for target in AMBIGUOUS {
        refused(&edge, &origin, &[400], get(target).as_bytes()).await;
    }
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_spellings_pass_where_a_behavior_allows_them() {
    let origin = Origin::mirror().await;
    let config = r#"
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        path = "/files/*"
        allow_ambiguous_paths = true
        [[distributions.site.behaviors]]
        path = "*"
    "#;
    let edge = TestEdge::start(config, &origin.address()).await;
    for target in ["/files/a%2Fb", "/files/a;v=1", "/files/a%253Fb"] {
        let (_, received) = passed(&edge, &origin, get(target)).await;
        assert_eq!(received.target().to_ascii_lowercase(), target.to_ascii_lowercase());
    }
    for target in ["/other/a%2Fb", "/other/a;v=1"] {
        refused(&edge, &origin, &[400], get(target).as_bytes()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_path_forwards_the_viewers_spelling() {
    let origin = Origin::mirror().await;
    let config = r#"
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        path = "*"
        raw_path = true
    "#;
    let edge = Setup::new(config).set("origin", &origin.address()).start().await;
    for target in ["/a/%7Euser", "/%61"] {
        let (_, received) = passed(&edge, &origin, get(target)).await;
        assert_eq!(received.target(), target);
    }
}

/// The rule behind all others: behaviors are matched on the spelling that goes to the origin.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_matched_is_what_is_forwarded() {
    let guarded = Origin::mirror().await;
    let open = Origin::mirror().await;
    let config = r#"
        [origins.guarded]
        url = "http://{guarded}"
        [origins.open]
        url = "http://{open}"
        [distributions.site]
        hosts = ["site.test"]
        [[distributions.site.behaviors]]
        path = "/private/*"
        origin = "guarded"
        [[distributions.site.behaviors]]
        path = "*"
        origin = "open"
    "#;
    let edge = Setup::new(config).set("guarded", &guarded.address()).set("open", &open.address()).start().await;
    for target in [
        "/private/x",
        "/%70rivate/x",
        "/private/./x",
        "/a/../private/x",
        "/./private/x",
        "//private/x",
        "/private//x",
        "/a/%2e%2e/private/x",
        "/%2e/private/x",
        "/private%2fx",
        "/private/%2e%2e/private/x",
        "/pr%69vate/x",
        "/private/../public",
        "/public/x",
        "/%2570rivate/x",
        "/;/private/x",
        "/private;/x",
        "http://site.test/private/x",
    ] {
        edge.exchange(get(target)).await;
    }
    assert!(guarded.count() >= 6, "the plain spellings got through: {}", guarded.count());
    for received in guarded.requests() {
        assert!(received.target().starts_with("/private/"), "guarded origin: {}", received.target());
    }
    for received in open.requests() {
        let decoded = received.target().replace("%70", "p").replace("%69", "i").replace("//", "/");
        assert!(!decoded.starts_with("/private") && !decoded.contains(".."), "open origin: {}", received.target());
    }
}
