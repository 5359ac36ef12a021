//! What the cache says of itself: `Cache-Status` (RFC 9211), `X-Cache`, `Age` and `Date`.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply};

use serde_json::json;

use crate::support::{age, cache_status, counting, is_hit, let_expire, tells, with_policy};

#[tokio::test(flavor = "multi_thread")]
async fn rfc9211_2_2_why_a_request_went_forward() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60"), ("vary", "x-a")], "body")).await;
    let edge = with_policy(&origin, "").await;
    for (header, word) in
        [("1", "fwd=uri-miss"), ("2", "fwd=vary-miss"), ("3", "fwd=vary-miss"), ("1", "hit"), ("3", "hit")]
    {
        let response = edge.get_with("/t", &[("X-A", header)]).await;
        assert!(tells(&response, word), "{header}: {:?}", cache_status(&response));
        assert_eq!(tells(&response, "stored"), word != "hit", "{header}");
        assert!(cache_status(&response).iter().any(|word| word.starts_with("ttl=")), "{header}");
    }
    assert_eq!(cache_status(&edge.request("DELETE", "/t", &[], b"").await), ["fwd=method"]);
    assert_eq!(cache_status(&edge.request("POST", "/t", &[], b"x").await), ["fwd=method"]);
    assert_eq!(cache_status(&edge.request("GET", "/t", &[], b"x").await), ["fwd=bypass", "detail=request-body"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_looked_up_says_why() {
    let origin =
        Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60"), ("etag", "\"v\"")], "body")).await;
    let edge = with_policy(&origin, "").await;
    let conditional = edge.get_with("/t", &[("If-Match", "\"v\"")]).await;
    assert_eq!(cache_status(&conditional), ["fwd=bypass", "detail=condition"]);
    let off = with_policy(&origin, "min_ttl = \"0s\"\ndefault_ttl = \"0s\"\nmax_ttl = \"0s\"").await;
    assert_eq!(cache_status(&off.get("/t").await), ["fwd=bypass", "detail=disabled"]);
    for (edge, why) in [(&edge, "condition"), (&off, "disabled")] {
        let line = &edge.log_lines(1).await[0];
        assert_eq!((&line["cache"], &line["cache_why"]), (&json!("bypass"), &json!(why)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_key_says_why_this_answer_is_not_stored_either() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "no-store")], "body")).await;
    let edge = with_policy(&origin, "").await;
    assert_eq!(cache_status(&edge.get("/t").await), ["fwd=uri-miss", "fwd-status=200", "detail=no-store"]);
    origin.answer(|_| Reply::new(200, &[("cache-control", "private")], "body"));
    for method in ["GET", "HEAD", "GET"] {
        let told = cache_status(&edge.request(method, "/t", &[], b"").await);
        assert_eq!(told, ["fwd=bypass", "fwd-status=200", "detail=private"], "{method}");
    }
    let lines = edge.log_lines(4).await;
    assert_eq!((&lines[0]["cache"], &lines[0]["cache_why"]), (&json!("miss"), &json!("no-store")));
    for line in &lines[1..] {
        assert_eq!((&line["cache"], &line["cache_why"]), (&json!("bypass"), &json!("private")));
    }
    origin.answer(|_| Reply::new(200, &[("cache-control", "max-age=60")], "body"));
    assert_eq!(cache_status(&edge.get("/t").await), ["fwd=bypass", "fwd-status=200", "detail=deferred"]);
    assert!(tells(&edge.get("/t").await, "stored"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9211_2_2_what_was_stale_is_no_miss_though_its_successor_is_not_stored() {
    for (status, control, detail) in
        [(200, "no-store", "no-store"), (404, "no-cache", "no-cache"), (503, "private", "private")]
    {
        let stored = [("cache-control", "max-age=1, must-revalidate")];
        let origin = Origin::start(move |_| Reply::new(200, &stored, "body")).await;
        let edge = with_policy(&origin, "").await;
        edge.get("/t").await;
        let_expire().await;
        origin.answer(move |_| Reply::new(status, &[("cache-control", control)], "new"));
        let told = cache_status(&edge.get("/t").await);
        assert_eq!(told, ["fwd=stale", &format!("fwd-status={status}"), &format!("detail={detail}")]);
        assert_eq!(edge.log_lines(2).await[1]["cache"], "expired");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9211_answers_of_the_edge_itself_say_what_the_cache_did() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=1, must-revalidate")], "body")).await;
    let edge = with_policy(&origin, "").await;
    let only = [("Cache-Control", "only-if-cached")];
    let cold = edge.get_with("/t", &only).await;
    assert_eq!((cold.status, cache_status(&cold)), (504, vec!["detail=not-stored".to_owned()]));
    edge.get("/t").await;
    let_expire().await;
    let stale = edge.get_with("/t", &only).await;
    assert_eq!((stale.status, cache_status(&stale)), (504, vec!["detail=not-stored".to_owned()]));
    origin.answer(|_| Reply::new(304, &[], ""));
    let unasked = edge.get("/new").await;
    assert_eq!(
        (unasked.status, cache_status(&unasked)),
        (502, ["fwd=uri-miss", "fwd-status=304", "detail=origin-protocol"].map(str::to_owned).to_vec())
    );
    drop(origin);
    for (target, forward) in [("/new", "fwd=uri-miss"), ("/t", "fwd=stale")] {
        let dead = edge.get(target).await;
        assert_eq!(
            (dead.status, cache_status(&dead)),
            (502, vec![forward.to_owned(), "detail=origin-connect".to_owned()])
        );
    }
    assert_eq!(edge.request("BREW", "/t", &[], b"").await.header("cache-status"), None, "the cache had no part in it");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9211_2_8_why_nothing_was_stored() {
    for (cache_control, detail) in
        [("no-store", "no-store"), ("private", "private"), ("no-cache", "no-cache"), ("max-age=0", "ttl-zero")]
    {
        let origin = Origin::start(move |_| Reply::new(200, &[("cache-control", cache_control)], "body")).await;
        let edge = with_policy(&origin, "").await;
        let response = edge.get("/t").await;
        assert!(tells(&response, &format!("detail={detail}")), "{:?}", cache_status(&response));
        assert_eq!(edge.log_lines(1).await[0]["cache_why"], detail);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn x_cache_speaks_cloudfronts_words_where_the_policy_says_so() {
    let origin = Origin::start(|request| match (request.target(), request.header("if-none-match")) {
        ("/missing", _) => Reply::new(404, &[], "no"),
        (_, Some(_)) => Reply::new(304, &[("cache-control", "max-age=1"), ("etag", "\"v\"")], ""),
        _ => Reply::new(200, &[("cache-control", "max-age=1"), ("etag", "\"v\"")], "body"),
    })
    .await;
    let edge = with_policy(&origin, "x_cache = true").await;
    let said = |response: edgeweir_tests::raw::Response| response.header("x-cache").map(str::to_owned);
    assert_eq!(said(edge.get("/t").await).as_deref(), Some("Miss from cloudfront"));
    assert_eq!(said(edge.get("/t").await).as_deref(), Some("Hit from cloudfront"));
    let_expire().await;
    assert_eq!(said(edge.get("/t").await).as_deref(), Some("RefreshHit from cloudfront"));
    assert_eq!(said(edge.get("/missing").await).as_deref(), Some("Error from cloudfront"));
    assert_eq!(said(edge.request("BREW", "/t", &[], b"").await).as_deref(), Some("Error from cloudfront"));
    let silent = with_policy(&origin, "").await;
    assert_eq!(said(silent.get("/t").await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_6_6_1_a_stored_answer_keeps_its_date() {
    const DAY: &str = "Thu, 01 Jan 2015 00:00:00 GMT";
    let origin = counting(&[("cdn-cache-control", "max-age=2000000000"), ("date", DAY)]).await;
    let edge = with_policy(&origin, "max_ttl = \"365d\"\nmin_ttl = \"1h\"\ndefault_ttl = \"1h\"").await;
    for hit in [false, true] {
        let response = edge.get("/t").await;
        assert_eq!((is_hit(&response), response.header_all("date")), (hit, vec![DAY]));
    }
}

/// The connection writes the edge's own fields behind pingora's head, whatever its size, and `Date` in the place of pingora's.
#[tokio::test(flavor = "multi_thread")]
async fn the_edges_own_fields_are_there_once_also_in_a_large_head() {
    const DAY: &str = "Thu, 01 Jan 2015 00:00:00 GMT";
    let large = "x".repeat(7000);
    for parts in [0, 3] {
        let parts: Vec<(String, String)> = (0..parts).map(|nth| (format!("x-part-{nth}"), large.clone())).collect();
        let origin = Origin::start(move |_| {
            let of_origin = [
                ("cdn-cache-control", "max-age=2000000000"),
                ("date", DAY),
                ("x-request-id", "its"),
                ("via", "1.1 other"),
            ];
            let parts = parts.iter().map(|(name, value)| (&**name, &**value));
            Reply::new(200, &of_origin.into_iter().chain(parts).collect::<Vec<_>>(), "body")
        })
        .await;
        let edge = with_policy(&origin, "max_ttl = \"365d\"\nmin_ttl = \"1h\"\ndefault_ttl = \"1h\"").await;
        for hit in [false, true] {
            let response = edge.get("/t").await;
            assert_eq!(
                (is_hit(&response), response.text(), response.header_all("date")),
                (hit, "body".into(), vec![DAY])
            );
            assert_eq!(response.header_all("via"), ["1.1 other", "1.1 edgeweir"]);
            assert_eq!(response.header_all("cache-status").len(), 1);
            let ids = response.header_all("x-request-id");
            assert!(matches!(&ids[..], [id] if id.len() == 32), "{ids:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_6_6_1_an_answer_without_a_date_gets_the_one_of_its_arrival() {
    for fields in [&[("cache-control", "max-age=600")][..], &[("cache-control", "max-age=600"), ("date", "today")]] {
        let origin = Origin::start(move |_| Reply::new(200, fields, "body")).await;
        let edge = TestEdge::plain(&origin.address()).await;
        let stored = edge.get("/t").await.header("date").map(str::to_owned);
        assert!(stored.as_ref().is_some_and(|date| date.ends_with(" GMT")), "{stored:?}");
        let_expire().await;
        let hit = edge.get("/t").await;
        assert_eq!(hit.header("date").map(str::to_owned), stored);
        assert!(age(&hit).is_some_and(|age| age >= 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_6_6_1_a_304_without_a_date_makes_what_it_confirms_as_new_as_itself() {
    let origin = Origin::start(|request| {
        let told = [("cache-control", "max-age=1"), ("etag", "\"v\""), ("date", "Thu, 01 Jan 2015 00:00:00 GMT")];
        match request.header("if-none-match") {
            Some(_) => Reply::new(304, &[("cache-control", "max-age=600")], ""),
            None => Reply::new(200, &told, "body"),
        }
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    for _ in 0..2 {
        let date = edge.get("/t").await.header("date").expect("a date").to_owned();
        assert!(!date.contains("2015"), "{date}");
    }
    assert!(age(&edge.get("/t").await).is_some_and(|age| age <= 1));
    assert_eq!(origin.count(), 2);
}
