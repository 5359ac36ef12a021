//! What viewers may ask of the cache (RFC 9111, section 5.2.1), by policy.

use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{counting, is_hit, let_expire, tells, with_policy};

const HOUR: &[(&str, &str)] = &[("cache-control", "max-age=3600"), ("age", "1800")];

/// Fills the cache, waits, and says whether a request with this field is a hit.
async fn hit_with(policy: &str, wish: (&'static str, &'static str)) -> bool {
    let origin = counting(HOUR).await;
    let edge = with_policy(&origin, policy).await;
    edge.get("/t").await;
    is_hit(&edge.get_with("/t", &[wish]).await)
}

const ASKING: [(&str, &str); 5] = [
    ("Cache-Control", "no-cache"),
    ("Cache-Control", "max-age=0"),
    ("Cache-Control", "max-age=600"),
    ("Cache-Control", "min-fresh=2000"),
    ("Pragma", "no-cache"),
];

#[tokio::test(flavor = "multi_thread")]
async fn by_default_viewers_cannot_pass_a_fresh_object() {
    for wish in ASKING {
        assert!(hit_with("", wish).await, "{wish:?}");
        assert!(hit_with("viewer_directives = \"ignore\"", wish).await, "{wish:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_5_2_1_directives_are_honoured_where_the_policy_says_so() {
    for wish in ASKING {
        assert!(!hit_with("viewer_directives = \"honour\"", wish).await, "{wish:?}");
    }
    for wish in [
        ("Cache-Control", "max-age=3000"),
        ("Cache-Control", "min-fresh=1000"),
        ("Pragma", "x"),
        ("Cache-Control", "x"),
    ] {
        assert!(hit_with("viewer_directives = \"honour\"", wish).await, "{wish:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_5_2_1_4_no_cache_revalidates_and_refreshes_the_object() {
    let origin = Origin::start(|request| {
        let status = if request.header("if-none-match").is_some() { 304 } else { 200 };
        Reply::new(
            status,
            &[("cache-control", "max-age=60"), ("etag", "\"v\"")],
            if status == 200 { "body" } else { "" },
        )
    })
    .await;
    let edge = with_policy(&origin, "viewer_directives = \"honour\"").await;
    edge.get("/t").await;
    let response = edge.get_with("/t", &[("Cache-Control", "no-cache")]).await;
    assert_eq!(response.text(), "body");
    assert!(
        tells(&response, "fwd=request") && tells(&response, "fwd-status=304"),
        "{:?}",
        response.header("cache-status")
    );
    assert!(is_hit(&edge.get("/t").await));
    assert_eq!(origin.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_5_2_1_2_max_stale_accepts_what_is_stale() {
    for (cache_control, wish, hit) in [
        ("max-age=1", "max-stale=1000", true),
        ("max-age=1", "max-stale", true),
        ("max-age=1", "max-stale=0", false),
        ("max-age=1, must-revalidate", "max-stale=1000", false),
        ("s-maxage=1", "max-stale=1000", false),
    ] {
        let origin = Origin::start(move |_| Reply::new(200, &[("cache-control", cache_control)], "body")).await;
        let edge = with_policy(&origin, "viewer_directives = \"honour\"").await;
        edge.get("/t").await;
        let_expire().await;
        let response = edge.get_with("/t", &[("Cache-Control", wish)]).await;
        assert_eq!(is_hit(&response), hit, "{cache_control} {wish}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trusted_viewers_may_ask_where_others_may_not() {
    for (trusted, hit) in [("127.0.0.1/32", false), ("192.0.2.0/24", true)] {
        let origin = counting(HOUR).await;
        let config = format!(
            "trusted_proxies = [\"{trusted}\"]\n[origins.main]\nurl = \"http://{{origin}}\"\n\
             [cache_policies.test]\nviewer_directives = \"trusted\"\n\
             [distributions.site]\nhosts = [\"{HOST}\"]\norigin = \"main\"\n\
             [[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"test\"\n"
        );
        let edge = TestEdge::start(&config, &origin.address()).await;
        edge.get("/t").await;
        assert_eq!(is_hit(&edge.get_with("/t", &[("Cache-Control", "no-cache")]).await), hit, "{trusted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_5_2_1_5_a_viewers_no_store_keeps_nobody_from_the_cache() {
    let origin = counting(&[("cache-control", "max-age=60")]).await;
    let edge = with_policy(&origin, "").await;
    edge.get_with("/t", &[("Cache-Control", "no-store")]).await;
    assert!(!is_hit(&edge.get("/t").await));
    assert!(tells(&edge.get("/t").await, "hit"), "the key is not remembered as uncacheable");
    assert!(is_hit(&edge.get_with("/t", &[("Cache-Control", "no-store")]).await), "a stored object may answer");
}
