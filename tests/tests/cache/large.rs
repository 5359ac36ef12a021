//! Objects that are too large to store stream through whole.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Reply, Step, pattern_bytes};
use edgeweir_tests::wire::Sum;

use crate::support::{cache_status, is_hit};

const CONFIG: &str = r#"
    [cache]
    capacity = "4MiB"
    max_object = "100KiB"
    [origins.main]
    url = "http://{origin}"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
"#;

async fn not_stored(reply: Reply, length: u64) {
    let origin = Origin::start(move |_| reply.clone()).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut sum = Sum::default();
    sum.add(&pattern_bytes(length));
    for _ in 0..2 {
        let response = edge.get("/t").await;
        assert_eq!((response.status, response.body.length, response.body.sum), (200, length, sum.0));
    }
    assert_eq!(origin.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_over_the_limit_is_passed_on_and_not_stored() {
    not_stored(Reply::large(&[("cache-control", "max-age=60")], 1_000_000), 1_000_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_object_over_the_limit_is_passed_on_and_not_stored() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncache-control: max-age=60\r\n\r\n";
    let steps = vec![Step::Send(head.into()), Step::FillChunks(1_000_000), Step::Send("0\r\n\r\n".into())];
    not_stored(Reply::script(steps), 1_000_000).await;
}

/// A body of this size in chunks.
fn chunked(size: u64) -> Reply {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncache-control: max-age=60\r\n\r\n";
    Reply::script(vec![Step::Send(head.into()), Step::FillChunks(size), Step::Send("0\r\n\r\n".into())])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_body_turned_out_too_large_is_remembered_until_one_is_small() {
    let origin = Origin::start(|_| chunked(1_000_000)).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let told = async |method: &str| cache_status(&edge.request(method, "/t", &[], b"").await);
    assert!(told("GET").await.contains(&"fwd=uri-miss".to_owned()));
    for method in ["GET", "HEAD", "GET"] {
        assert_eq!(told(method).await, ["fwd=bypass", "fwd-status=200", "detail=too-large"], "{method}");
    }
    edge.get_with("/t", &[("Range", "bytes=0-3")]).await;
    let asked = origin.requests().pop().expect("a request");
    assert_eq!(asked.header("range"), Some("bytes=0-3"), "ranges go to the origin as they are");
    origin.answer(|_| chunked(1_000));
    assert_eq!(
        told("GET").await,
        ["fwd=bypass", "fwd-status=200", "detail=too-large"],
        "its length is known at its end"
    );
    assert!(told("GET").await.contains(&"stored".to_owned()));
    assert!(is_hit(&edge.get("/t").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_under_the_limit_is_stored() {
    let origin = Origin::start(|_| Reply::large(&[("cache-control", "max-age=60")], 90_000)).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    for _ in 0..3 {
        assert_eq!(edge.get("/t").await.body.bytes, pattern_bytes(90_000));
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_stays_within_its_capacity() {
    let origin = Origin::start(|_| Reply::large(&[("cache-control", "max-age=60")], 90_000)).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    for number in 0..150 {
        assert_eq!(edge.get(&format!("/{number}")).await.status, 200);
    }
    let mut bytes = f64::NAN;
    for _ in 0..100 {
        bytes = edge.metric("edgeweir_cache_bytes", &[]).await;
        if bytes <= f64::from(4 << 20) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(bytes > 0.0 && bytes <= f64::from(4 << 20), "{bytes} bytes");
    assert_eq!(edge.get("/149").await.status, 200);
}
