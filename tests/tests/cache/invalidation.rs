//! What unsafe methods do to what is stored (RFC 9111, section 4.4).

use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::gate::Gate;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw::get;
use edgeweir_tests::wait::until;

use crate::support::{is_hit, with_policy};

/// An origin whose answers to unsafe methods have this status and these fields.
async fn changing(status: u16, fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::start(move |request| {
        if matches!(request.method(), "GET" | "HEAD" | "OPTIONS") {
            Reply::new(200, &[("cache-control", "max-age=60")], "body")
        } else {
            Reply::new(status, fields, "done")
        }
    })
    .await
}

/// Whether `target` is still stored after `method` on `/a/t`.
async fn survives(method: &str, status: u16, fields: &'static [(&'static str, &'static str)], target: &str) -> bool {
    let origin = changing(status, fields).await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get(target).await;
    assert!(is_hit(&edge.get(target).await));
    assert_eq!(edge.request(method, "/a/t", &[], b"abc").await.status, status);
    let hit = is_hit(&edge.get(target).await);
    // Dozens of edges follow each other here, and a process has room for thirty: this one is over before the next begins.
    edge.shutdown().await;
    hit
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_4_unsafe_methods_invalidate_their_target() {
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        for status in [200, 201, 303] {
            assert!(!survives(method, status, &[], "/a/t").await, "{method} {status}");
        }
        for status in [404, 500] {
            assert!(survives(method, status, &[], "/a/t").await, "{method} {status}");
        }
        assert!(survives(method, 200, &[], "/a/other").await, "{method}");
    }
    assert!(survives("OPTIONS", 200, &[], "/a/t").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_4_location_and_content_location_of_the_same_origin_are_invalidated() {
    for name in ["location", "content-location"] {
        for (value, target) in [
            ("other?x=1", "/a/other?x=1"),
            ("/b", "/b"),
            ("../b", "/b"),
            ("http://site.test/b", "/b"),
            ("HTTP://SITE.test:80/b#f", "/b"),
            ("//site.test/b", "/b"),
        ] {
            let fields: &'static [(&str, &str)] = Box::leak(Box::new([(name, value)]));
            assert!(!survives("POST", 201, fields, target).await, "{name}: {value}");
        }
        for value in ["http://other.test/b", "//other.test/b", "https://site.test/b", "http://site.test:81/b", "ftp:b"]
        {
            let fields: &'static [(&str, &str)] = Box::leak(Box::new([(name, value)]));
            assert!(survives("POST", 201, fields, "/b").await, "{name}: {value}");
        }
        let fields: &'static [(&str, &str)] = Box::leak(Box::new([(name, "/b")]));
        assert!(survives("POST", 500, fields, "/b").await, "{name} of a failure");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_4_hosts_are_told_apart() {
    let origin = changing(200, &[]).await;
    let config = format!(
        "[origins.main]\nurl = \"http://{{origin}}\"\nhost_header = \"viewer\"\n[distributions.site]\nhosts = [\"{HOST}\", \"b.test\"]\n\
         origin = \"main\"\n[[distributions.site.behaviors]]\npath = \"*\"\n"
    );
    let edge = TestEdge::start(&config, &origin.address()).await;
    edge.get("/t").await;
    edge.exchange("POST /t HTTP/1.1\r\nHost: b.test\r\nContent-Length: 0\r\n\r\n").await;
    assert!(is_hit(&edge.get("/t").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_4_all_variants_of_the_target_go() {
    let origin = Origin::start(|request| match request.method() {
        "GET" => Reply::new(200, &[("cache-control", "max-age=60"), ("vary", "accept-language")], "body"),
        _ => Reply::new(200, &[], "done"),
    })
    .await;
    let edge = with_policy(&origin, "headers = [\"x-plan\"]\ncookies = [\"group\"]\nquery = [\"page\"]").await;
    let variants: [&[(&str, &str)]; 4] = [
        &[("X-Plan", "a"), ("Cookie", "group=1")],
        &[("X-Plan", "b"), ("Cookie", "group=2")],
        &[("Accept-Language", "de")],
        &[],
    ];
    for target in ["/t?page=1", "/t?page=2"] {
        for headers in variants {
            edge.get_with(target, headers).await;
            assert!(is_hit(&edge.get_with(target, headers).await));
        }
    }
    edge.request("POST", "/t?x=1&page=1", &[("Cookie", "group=3")], b"abc").await;
    for headers in variants {
        assert!(!is_hit(&edge.get_with("/t?page=1", headers).await), "{headers:?}");
        assert!(is_hit(&edge.get_with("/t?page=2", headers).await), "{headers:?}");
        assert!(is_hit(&edge.get_with("/t?page=1", headers).await), "stored anew: {headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_4_what_was_on_its_way_when_the_method_succeeded_is_not_stored() {
    let gate = Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(move |request| match request.method() {
        "GET" => Reply::new(200, &[("cache-control", "max-age=60")], "before").after(&hold),
        _ => Reply::new(204, &[], ""),
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    let address = edge.address();
    let first = tokio::spawn(async move { get(address, HOST, "/t", &[]).await });
    until("the fetch", || origin.count() == 1).await;
    edge.request("DELETE", "/t", &[], b"").await;
    gate.open();
    assert_eq!(first.await.expect("no panic").text(), "before");
    origin.answer(|_| Reply::new(200, &[("cache-control", "max-age=60")], "after"));
    assert_eq!(edge.get("/t").await.text(), "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_4_a_behavior_without_a_cache_invalidates_what_others_store() {
    for name in ["location", "content-location"] {
        let fields: &'static [(&str, &str)] = Box::leak(Box::new([(name, "/list")]));
        let origin = changing(201, fields).await;
        let config = format!(
            "[origins.main]\nurl = \"http://{{origin}}\"\n[distributions.site]\nhosts = [\"{HOST}\"]\norigin = \"main\"\n\
             [[distributions.site.behaviors]]\npath = \"/api/*\"\ncache_policy = \"CachingDisabled\"\n\
             [[distributions.site.behaviors]]\npath = \"*\"\n"
        );
        let edge = TestEdge::start(&config, &origin.address()).await;
        for target in ["/list", "/other"] {
            edge.get(target).await;
            assert!(is_hit(&edge.get(target).await));
        }
        assert_eq!(edge.request("POST", "/api/add", &[], b"abc").await.status, 201);
        assert!(!is_hit(&edge.get("/list").await), "{name}");
        assert!(is_hit(&edge.get("/other").await), "{name}");
    }
}
