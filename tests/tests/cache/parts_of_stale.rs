//! HEAD, conditions and ranges of stale objects: when the origin confirms them, when one covers its failure, and while it is
//! fetched again. What the viewer gets must be what it would get of a fresh one.

use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::http2::{Client, request};
use edgeweir_tests::origin::{Origin, Reply, pattern_bytes};

use crate::support::{let_expire, with_policy};

const TOLD: &[(&str, &str)] = &[("cache-control", "max-age=1, stale-if-error=600"), ("etag", "\"v1\"")];

/// An edge with stale objects `/0` to `/9`, whose origin answers with this from now on.
async fn stale(told: &'static [(&'static str, &'static str)], status: u16) -> (TestEdge, Origin) {
    let origin = Origin::start(move |_| Reply::new(200, told, pattern_bytes(1000))).await;
    let edge = with_policy(&origin, "").await;
    for target in 0..10 {
        edge.get(&format!("/{target}")).await;
    }
    let_expire().await;
    origin.answer(move |_| Reply::new(status, if status == 304 { told } else { &[] }, ""));
    (edge, origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_13_14_stale_objects_have_heads_conditions_and_parts_like_fresh_ones() {
    const BEHIND: &[(&str, &str)] = &[("cache-control", "max-age=1, stale-while-revalidate=600"), ("etag", "\"v1\"")];
    let body = pattern_bytes(1000);
    for (told, status) in [(TOLD, 304), (TOLD, 503), (BEHIND, 304), (BEHIND, 503)] {
        let (edge, _origin) = stale(told, status).await;
        let mut http2 = Client::connect(edge.address()).await;
        let mut target = 0..10;
        for (method, field, wanted, length) in [
            ("GET", ("range", "bytes=5-9"), 206, Some(5)),
            ("GET", ("range", "bytes=2000-"), 416, Some(0)),
            ("GET", ("if-none-match", "\"v1\""), 304, Some(0)),
            ("HEAD", ("x-a", "b"), 200, Some(0)),
            ("GET", ("range", "bytes=0-1,10-11"), 206, None),
        ] {
            let case = format!("{told:?} {status}: {method} {field:?}");
            let mut next = || format!("/{}", target.next().expect("ten of them"));
            let first = edge.request(method, &next(), &[field], b"").await;
            let second = http2.request(request(method, HOST, &next(), &[field]), b"").await;
            assert_eq!((first.status, second.status), (wanted, wanted), "{case}");
            for found in [&first.body.bytes, &second.body] {
                assert!(length.is_none_or(|length| found.len() == length), "{case}: {} bytes", found.len());
                assert!(field.1 != "bytes=5-9" || found[..] == body[5..10], "{case}");
            }
            let told_lengths = [first.header("content-length"), second.header("content-length")];
            match (method, wanted) {
                ("HEAD", _) => assert_eq!(told_lengths, [Some("1000"); 2], "{case}"),
                (_, 304) => assert_eq!(told_lengths, [None; 2], "{case}"),
                _ => assert_eq!(told_lengths[0], Some(first.body.bytes.len().to_string().as_str()), "{case}"),
            }
        }
    }
}
