//! Ranges (RFC 9110, section 14) from whole objects in the cache.

use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::origin::{Origin, Reply, pattern_bytes};

use crate::support::{is_hit, with_policy};

async fn object() -> Origin {
    let body = pattern_bytes(1000);
    Origin::start(move |_| Reply::new(200, &[("cache-control", "max-age=60"), ("etag", "\"v1\"")], &body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_14_ranges_are_cut_from_the_stored_object() {
    let origin = object().await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    let body = pattern_bytes(1000);
    for (range, from, to) in
        [("bytes=0-9", 0, 10), ("bytes=990-", 990, 1000), ("bytes=-5", 995, 1000), ("bytes=5-99999", 5, 1000)]
    {
        let response = edge.get_with("/t", &[("Range", range)]).await;
        assert_eq!(response.status, 206, "{range}");
        assert_eq!(response.body.bytes, body[from..to], "{range}");
        let expected = format!("bytes {from}-{}/1000", to - 1);
        assert_eq!(response.header("content-range"), Some(expected.as_str()), "{range}");
    }
    let response = edge.get_with("/t", &[("Range", "bytes=2000-")]).await;
    assert_eq!((response.status, response.header("content-range")), (416, Some("bytes */1000")));
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_14_2_ranges_that_make_no_sense_get_the_whole_or_are_refused() {
    let origin = object().await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    for range in ["bytes=9-5", "lines=1-2", "bytes", "bytes=a-b"] {
        let response = edge.get_with("/t", &[("Range", range)]).await;
        assert!(
            matches!((response.status, response.body.length), (200, 1000) | (416, _)),
            "{range}: {}",
            response.status
        );
    }
    assert_eq!(edge.get_with("/t", &[("Range", "lines=1-2")]).await.status, 200, "an unknown unit is ignored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_on_a_miss_fetches_and_stores_the_whole_object() {
    let origin = object().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let response = edge.get_with("/t", &[("Range", "bytes=0-9")]).await;
    assert_eq!(response.status, 206);
    assert_eq!(response.body.bytes, pattern_bytes(10));
    assert_eq!(origin.only_request().header("range"), None);
    assert_eq!(edge.get("/t").await.body.length, 1000);
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_13_1_5_if_range_that_does_not_match_gets_the_whole() {
    let origin = object().await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    for (tag, status) in [("\"v1\"", 206), ("\"v0\"", 200), ("W/\"v1\"", 200)] {
        let response = edge.get_with("/t", &[("Range", "bytes=0-9"), ("If-Range", tag)]).await;
        assert_eq!(response.status, status, "If-Range: {tag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_13_1_5_weak_validators_are_no_ground_for_a_range() {
    let body = pattern_bytes(1000);
    let modified = "Thu, 01 Jan 2015 00:00:00 GMT";
    let origin = Origin::start(move |request| {
        let date = if request.target() == "/late" { "Fri, 02 Jan 2015 00:00:00 GMT" } else { modified };
        let headers =
            [("cache-control", "max-age=600"), ("etag", "W/\"v1\""), ("last-modified", modified), ("date", date)];
        Reply::new(200, &headers, &body)
    })
    .await;
    // Old by its `Date`: the policy keeps it.
    let edge = with_policy(&origin, "min_ttl = \"1h\"").await;
    for target in ["/same", "/late"] {
        edge.get(target).await;
    }
    for (target, validator, status) in
        [("/late", "W/\"v1\"", 200), ("/late", modified, 206), ("/same", modified, 200), ("/late", "\"v1\"", 200)]
    {
        let response = edge.get_with(target, &[("Range", "bytes=0-9"), ("If-Range", validator)]).await;
        assert_eq!(response.status, status, "{target} {validator}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_14_6_several_ranges_are_one_multipart() {
    let origin = object().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let body = pattern_bytes(1000);
    for round in ["miss", "hit"] {
        let response = edge.get_with("/t", &[("Range", "bytes=0-9, 500-509,-5")]).await;
        assert_eq!((response.status, response.header("content-range")), (206, None), "{round}");
        let kind = response.header("content-type").expect("a type");
        let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("a boundary");
        let mut expected = Vec::new();
        for (from, to) in [(0, 10), (500, 510), (995, 1000)] {
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {from}-{}/1000\r\n\r\n",
                to - 1
            );
            expected.extend_from_slice(head.as_bytes());
            expected.extend_from_slice(&body[from..to]);
        }
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert_eq!(response.header("content-length"), Some(expected.len().to_string().as_str()), "{round}");
        assert!(response.body.bytes == expected, "{round}: {}", String::from_utf8_lossy(&response.body.bytes));
    }
    for (range, status) in [("bytes=0-9,5-20", 200), ("bytes=-0", 416), ("bytes=1000-", 416), ("bytes=0-0,2000-", 206)]
    {
        assert_eq!(edge.get_with("/t", &[("Range", range)]).await.status, status, "{range}");
    }
    let many: Vec<String> = (0..300).map(|at| format!("{}-{}", at * 3, at * 3)).collect();
    let response = edge.get_with("/t", &[("Range", &format!("bytes={}", many.join(",")))]).await;
    assert_eq!((response.status, response.body.length), (200, 1000), "too many");
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_14_2_head_knows_no_ranges() {
    let origin = object().await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    let response = edge.request("HEAD", "/t", &[("Range", "bytes=0-9")], b"").await;
    assert_eq!((response.status, response.header("content-length")), (200, Some("1000")));
}

#[tokio::test(flavor = "multi_thread")]
async fn chunked_objects_have_a_length_and_ranges_once_they_are_stored() {
    let origin = Origin::start(|_| Reply::chunked(200, &[("cache-control", "max-age=60")], &["0123", "456789"])).await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    let hit = edge.get("/t").await;
    assert_eq!((hit.header("content-length"), hit.header("transfer-encoding")), (Some("10"), None));
    let part = edge.get_with("/t", &[("Range", "bytes=2-5")]).await;
    assert_eq!((part.status, part.text().as_str()), (206, "2345"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_what_is_not_stored_fills_the_cache_though_its_viewer_leaves() {
    let origin = Origin::start(|_| Reply::large(&[("cache-control", "max-age=60")], 3_000_000)).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\nRange: bytes=0-9\r\n\r\n").await;
    raw.try_head().await.expect("a head");
    drop(raw);
    edgeweir_tests::wait::until("the object is stored", || edge.log_text().contains('\n')).await;
    assert_eq!(edge.get("/t").await.body.length, 3_000_000);
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_pass_to_the_origin_where_nothing_is_cached() {
    let reply = || Reply::new(206, &[("content-range", "bytes 0-3/9"), ("cache-control", "no-store")], "part");
    let origin = Origin::start(move |_| reply()).await;
    let config = r#"
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        path = "*"
        cache_policy = "CachingDisabled"
    "#;
    let edge = TestEdge::start(config, &origin.address()).await;
    let response = edge.get_with("/t", &[("Range", "bytes=0-3")]).await;
    assert_eq!((response.status, response.text().as_str()), (206, "part"));
    assert_eq!(origin.only_request().header("range"), Some("bytes=0-3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_13_1_5_if_range_on_a_miss_goes_by_what_the_origin_sends() {
    for (tag, status, length) in [("\"v1\"", 206, 10), ("\"v0\"", 200, 1000), ("W/\"v1\"", 200, 1000)] {
        let origin = object().await;
        let edge = TestEdge::plain(&origin.address()).await;
        let response = edge.get_with("/t", &[("Range", "bytes=0-9"), ("If-Range", tag)]).await;
        assert_eq!((response.status, response.body.length), (status, length), "If-Range: {tag}");
        let asked = origin.only_request();
        assert_eq!((asked.header("range"), asked.header("if-range")), (None, None));
        assert!(is_hit(&edge.get("/t").await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_what_is_too_large_to_be_stored() {
    let length = 3_000_000;
    let origin = Origin::start(move |request| match request.header("range") {
        None => Reply::large(&[("cache-control", "max-age=60"), ("etag", "\"v1\"")], length),
        Some(_) => {
            Reply::new(206, &[("content-range", "bytes 5-9/3000000")], pattern_bytes(10).get(5..).unwrap_or(&[]))
        }
    })
    .await;
    let config = format!(
        "[cache]\ncapacity = \"8MiB\"\nmax_object = \"1MiB\"\n[origins.main]\nurl = \"http://{{origin}}\"\n\
         [distributions.site]\nhosts = [\"{HOST}\"]\norigin = \"main\"\n"
    );
    let edge = TestEdge::start(&config, &origin.address()).await;
    // The first is cut from the whole, which is asked for to be stored; then it is known, and ranges pass.
    for round in 0..3 {
        let mut raw = edge.connect().await;
        let ask = "GET /t HTTP/1.1\r\nHost: site.test\r\nRange: bytes=5-9\r\n\r\n";
        for _ in 0..2 {
            raw.send(ask).await;
            let part = raw.response().await;
            assert_eq!((part.status, part.body.bytes.as_slice()), (206, &pattern_bytes(10)[5..]), "round {round}");
            assert_eq!(part.header("content-range"), Some("bytes 5-9/3000000"));
            if part.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                break;
            }
        }
    }
    let asked = origin.requests();
    assert_eq!(asked.iter().filter(|request| request.header("range").is_none()).count(), 1);
    assert_eq!(edge.get("/t").await.body.length, length, "and the whole is the whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_3_3_a_part_that_nobody_asked_for_is_neither_stored_nor_taken_for_the_whole() {
    let fields = [("content-range", "bytes 0-3/9"), ("cache-control", "max-age=60"), ("etag", "\"v1\"")];
    let origin = Origin::start(move |_| Reply::new(206, &fields, "part")).await;
    let edge = TestEdge::plain(&origin.address()).await;
    for headers in [&[][..], &[("Range", "bytes=0-3")], &[("Range", "bytes=4-8")]] {
        let response = edge.get_with("/t", headers).await;
        assert_eq!((response.status, response.header("content-range")), (206, Some("bytes 0-3/9")), "{headers:?}");
        assert_eq!(response.text(), "part");
        assert!(!is_hit(&response));
    }
    origin.answer(|_| Reply::new(200, &[("cache-control", "max-age=60")], "the whole"));
    for _ in 0..3 {
        assert_eq!(edge.get("/t").await.text(), "the whole");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_15_5_17_the_origins_416_is_not_stored() {
    let origin =
        Origin::start(|_| Reply::new(416, &[("content-range", "bytes */9"), ("cache-control", "max-age=60")], ""))
            .await;
    let edge = with_policy(&origin, "min_ttl = \"1m\"").await;
    for _ in 0..2 {
        let response = edge.get_with("/t", &[("Range", "bytes=100-")]).await;
        assert_eq!((response.status, response.header("content-range")), (416, Some("bytes */9")));
        assert!(!is_hit(&response));
    }
    origin.answer(|_| Reply::new(200, &[("cache-control", "max-age=60")], "the whole"));
    assert_eq!(edge.get("/t").await.text(), "the whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_14_1_1_no_range_of_nothing_can_be_satisfied() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60")], "")).await;
    let edge = TestEdge::plain(&origin.address()).await;
    for path in ["/a", "/a", "/b"] {
        for range in ["bytes=-1", "bytes=-5", "bytes=0-", "bytes=-1,-2", "bytes=0-0,-1", "bytes=-0"] {
            let refused = edge.get_with(path, &[("range", range)]).await;
            assert_eq!((refused.status, refused.header("content-range")), (416, Some("bytes */0")), "{path} {range}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_15_5_17_a_416_of_the_edge_says_nothing_of_the_whole() {
    let origin = Origin::start(|_| {
        let headers = [
            ("cache-control", "max-age=60"),
            ("cdn-cache-control", "max-age=60"),
            ("surrogate-control", "max-age=60"),
            ("expires", "Fri, 31 Dec 2100 23:59:59 GMT"),
            ("etag", "\"v1\""),
            ("last-modified", "Thu, 01 Jan 2015 00:00:00 GMT"),
        ];
        Reply::new(200, &headers, pattern_bytes(1000))
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    for round in ["miss", "hit"] {
        for range in ["bytes=2000-", "bytes=-0"] {
            let response = edge.get_with("/t", &[("Range", range)]).await;
            assert_eq!((response.status, response.header("content-range")), (416, Some("bytes */1000")), "{round}");
            for name in ["cache-control", "cdn-cache-control", "surrogate-control", "expires", "etag", "last-modified"]
            {
                assert_eq!(response.header(name), None, "{round} {range} {name}");
            }
        }
    }
    assert_eq!(edge.get("/t").await.header("cache-control"), Some("max-age=60"), "the stored object has them still");
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_14_1_2_a_suffix_longer_than_can_be_counted_is_the_whole() {
    let origin = object().await;
    let edge = TestEdge::plain(&origin.address()).await;
    for round in ["miss", "hit"] {
        for range in ["bytes=-99999999999999999999", "bytes=0-0,-99999999999999999999"] {
            let response = edge.get_with("/t", &[("Range", range)]).await;
            assert_eq!((response.status, response.body.length), (200, 1000), "{round} {range}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9530_2_a_part_has_no_digest_of_the_whole_content() {
    let origin = Origin::start(|_| {
        let headers = [
            ("cache-control", "max-age=60"),
            ("content-digest", "sha-256=:YWJj:"),
            ("content-md5", "YWJj"),
            ("repr-digest", "sha-256=:YWJj:"),
        ];
        Reply::new(200, &headers, pattern_bytes(1000))
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    for (range, status) in [("bytes=0-9", 206), ("bytes=0-9,20-29", 206), ("bytes=2000-", 416)] {
        let part = edge.get_with("/t", &[("Range", range)]).await;
        assert_eq!((part.status, part.header("content-digest"), part.header("content-md5")), (status, None, None));
        assert_eq!(part.header("repr-digest"), Some("sha-256=:YWJj:"), "{range}");
    }
    assert_eq!(edge.get("/t").await.header("content-digest"), Some("sha-256=:YWJj:"));
}
