//! What is let into the store: by how often it was asked for (`admit_after`), and by the eviction policy.

use edgeweir_tests::edge::{HOST, Setup};
use edgeweir_tests::origin::{Origin, Reply};

use crate::support::{cache_status, counting, is_hit, tells, with_policy};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_once_is_not_stored() {
    let origin = counting(&[("cache-control", "max-age=600")]).await;
    let edge = with_policy(&origin, "admit_after = 3").await;
    for number in 1..=3 {
        let response = edge.get("/t").await;
        assert_eq!(response.text(), number.to_string());
        assert_eq!(tells(&response, "stored"), number == 3, "{:?}", cache_status(&response));
        assert_eq!(tells(&response, "detail=deferred"), number < 3, "{:?}", cache_status(&response));
    }
    assert!(is_hit(&edge.get("/t").await));
    assert!(!tells(&edge.get("/other").await, "stored"), "each key has its own count");
}

#[tokio::test(flavor = "multi_thread")]
async fn until_then_requests_pass_as_they_are_but_for_what_is_not_in_the_key() {
    let origin = counting(&[("cache-control", "max-age=600")]).await;
    let edge = with_policy(&origin, "admit_after = 2").await;
    let headers = [("Range", "bytes=0-0"), ("Cookie", "a=1"), ("If-None-Match", "\"x\"")];
    edge.request("HEAD", "/t?a", &headers, b"").await;
    let request = origin.only_request();
    assert_eq!((request.method(), request.target()), ("HEAD", "/t?a"));
    assert_eq!((request.header("range"), request.header("cookie")), (Some("bytes=0-0"), None));
    assert_eq!(request.header("if-none-match"), Some("\"x\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_have_to_come_in_time() {
    let origin = counting(&[("cache-control", "max-age=600")]).await;
    let edge = with_policy(&origin, "admit_after = 2\nadmit_within = \"1s\"").await;
    edge.get("/t").await;
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    assert!(!tells(&edge.get("/t").await, "stored"));
}

/// Hits, of 150, of fifteen objects that are asked for again and again, in a cache with room for 20, beside a crawler that asks
/// for thirty others in between.
async fn hits_of_the_popular(eviction: &str) -> usize {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=600")], vec![b'x'; 50_000])).await;
    let config = format!(
        "[cache]\ncapacity = \"1MiB\"\nmax_object = \"256KiB\"\neviction = \"{eviction}\"\n\
         [origins.main]\nurl = \"http://{{origin}}\"\n\
         [cache_policies.test]\nmax_ttl = \"1h\"\n\
         [distributions.site]\nhosts = [\"{HOST}\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"test\"\n"
    );
    let edge = Setup::new(&config).set("origin", &origin.address()).start().await;
    let mut hits = 0;
    for round in 0..15 {
        for number in 0..15 {
            hits += usize::from(is_hit(&edge.get(&format!("/popular/{number}")).await) && round > 4);
        }
        // A crawler: each once.
        for number in 0..30 * usize::from(round > 3) {
            assert_eq!(edge.get(&format!("/once/{round}/{number}")).await.body.length, 50_000);
        }
    }
    hits
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crawler_does_not_push_out_what_is_popular_unless_the_policy_is_lru() {
    let (lfu, lru) = (hits_of_the_popular("tinylfu").await, hits_of_the_popular("lru").await);
    assert!(lfu > 100 && lru < lfu / 2, "of 150: tinylfu {lfu}, lru {lru}");
}
