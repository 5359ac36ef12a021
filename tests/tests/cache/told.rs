//! What the cache says of itself: `Cache-Status` (RFC 9211), `X-Cache`, `Age` and `Date`.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply};

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
    assert_eq!(cache_status(&edge.request("GET", "/t", &[], b"x").await), ["fwd=bypass"]);
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
