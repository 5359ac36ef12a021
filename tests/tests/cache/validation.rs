//! What a 304 of the origin does to a stored response (RFC 9111, sections 3.2, 4.3.3 and 4.3.4).

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{cache_status, is_hit, let_expire, tells, with_policy};

type Fields = &'static [(&'static str, &'static str)];

/// An origin with a first answer, and a 304 for every conditional request.
async fn revalidating(first: Fields, not_modified: Fields) -> Origin {
    Origin::start(move |request| {
        if request.header("if-none-match").is_some() || request.header("if-modified-since").is_some() {
            Reply::new(304, not_modified, "")
        } else {
            Reply::new(200, first, "body")
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_3_2_all_fields_of_a_304_update_what_is_stored() {
    let first = &[
        ("cache-control", "max-age=1"),
        ("etag", "\"v\""),
        ("content-type", "text/plain"),
        ("x-a", "1"),
        ("x-a", "2"),
        ("x-kept", "yes"),
        ("content-security-policy", "default-src 'self'"),
        ("content-location", "/foo"),
    ];
    let update = &[
        ("cache-control", "max-age=60"),
        ("etag", "\"v\""),
        ("content-type", "text/plain;charset=utf-8"),
        ("x-a", "3"),
        ("x-new", "n"),
        ("content-security-policy", "default-src 'none'"),
        ("content-location", "/bar"),
        ("content-length", "99"),
        ("content-encoding", "br"),
    ];
    let origin = revalidating(first, update).await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    let_expire().await;
    for turn in ["the revalidated answer", "the stored one"] {
        let response = edge.get("/t").await;
        assert_eq!((response.status, response.text().as_str()), (200, "body"), "{turn}");
        assert_eq!(response.header_all("x-a"), ["3"], "{turn}");
        for (name, value) in [
            ("x-kept", "yes"),
            ("x-new", "n"),
            ("content-type", "text/plain;charset=utf-8"),
            ("content-security-policy", "default-src 'none'"),
            ("content-location", "/bar"),
            ("content-length", "4"),
            ("cache-control", "max-age=60"),
        ] {
            assert_eq!(response.header_all(name), [value], "{turn}: {name}");
        }
        assert_eq!(response.header("content-encoding"), None, "{turn}");
    }
    assert_eq!(origin.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_3_4_last_modified_validates_too() {
    const DAY: &str = "Thu, 01 Jan 2015 00:00:00 GMT";
    let first = &[("cache-control", "max-age=1"), ("last-modified", DAY)];
    let origin = revalidating(first, &[("cache-control", "max-age=60"), ("x-a", "new")]).await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    let_expire().await;
    assert_eq!(edge.get_with("/t", &[("If-Modified-Since", DAY)]).await.status, 304);
    let hit = edge.get("/t").await;
    assert_eq!((is_hit(&hit), hit.header("x-a")), (true, Some("new")));
    assert_eq!(origin.requests()[1].header("if-modified-since"), Some(DAY));
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_3_4_a_304_about_another_response_updates_nothing() {
    let first = &[("cache-control", "max-age=1"), ("etag", "\"v1\""), ("x-a", "1")];
    let origin = revalidating(first, &[("cache-control", "max-age=60"), ("etag", "\"v2\""), ("x-a", "2")]).await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    let_expire().await;
    let response = edge.get("/t").await;
    assert_eq!((response.header("etag"), response.header("x-a")), (Some("\"v1\""), Some("1")));
    assert_eq!(response.header("cache-control"), Some("max-age=1"));
    assert!(tells(&response, "detail=other-validator"), "{:?}", cache_status(&response));
    assert!(!is_hit(&edge.get("/t").await), "what it was about is not trusted any more");
    assert_eq!(origin.requests()[2].header("if-none-match"), None, "it is fetched anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_3_4_a_304_that_forbids_storing_ends_the_stored_response() {
    let first = &[("cache-control", "max-age=1"), ("etag", "\"v\"")];
    let origin = revalidating(first, &[("cache-control", "no-store"), ("etag", "\"v\"")]).await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    let_expire().await;
    let response = edge.get("/t").await;
    assert_eq!((response.text().as_str(), response.header("cache-control")), ("body", Some("no-store")));
    edge.get("/t").await;
    assert_eq!(origin.requests()[2].header("if-none-match"), None, "nothing is stored any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_304_to_a_request_without_conditions_is_a_fault() {
    let origin = Origin::start(|_| Reply::new(304, &[("cache-control", "max-age=60"), ("etag", "\"v\"")], "")).await;
    let edge = TestEdge::plain(&origin.address()).await;
    assert_eq!(edge.get("/t").await.status, 502);
    origin.answer(|_| Reply::new(200, &[("cache-control", "max-age=60")], "fine"));
    for _ in 0..2 {
        assert_eq!(edge.get("/t").await.text(), "fine");
    }
    assert_eq!(origin.count(), 2, "and nothing was remembered of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_5_2_2_4_no_cache_is_stored_and_checked_each_time() {
    for cache_control in ["no-cache", "no-cache, max-age=60", "max-age=0"] {
        let origin = Origin::start(move |request| {
            let headers = [("cache-control", cache_control), ("etag", "\"v\"")];
            let status = if request.header("if-none-match") == Some("\"v\"") { 304 } else { 200 };
            Reply::new(status, &headers, if status == 200 { "body" } else { "" })
        })
        .await;
        let edge = with_policy(&origin, "stale_if_error = \"1h\"").await;
        for turn in 0..3 {
            let response = edge.get("/t").await;
            assert_eq!(response.text(), "body", "{cache_control}");
            assert!(!is_hit(&response), "{cache_control}");
            if turn > 0 {
                assert!(tells(&response, "fwd=stale") && tells(&response, "fwd-status=304"), "{cache_control}");
            }
        }
        assert_eq!(origin.count(), 3, "{cache_control}");
        origin.answer(|_| edgeweir_tests::hostile::closes_at_once());
        assert_eq!(edge.get("/t").await.status, 502, "{cache_control}: not without a check");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_5_2_2_4_who_checks_each_time_waits_for_nobody() {
    let gate = edgeweir_tests::gate::Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(move |request| {
        let headers = [("cache-control", "no-cache"), ("etag", "\"v\"")];
        if request.header("if-none-match").is_some() {
            Reply::new(304, &headers, "").after(&hold)
        } else {
            Reply::new(200, &headers, "body")
        }
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    let address = edge.address();
    let mut viewers = tokio::task::JoinSet::new();
    for _ in 0..5 {
        viewers.spawn(async move { edgeweir_tests::raw::get(address, edgeweir_tests::edge::HOST, "/t", &[]).await });
    }
    edgeweir_tests::wait::until("a check for each viewer", || origin.count() == 6).await;
    gate.open();
    while let Some(response) = viewers.join_next().await {
        assert_eq!(response.expect("no panic").text(), "body");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_5_2_2_4_fields_that_no_cache_and_private_list_are_not_stored() {
    for cache_control in ["no-cache=\"x-a, x-b\"", "private=\"X-A, x-b\""] {
        let origin = Origin::start(move |_| {
            let headers = [
                ("cache-control", cache_control),
                ("cache-control", "max-age=60"),
                ("x-a", "1"),
                ("x-b", "2"),
                ("x-c", "3"),
            ];
            Reply::new(200, &headers, "body")
        })
        .await;
        let edge = TestEdge::plain(&origin.address()).await;
        let miss = edge.get("/t").await;
        assert_eq!((miss.header("x-a"), miss.header("x-b")), (Some("1"), Some("2")), "{cache_control}");
        let hit = edge.get("/t").await;
        assert!(is_hit(&hit), "{cache_control}");
        assert_eq!(
            (hit.header("x-a"), hit.header("x-b"), hit.header("x-c")),
            (None, None, Some("3")),
            "{cache_control}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_3_1_hop_by_hop_fields_are_not_stored() {
    let origin = Origin::start(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nCache-Control: max-age=60\r\nConnection: a, b\r\na: 1\r\nb: 2\r\nc: 3\r\n\
             Keep-Alive: x\r\nProxy-Authenticate: x\r\nProxy-Authentication-Info: x\r\nProxy-Authorization: x\r\n\
             Proxy-Connection: x\r\nTE: x\r\nUpgrade: x\r\n\r\nbody",
        )
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    for _ in 0..2 {
        let response = edge.get("/t").await;
        assert_eq!((response.text().as_str(), response.header("c")), ("body", Some("3")));
        for name in [
            "a",
            "b",
            "proxy-authenticate",
            "proxy-authentication-info",
            "proxy-authorization",
            "proxy-connection",
            "te",
            "upgrade",
        ] {
            assert_eq!(response.header(name), None, "{name}");
        }
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_3_4_a_304_that_cannot_be_about_the_stored_body_puts_no_tag_on_it() {
    const DAY: &str = "Thu, 01 Jan 2015 00:00:00 GMT";
    for first in [
        &[("cache-control", "max-age=1"), ("x-a", "1")][..],
        &[("cache-control", "max-age=1"), ("x-a", "1"), ("last-modified", DAY)],
        &[("cache-control", "max-age=1"), ("x-a", "1"), ("etag", "W/\"v\"")],
    ] {
        let origin = Origin::start(move |_| Reply::new(200, first, "old")).await;
        let edge = TestEdge::plain(&origin.address()).await;
        edge.get("/t").await;
        let_expire().await;
        origin.answer(|_| {
            let told = [("cache-control", "max-age=600"), ("etag", "\"v\""), ("last-modified", DAY), ("x-a", "2")];
            Reply::new(304, &told, "")
        });
        let response = edge.get("/t").await;
        assert_eq!((response.status, response.text().as_str(), response.header("x-a")), (200, "old", Some("1")));
        assert_ne!(response.header("etag"), Some("\"v\""), "{first:?}");
        assert!(tells(&response, "detail=other-validator"), "{:?}", cache_status(&response));
        origin.answer(|_| Reply::new(200, &[("cache-control", "max-age=600"), ("etag", "\"v\"")], "new"));
        assert_eq!(edge.get("/t").await.text(), "new", "{first:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_3_4_a_304_confirms_what_the_edge_has_compressed_itself() {
    let body = "text ".repeat(1000);
    let origin = Origin::start(move |request| {
        let told = [("cache-control", "max-age=600"), ("etag", "\"v\""), ("content-type", "text/plain")];
        match request.header("if-none-match") {
            Some("\"v\"" | "W/\"v\"") => Reply::new(304, &told, ""),
            _ => Reply::new(200, &told, &body),
        }
    })
    .await;
    let edge = with_policy(&origin, "viewer_directives = \"honour\"\ncompress = [\"gzip\"]").await;
    let gzip = ("Accept-Encoding", "gzip");
    edge.get("/t").await;
    let hit = edge.get_with("/t", &[gzip]).await;
    assert_eq!((is_hit(&hit), hit.header("etag")), (true, Some("W/\"v\"")));
    let checked = edge.get_with("/t", &[gzip, ("Cache-Control", "no-cache")]).await;
    assert!(tells(&checked, "fwd-status=304") && !tells(&checked, "detail=other-validator"), "{checked:?}");
    assert_eq!((checked.header("content-encoding"), checked.header("etag")), (Some("gzip"), Some("W/\"v\"")));
    assert!(is_hit(&edge.get("/t").await));
    assert_eq!(origin.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_3_2_cookies_of_a_304_are_for_its_viewer_where_the_policy_stores_none() {
    let first = &[("cache-control", "max-age=1"), ("etag", "\"v\""), ("set-cookie", "a=1")];
    let update = &[("cache-control", "max-age=60"), ("etag", "\"v\""), ("set-cookie", "b=2"), ("set-cookie", "c=3")];
    let origin = revalidating(first, update).await;
    let edge = with_policy(&origin, "set_cookie = \"strip\"").await;
    assert_eq!(edge.get("/t").await.header_all("set-cookie"), ["a=1"]);
    let_expire().await;
    let confirmed = edge.get("/t").await;
    assert!(tells(&confirmed, "fwd-status=304"), "{:?}", cache_status(&confirmed));
    assert_eq!(confirmed.header_all("set-cookie"), ["b=2", "c=3"]);
    let hit = edge.get("/t").await;
    assert_eq!((is_hit(&hit), hit.header_all("set-cookie")), (true, vec![]));
}
