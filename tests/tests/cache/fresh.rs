//! How long an object is fresh (RFC 9111, section 4.2), by the origin's word and the policy's limits. Real time is the
//! subject here; the tests sleep just over whole seconds, because lifetimes have no smaller unit.

use std::time::Duration;

use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{age, counting, is_hit, with_policy};

const OVER_ONE_SECOND: Duration = Duration::from_millis(2100);

#[tokio::test(flavor = "multi_thread")]
async fn an_object_becomes_stale() {
    let origin = counting(&[("cache-control", "max-age=1")]).await;
    let edge = with_policy(&origin, "").await;
    assert_eq!(edge.get("/t").await.text(), "1");
    assert_eq!(edge.get("/t").await.text(), "1");
    tokio::time::sleep(OVER_ONE_SECOND).await;
    assert_eq!(edge.get("/t").await.text(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_5_1_age_grows_and_counts_what_was_before() {
    let origin = counting(&[("cache-control", "max-age=600"), ("age", "100")]).await;
    let edge = with_policy(&origin, "").await;
    edge.get("/t").await;
    let first = age(&edge.get("/t").await).expect("a hit has an age");
    assert!((100..110).contains(&first), "{first}");
    tokio::time::sleep(OVER_ONE_SECOND).await;
    let second = age(&edge.get("/t").await).expect("a hit has an age");
    assert!(second > first && second < first + 10, "{first} and then {second}");
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_2_3_the_age_of_other_caches_shortens_the_life() {
    let origin = counting(&[("cache-control", "max-age=100"), ("age", "99")]).await;
    let edge = with_policy(&origin, "").await;
    edge.get("/t").await;
    tokio::time::sleep(OVER_ONE_SECOND).await;
    assert_eq!(edge.get("/t").await.text(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_4_2_1_s_maxage_wins_over_max_age_and_expires() {
    let origin =
        counting(&[("cache-control", "max-age=600, s-maxage=1"), ("expires", "Fri, 31 Dec 2100 23:59:59 GMT")]).await;
    let edge = with_policy(&origin, "").await;
    edge.get("/t").await;
    assert!(is_hit(&edge.get("/t").await));
    tokio::time::sleep(OVER_ONE_SECOND).await;
    assert_eq!(edge.get("/t").await.text(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn default_ttl_is_for_origins_that_say_nothing() {
    let origin = counting(&[]).await;
    let edge = with_policy(&origin, "default_ttl = \"1s\"").await;
    edge.get("/t").await;
    assert!(is_hit(&edge.get("/t").await));
    tokio::time::sleep(OVER_ONE_SECOND).await;
    assert_eq!(edge.get("/t").await.text(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn min_ttl_lengthens_a_short_life() {
    let origin = counting(&[("cache-control", "max-age=1")]).await;
    let edge = with_policy(&origin, "min_ttl = \"60s\"\ndefault_ttl = \"60s\"").await;
    edge.get("/t").await;
    tokio::time::sleep(OVER_ONE_SECOND).await;
    assert_eq!(edge.get("/t").await.text(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn min_ttl_does_not_store_what_must_not_be_stored() {
    for forbidden in [("cache-control", "no-store"), ("cache-control", "private"), ("set-cookie", "a=1")] {
        let origin = Origin::start(move |_| Reply::new(200, &[forbidden], "x")).await;
        let edge = with_policy(&origin, "min_ttl = \"60s\"\ndefault_ttl = \"60s\"").await;
        edge.get("/t").await;
        edge.get("/t").await;
        assert_eq!(origin.count(), 2, "{forbidden:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn max_ttl_shortens_a_long_life() {
    let origin = counting(&[("cache-control", "max-age=3600")]).await;
    let edge = with_policy(&origin, "max_ttl = \"1s\"").await;
    edge.get("/t").await;
    assert!(is_hit(&edge.get("/t").await));
    tokio::time::sleep(OVER_ONE_SECOND).await;
    assert_eq!(edge.get("/t").await.text(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9111_5_4_pragma_in_a_response_says_nothing() {
    let origin = counting(&[("pragma", "no-cache")]).await;
    let edge = with_policy(&origin, "default_ttl = \"1h\"").await;
    edge.get("/t").await;
    assert!(is_hit(&edge.get("/t").await));
}

/// CloudFront, "How CloudFront processes HTTP 4xx and 5xx status codes from your origin": its error caching minimum TTL is 10 s
/// if nobody says otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn presets_keep_errors_for_ten_seconds() {
    let origin = Origin::start(|request| {
        let mut parts = request.target().trim_start_matches('/').splitn(2, '/');
        let status = parts.next().and_then(|status| status.parse().ok()).unwrap_or(200);
        match parts.next() {
            Some(said) if !said.is_empty() => Reply::new(status, &[("cache-control", said)], "no"),
            _ => Reply::new(status, &[], "no"),
        }
    })
    .await;
    let start = |policy: &str| {
        let config = format!(
            "[origins.main]\nurl = \"http://{{origin}}\"\n[distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
             [[distributions.site.behaviors]]\npath = \"*\"\n{policy}"
        );
        let address = origin.address();
        async move { edgeweir_tests::edge::TestEdge::start(&config, &address).await }
    };
    let named = |name: &str| format!("cache_policy = \"{name}\"\n");
    for policy in ["UseOriginCacheControlHeaders", "CachingOptimized", "Amplify"].map(named) {
        let edge = start(&policy).await;
        for (target, ttl) in [
            ("/404/", Some(10)),
            ("/414/", Some(10)),
            ("/500/", Some(10)),
            ("/501/", Some(10)),
            ("/502/", Some(10)),
            ("/503/", Some(10)),
            ("/504/", Some(10)),
            ("/503/max-age=1", Some(10)),
            ("/503/max-age=60", Some(60)),
            ("/403/", None),
            ("/403/max-age=60", Some(60)),
            ("/429/max-age=60", None),
            // RFC 9111 goes before CloudFront.
            ("/500/no-store", None),
            ("/500/private", None),
            ("/500/no-cache", None),
        ] {
            let miss = edge.get(target).await;
            let status: u16 = target.split('/').nth(1).and_then(|status| status.parse().ok()).expect("a status");
            assert_eq!((miss.status, is_hit(&miss)), (status, false), "{target}, {policy}");
            let hit = edge.get(target).await;
            assert_eq!((hit.status, is_hit(&hit)), (status, ttl.is_some()), "{target}, {policy}");
            if let Some(ttl) = ttl {
                let told = crate::support::cache_status(&hit);
                let left = told.iter().find_map(|word| word.strip_prefix("ttl=")?.parse::<i64>().ok()).expect("a ttl");
                assert!((ttl - 5..=ttl).contains(&left), "{target}, {policy}: {told:?}");
            }
        }
    }
    let disabled = start(&named("CachingDisabled")).await;
    let own = start(&format!("{}[cache_policies.own]\n", named("own"))).await;
    // Who names none gets HTTP's rules, though it is one of these policies otherwise.
    let unnamed = start("").await;
    for edge in [disabled, own, unnamed] {
        for _ in 0..2 {
            assert!(!is_hit(&edge.get("/503/").await));
        }
    }
}
