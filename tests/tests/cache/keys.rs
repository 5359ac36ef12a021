//! The cache key: what keeps objects apart and what does not, and that an origin sees only what is in the key.

use edgeweir_tests::edge::{HOST, Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw::get;

use crate::support::{counting, with_policy};

const CACHED: &[(&str, &str)] = &[("cache-control", "max-age=60")];

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_queries_keep_objects_apart() {
    let origin = counting(CACHED).await;
    let edge = with_policy(&origin, "query = \"all\"").await;
    let targets = ["/a", "/b", "/a/", "/A", "/a?x", "/a?", "/a?x=1&y=2", "/a?y=2&x=1", "/a?x=1", "/a%20"];
    for (number, target) in targets.iter().enumerate() {
        assert_eq!(edge.get(target).await.text(), (number + 1).to_string(), "{target}");
    }
    for (number, target) in targets.iter().enumerate() {
        assert_eq!(edge.get(target).await.text(), (number + 1).to_string(), "{target} again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spellings_of_one_path_are_one_object() {
    let origin = counting(CACHED).await;
    let edge = with_policy(&origin, "").await;
    for target in ["/a/b", "/a/./b", "/x/../a/b", "/%61/b", "/a//b", "http://site.test/a/b"] {
        assert_eq!(get(edge.address(), HOST, target, &[]).await.text(), "1", "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn query_none_ignores_queries_and_keeps_them_from_the_origin() {
    let origin = counting(CACHED).await;
    let edge = with_policy(&origin, "query = \"none\"").await;
    for target in ["/a?x=1", "/a?x=2", "/a"] {
        assert_eq!(edge.get(target).await.text(), "1", "{target}");
    }
    assert_eq!(origin.only_request().target(), "/a");
}

#[tokio::test(flavor = "multi_thread")]
async fn query_lists_choose_what_counts_and_what_is_forwarded() {
    let origin = counting(CACHED).await;
    let edge = with_policy(&origin, "query = { only = [\"id\", \"lang\"] }").await;
    for (target, body) in [
        ("/a?id=1&utm=x", "1"),
        ("/a?utm=y&id=1", "1"),
        ("/a?id=2", "2"),
        ("/a?ID=1", "3"),
        ("/a?utm=z", "3"),
        ("/a?id=1&lang=de", "4"),
        ("/a?lang=de&id=1", "5"),
    ] {
        assert_eq!(edge.get(target).await.text(), body, "{target}");
    }
    let targets: Vec<String> = origin.requests().iter().map(|received| received.target().to_owned()).collect();
    assert_eq!(targets, ["/a?id=1", "/a?id=2", "/a", "/a?id=1&lang=de", "/a?lang=de&id=1"]);

    let origin = counting(CACHED).await;
    let edge = with_policy(&origin, "query = { except = [\"utm\"] }").await;
    for (target, body) in [("/a?id=1&utm=x", "1"), ("/a?utm=y&id=1", "1"), ("/a?id=1&other", "2")] {
        assert_eq!(edge.get(target).await.text(), body, "{target}");
    }
    assert_eq!(origin.requests()[0].target(), "/a?id=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_count_only_when_the_policy_says_so() {
    let origin = counting(CACHED).await;
    let edge = with_policy(&origin, "cookies = \"none\"").await;
    for cookie in ["session=1", "session=2"] {
        assert_eq!(edge.get_with("/a", &[("Cookie", cookie)]).await.text(), "1");
    }
    assert_eq!(origin.only_request().header("cookie"), None, "what is not in the key is not sent");

    let origin = counting(CACHED).await;
    let edge = with_policy(&origin, "cookies = { only = [\"lang\"] }").await;
    for (cookie, body) in
        [("lang=de; session=1", "1"), ("session=2; lang=de", "1"), ("lang=fr", "2"), ("x=lang=de", "3")]
    {
        assert_eq!(edge.get_with("/a", &[("Cookie", cookie)]).await.text(), body, "{cookie}");
    }
    assert_eq!(origin.requests()[0].header("cookie"), Some("lang=de"));
    assert_eq!(origin.requests()[2].header("cookie"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_count_when_the_policy_names_them() {
    let origin = counting(CACHED).await;
    let edge = with_policy(&origin, "headers = [\"x-variant\"]").await;
    for (variant, body) in [("a", "1"), ("b", "2"), ("a", "1")] {
        assert_eq!(edge.get_with("/t", &[("X-Variant", variant), ("X-Other", body)]).await.text(), body);
    }
    assert_eq!(edge.get("/t").await.text(), "3", "without the header");
    assert_eq!(edge.get_with("/t", &[("X-Variant", "")]).await.text(), "4", "with an empty one");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_key_do_not_run_together() {
    let origin = counting(CACHED).await;
    let edge = with_policy(&origin, "headers = [\"x-one\", \"x-two\"]\nquery = \"all\"").await;
    let mut bodies = std::collections::BTreeSet::new();
    for (target, one, two) in [
        ("/ab", "c", "d"),
        ("/a", "bc", "d"),
        ("/a", "b", "cd"),
        ("/a?b", "c", "d"),
        ("/a", "", "bcd"),
        ("/a", "bcd", ""),
    ] {
        bodies.insert(edge.get_with(target, &[("X-One", one), ("X-Two", two)]).await.text());
    }
    assert_eq!(bodies.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn distributions_do_not_share_objects() {
    let first = Origin::start(|_| Reply::new(200, CACHED, "first")).await;
    let second = Origin::start(|_| Reply::new(200, CACHED, "second")).await;
    let config = r#"
        [origins.first]
        url = "http://{first}"
        [origins.second]
        url = "http://{second}"
        [cache_policies.bare]
        headers = []
        [distributions.first]
        hosts = ["first.test"]
        origin = "first"
        [[distributions.first.behaviors]]
        path = "*"
        cache_policy = "bare"
        [distributions.second]
        hosts = ["second.test"]
        origin = "second"
        [[distributions.second.behaviors]]
        path = "*"
        cache_policy = "bare"
    "#;
    let edge = Setup::new(config).set("first", &first.address()).set("second", &second.address()).start().await;
    for _ in 0..2 {
        assert_eq!(get(edge.address(), "first.test", "/t", &[]).await.text(), "first");
        assert_eq!(get(edge.address(), "second.test", "/t", &[]).await.text(), "second");
    }
    assert_eq!((first.count(), second.count()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoofed_host_does_not_poison_the_cache() {
    let origin = Origin::start(|request| {
        let host = request.header("x-forwarded-host").unwrap_or_default().to_owned();
        Reply::new(200, CACHED, format!("link to {host}"))
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    for (name, value) in [("X-Forwarded-Host", "evil.test"), ("X-Host", "evil.test"), ("Forwarded", "host=evil.test")] {
        assert_eq!(edge.get_with("/t", &[(name, value)]).await.text(), "link to site.test", "{name}");
    }
    assert_eq!(edge.get("/t").await.text(), "link to site.test");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_and_https_and_both_versions_of_http_share_or_separate_on_purpose() {
    let origin = counting(CACHED).await;
    let edge = with_policy(&origin, "").await;
    assert_eq!(edge.get("/t").await.text(), "1");
    let mut client = edgeweir_tests::http2::Client::connect(edge.address()).await;
    assert_eq!(client.get(HOST, "/t", &[]).await.text(), "1", "HTTP/2 viewers get the same object");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_keeps_a_request_away_from_the_cache() {
    let origin = counting(CACHED).await;
    let edge = with_policy(&origin, "").await;
    for (method, number) in [("GET", "1"), ("GET", "2")] {
        let request =
            format!("{method} /a HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Length: 4\r\n\r\nevil");
        assert_eq!(edge.exchange(request).await.text(), number, "not stored");
    }
    assert_eq!(edge.get("/a").await.text(), "3", "nobody gets what a body made");
    assert_eq!(edge.get("/a").await.text(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_in_the_key_is_not_shown_to_the_origin() {
    let told = |received: &edgeweir_tests::origin::Received| {
        let host = received.header("x-forwarded-host").or(received.header("host")).unwrap_or_default().to_owned();
        Reply::new(200, CACHED, host)
    };
    let config = |host_header: &str| {
        format!(
            "[origins.main]\nurl = \"http://{{origin}}\"\nhost_header = \"{host_header}\"\n\
             [cache_policies.short]\ndefault_ttl = \"60s\"\n\
             [distributions.site]\nhosts = [\"*\"]\norigin = \"main\"\n\
             [[distributions.site.behaviors]]\ncache_policy = \"short\"\n"
        )
    };
    for (host_header, second) in [("origin", None), ("viewer", Some("good.test"))] {
        let origin = Origin::start(told).await;
        let edge = TestEdge::start(&config(host_header), &origin.address()).await;
        for host in ["evil.test", "good.test"] {
            let text = get(edge.address(), host, "/a", &[]).await.text();
            if host == "good.test" {
                assert_ne!(text, "evil.test", "with host_header {host_header}");
                assert!(second.is_none_or(|second| second == text), "{text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_chooses_what_is_forwarded_beside_the_key() {
    let origin = Origin::start(|_| Reply::new(200, CACHED, "body")).await;
    let policy = "query = [\"k\"]\nforward_query = [\"f\"]\ncookies = [\"ck\"]\nforward_cookies = { except = [\"no\"] }\n\
                  headers = [\"x-key\"]\nforward_headers = [\"X-Sent\"]";
    let edge = with_policy(&origin, policy).await;
    let fields = |sent| {
        [("Cookie", "ck=1; cf=2; no=3"), ("X-Key", "1"), ("X-Sent", sent), ("X-Other", "1"), ("User-Agent", "a")]
    };
    edge.get_with("/t?k=1&f=2&z=3", &fields("1")).await;
    let received = origin.only_request();
    assert_eq!((received.target(), received.header("cookie")), ("/t?k=1&f=2", Some("cf=2; ck=1")));
    assert_eq!((received.header("x-key"), received.header("x-sent")), (Some("1"), Some("1")));
    assert_eq!((received.header("x-other"), received.header("user-agent")), (None, None));
    assert!(received.header("x-forwarded-for").is_some() && received.header("host").is_some());
    edge.get_with("/t?k=1&f=9", &fields("9")).await;
    assert_eq!(origin.count(), 1, "what is only forwarded is not in the key");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_edge_itself_writes_towards_origins_cannot_be_in_a_key() {
    let origin = Origin::start(|_| Reply::new(200, CACHED, "body")).await;
    // The host in the key, or the origin does not see the viewer's.
    let edge = with_policy(&origin, "headers = [\"Host\"]").await;
    edge.get("/t").await;
    let received = origin.only_request();
    let mut refused = Vec::new();
    for (name, _) in received.head.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
        let config = format!(
            "[origins.main]\nurl = \"http://{{origin}}\"\n[cache_policies.test]\nheaders = [\"{name}\"]\n\
             [distributions.site]\nhosts = [\"*\"]\norigin = \"main\"\n\
             [[distributions.site.behaviors]]\ncache_policy = \"test\"\n"
        );
        let told = edge.reload(&config).await.expect_err(name);
        assert!(told.contains("cannot be in a cache key"), "{name}: {told}");
        refused.push(name.to_ascii_lowercase());
    }
    for name in ["via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"] {
        assert!(refused.iter().any(|refused| refused == name), "{name}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_cookies_outside_the_key_need_a_lifetime() {
    for (fields, stored) in [(CACHED, true), (&[][..], false)] {
        let origin = Origin::start(move |_| Reply::new(200, fields, "body")).await;
        let edge = with_policy(&origin, "default_ttl = \"1m\"\nforward_cookies = \"all\"").await;
        for _ in 0..2 {
            edge.get_with("/t", &[("Cookie", "a=1")]).await;
        }
        assert_eq!(origin.count(), if stored { 1 } else { 2 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_origin_gets_cookies_as_the_key_has_them() {
    let origin = counting(CACHED).await;
    let edge = with_policy(&origin, "cookies = \"all\"").await;
    for (cookie, body, sent) in [
        ("$user=alice", "1", "$user=alice"),
        ("$user=bob", "2", "$user=bob"),
        ("b=2;a=1;; ", "3", "a=1; b=2"),
        ("a=1; b=2", "3", ""),
        ("a=1 ; b=3", "4", "a=1; b=3"),
        ("$Version=1; a=1", "5", "$Version=1; a=1"),
    ] {
        assert_eq!(edge.get_with("/a", &[("Cookie", cookie)]).await.text(), body, "{cookie}");
        if !sent.is_empty() {
            assert_eq!(origin.requests().last().and_then(|request| request.header("cookie")), Some(sent), "{cookie}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_says_nothing_is_neither_in_the_key_nor_told() {
    let origin = counting(CACHED).await;
    let config = "[origins.main]\nurl = \"http://{origin}\"\nhost_header = \"viewer\"\n\
                  [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n";
    let edge = TestEdge::start(config, &origin.address()).await;
    for (host, number, told) in [
        ("site.test:80", 1, "site.test"),
        ("site.test", 1, ""),
        ("site.test:", 1, ""),
        ("SITE.test:8080", 2, "site.test:8080"),
        ("site.test:443", 3, "site.test:443"),
    ] {
        assert_eq!(get(edge.address(), host, "/a", &[]).await.text(), number.to_string(), "{host}");
        let asked = origin.requests();
        assert_eq!(asked.len(), number, "{host}");
        let last = &asked[number - 1];
        if !told.is_empty() {
            assert_eq!((last.header("host"), last.header("x-forwarded-host")), (Some(told), Some(told)), "{host}");
        }
    }
}
