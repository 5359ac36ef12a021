//! What is stored (RFC 9111, section 3), and how it is told (RFC 9211).

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{age, cache_status, counting, is_hit, with_policy};

#[tokio::test(flavor = "multi_thread")]
async fn the_second_request_is_a_hit() {
    let origin = counting(&[("cache-control", "max-age=60"), ("x-a", "1"), ("content-type", "text/x")]).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let miss = edge.get("/t").await;
    // A line is written after its answer has gone out: the next request might overtake it.
    edge.log_lines(1).await;
    let hit = edge.get("/t").await;
    assert_eq!((miss.text().as_str(), hit.text().as_str()), ("1", "1"));
    assert_eq!(origin.count(), 1);
    assert_eq!((hit.header("x-a"), hit.header("content-type")), (Some("1"), Some("text/x")));
    let told = cache_status(&miss);
    assert!(told.contains(&"fwd=uri-miss".to_owned()) || told.contains(&"fwd=miss".to_owned()), "{told:?}");
    assert!(told.contains(&"fwd-status=200".to_owned()) && told.contains(&"stored".to_owned()), "{told:?}");
    assert!(is_hit(&hit), "{:?}", hit.header("cache-status"));
    let ttl = cache_status(&hit).iter().find_map(|word| word.strip_prefix("ttl=")?.parse::<i64>().ok());
    assert!(ttl.is_some_and(|ttl| (50..=60).contains(&ttl)), "{:?}", hit.header("cache-status"));
    assert!(age(&hit).is_some_and(|age| age < 10), "{:?}", hit.header("age"));
    assert_eq!(age(&miss), None, "a fresh answer of the origin has no age");
    let lines = edge.log_lines(2).await;
    assert_eq!((lines[0]["cache"].as_str(), lines[1]["cache"].as_str()), (Some("miss"), Some("hit")));
}

/// Sends the same request three times; all of them reach the origin.
async fn never_stored(headers: &'static [(&'static str, &'static str)], request: &[(&str, &str)]) {
    let origin = counting(headers).await;
    let edge = TestEdge::plain(&origin.address()).await;
    for turn in 1..=3 {
        let response = edge.get_with("/t", request).await;
        assert_eq!(response.text(), turn.to_string(), "{headers:?} {request:?}");
        assert!(!is_hit(&response), "{headers:?} {request:?}");
        assert!(!cache_status(&response).contains(&"stored".to_owned()), "{headers:?} {request:?}");
    }
    assert_eq!(origin.count(), 3, "{headers:?} {request:?}");
}

/// Sends the same request twice; the second is a hit.
async fn stored(headers: &'static [(&'static str, &'static str)], request: &[(&str, &str)]) {
    let origin = counting(headers).await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get_with("/t", request).await;
    assert!(is_hit(&edge.get_with("/t", request).await), "{headers:?} {request:?}");
    assert_eq!(origin.count(), 1, "{headers:?} {request:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_3_what_the_origin_forbids_is_not_stored() {
    never_stored(&[("cache-control", "no-store")], &[]).await;
    never_stored(&[("cache-control", "no-store, max-age=60")], &[]).await;
    never_stored(&[("cache-control", "max-age=60"), ("cache-control", "No-Store")], &[]).await;
    never_stored(&[("cache-control", "max-age=60, private")], &[]).await;
    never_stored(&[("cache-control", "private=x-a, max-age=60")], &[]).await;
    never_stored(&[("cache-control", "max-age=60, no-cache")], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_meant_for_one_viewer_is_not_stored() {
    never_stored(&[("cache-control", "max-age=60"), ("set-cookie", "session=1")], &[]).await;
    never_stored(&[("cache-control", "public, max-age=60"), ("set-cookie", "session=1")], &[]).await;
    never_stored(&[("cache-control", "max-age=60"), ("vary", "*")], &[]).await;
    never_stored(&[("cache-control", "max-age=60"), ("vary", "accept, *")], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_3_5_answers_to_authorization_are_stored_only_when_the_origin_says_so() {
    let authorized = [("Authorization", "Basic eDp5")];
    never_stored(&[("cache-control", "max-age=60")], &authorized).await;
    stored(&[("cache-control", "public, max-age=60")], &authorized).await;
    stored(&[("cache-control", "s-maxage=60")], &authorized).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stale_at_once_is_not_stored() {
    never_stored(&[("cache-control", "max-age=0")], &[]).await;
    never_stored(&[("cache-control", "max-age=60, s-maxage=0")], &[]).await;
    never_stored(&[("expires", "Thu, 01 Jan 1970 00:00:00 GMT")], &[]).await;
    never_stored(&[("expires", "0")], &[]).await;
    never_stored(&[("cache-control", "max-age=60"), ("age", "60")], &[]).await;
    never_stored(&[("cache-control", "max-age=soon")], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_of_the_origin_is_not_stored_by_the_default_policy() {
    never_stored(&[], &[]).await;
    never_stored(&[("last-modified", "Thu, 01 Jan 2015 00:00:00 GMT"), ("etag", "\"1\"")], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_5_2_1_5_a_viewers_no_store_is_heeded() {
    never_stored(&[("cache-control", "max-age=60")], &[("Cache-Control", "no-store")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewers_no_cache_does_not_empty_the_cache() {
    stored(&[("cache-control", "max-age=60")], &[("Cache-Control", "no-cache"), ("Pragma", "no-cache")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explicit_lifetimes_are_stored() {
    stored(&[("cache-control", "max-age=60")], &[]).await;
    stored(&[("cache-control", "max-age=0, s-maxage=60")], &[]).await;
    stored(&[("Cache-Control", "MAX-AGE=60")], &[]).await;
    stored(&[("expires", "Fri, 31 Dec 2100 23:59:59 GMT")], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_get_and_head_are_stored() {
    let origin = counting(&[("cache-control", "max-age=60")]).await;
    let edge = TestEdge::plain(&origin.address()).await;
    for (turn, method) in ["POST", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "OPTIONS"].iter().enumerate() {
        let response = edge.request(method, "/t", &[("Content-Length", "0")], b"").await;
        assert_eq!(response.text(), (turn + 1).to_string(), "{method}");
    }
    assert_eq!(edge.get("/t").await.text(), "8", "what POST got is not what GET gets");
    assert_eq!(edge.get("/t").await.text(), "8");
    assert_eq!(edge.request("POST", "/t", &[("Content-Length", "0")], b"").await.text(), "9", "POST is no hit");
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_that_are_no_answer_for_all_are_not_stored() {
    for status in [206, 302, 400, 401, 403, 500, 502, 503] {
        let origin = Origin::start(move |_| Reply::new(status, &[("content-range", "bytes 0-0/9")], "x")).await;
        let edge = TestEdge::plain(&origin.address()).await;
        for _ in 0..2 {
            assert_eq!(edge.get("/t").await.status, status);
        }
        assert_eq!(origin.count(), 2, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_3_partial_answers_are_never_stored() {
    let reply = || Reply::new(206, &[("content-range", "bytes 0-3/9"), ("cache-control", "max-age=60")], "part");
    let origin = Origin::start(move |_| reply()).await;
    let edge = TestEdge::plain(&origin.address()).await;
    for _ in 0..2 {
        assert_eq!(edge.get("/t").await.text(), "part");
    }
    assert_eq!(origin.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edges_own_faults_are_never_stored() {
    let origin = Origin::start(|_| edgeweir_tests::hostile::garbage()).await;
    let edge = TestEdge::plain(&origin.address()).await;
    assert_eq!(edge.get("/t").await.status, 502);
    origin.answer(|_| Reply::new(200, &[("cache-control", "max-age=60")], "fine"));
    assert_eq!(edge.get("/t").await.text(), "fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_responses_are_never_served_again() {
    let origin = Origin::start(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\ncache-control: max-age=60\r\n\r\nhalf").then_close()
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    for target in ["/length", "/chunked"] {
        if target == "/chunked" {
            let head =
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncache-control: max-age=60\r\n\r\n4\r\nhalf\r\n";
            origin.answer(move |_| Reply::raw(head).then_close());
        }
        let mut raw = edge.connect().await;
        raw.send(format!("GET {target} HTTP/1.1\r\nHost: site.test\r\n\r\n")).await;
        let first = edgeweir_tests::wait::deadline("an answer or its end", raw.try_response_to("GET")).await;
        assert!(first.is_err() || first.is_ok_and(|response| response.status == 502), "{target}: half is no whole");
    }
    origin.answer(|_| Reply::new(200, &[("cache-control", "max-age=60")], "whole"));
    for target in ["/length", "/chunked"] {
        assert_eq!(edge.get(target).await.text(), "whole", "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_leaves_does_not_leave_half_an_object() {
    let gate = edgeweir_tests::gate::Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(move |_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\ncache-control: max-age=60\r\n\r\nhalf";
        Reply::script([
            edgeweir_tests::origin::Step::Send(head.into()),
            edgeweir_tests::origin::Step::Hold(hold.clone()),
            edgeweir_tests::origin::Step::Send("rest".into()),
        ])
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    raw.peek_at_least(20).await;
    drop(raw);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    gate.open();
    for _ in 0..2 {
        assert_eq!(edge.get("/t").await.text(), "halfrest");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_disables_caching_stores_nothing() {
    let origin = counting(&[("cache-control", "max-age=60")]).await;
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
    for turn in 1..=3 {
        assert_eq!(edge.get("/t").await.text(), turn.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_5_2_1_7_only_if_cached_is_504_on_a_miss() {
    let origin = counting(&[("cache-control", "max-age=60")]).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let wish = [("Cache-Control", "only-if-cached")];
    assert_eq!(edge.get_with("/t", &wish).await.status, 504);
    assert_eq!(origin.count(), 0);
    edge.get("/t").await;
    assert_eq!(edge.get_with("/t", &wish).await.text(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_survives_a_reload() {
    let origin = counting(&[("cache-control", "max-age=60")]).await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    let config = format!("{}\n[[distributions.site.behaviors]]\npath = \"*\"\n", edgeweir_tests::edge::PLAIN);
    edge.reload(&config).await.expect("a good config");
    assert_eq!(edge.get("/t").await.text(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_can_store_answers_without_their_cookies() {
    let origin = counting(&[("cache-control", "max-age=60"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]).await;
    let edge = with_policy(&origin, "set_cookie = \"strip\"").await;
    assert_eq!(edge.get("/t").await.header_all("set-cookie"), ["a=1", "b=2"], "it was made for this viewer");
    let hit = edge.get("/t").await;
    assert_eq!((is_hit(&hit), hit.header_all("set-cookie")), (true, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_stored_for_as_long_as_the_policy_says() {
    for (status, fields, hit) in
        [(404, &[][..], true), (503, &[], true), (410, &[("cache-control", "max-age=60")], false), (502, &[], false)]
    {
        let origin = Origin::start(move |_| Reply::new(status, fields, "no")).await;
        let policy = "errors = { 404 = \"1m\", 503 = \"1m\", 410 = \"0s\" }";
        let edge = with_policy(&origin, policy).await;
        edge.get("/t").await;
        let second = edge.get("/t").await;
        assert_eq!((second.status, is_hit(&second)), (status, hit), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_2_2_a_lifetime_is_guessed_where_the_policy_says_so() {
    for (policy, hit) in [("heuristic = true", true), ("", false)] {
        let origin = counting(&[("last-modified", "Thu, 01 Jan 2015 00:00:00 GMT")]).await;
        let edge = with_policy(&origin, policy).await;
        edge.get("/t").await;
        assert_eq!(is_hit(&edge.get("/t").await), hit, "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_3_statuses_with_a_lifetime_are_stored() {
    for status in [200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599] {
        let origin = Origin::start(move |_| {
            Reply::new(status, &[("cache-control", "max-age=60")], if status == 204 { "" } else { "body" })
        })
        .await;
        let edge = TestEdge::plain(&origin.address()).await;
        for turn in ["first", "second"] {
            let response = edge.get("/t").await;
            assert_eq!((response.status, is_hit(&response)), (status, turn == "second"), "{status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_the_policy_forbids_to_store_says_so() {
    let origin = Origin::start(|_| Reply::new(503, &[("cache-control", "max-age=60")], "down")).await;
    let edge = with_policy(&origin, "errors = { 503 = \"0s\" }").await;
    assert_eq!(cache_status(&edge.get("/t").await), ["fwd=uri-miss", "fwd-status=503", "detail=error-ttl-zero"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_15_2_interim_answers_pass_and_the_final_one_is_stored() {
    let origin = Origin::start(|_| {
        Reply::raw(
            "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n\
             HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncache-control: max-age=60\r\n\r\nbody",
        )
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    assert_eq!(edge.get("/t").await.text(), "body");
    let hit = edge.get("/t").await;
    assert_eq!((is_hit(&hit), hit.text().as_str(), hit.header("link")), (true, "body", None));
}
