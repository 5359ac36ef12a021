//! Limits of heads: CloudFront's by default, others by config.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::hostile;
use edgeweir_tests::origin::Origin;

use crate::support::{assert_still_serving, mirrored, refused};

fn head(target: &str, lines: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n{lines}\r\n").into_bytes()
}

fn target_of(length: usize) -> String {
    format!("/{}", "a".repeat(length - 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_over_8192_bytes_are_414() {
    let (edge, origin) = mirrored().await;
    assert_eq!(edge.exchange(head(&target_of(8192), "")).await.status, 200);
    refused(&edge, &origin, &[414], &head(&target_of(8193), "")).await;
    refused(&edge, &origin, &[414], &head(&target_of(20_000), "")).await;
    refused(&edge, &origin, &[414], &head(&format!("/?{}", "a".repeat(8192)), "")).await;
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_over_32768_bytes_are_431() {
    let (edge, origin) = mirrored().await;
    let lines = |count: usize| format!("X-Filler: {}\r\n", "a".repeat(1000)).repeat(count);
    assert_eq!(edge.exchange(head("/t", &lines(31))).await.status, 200);
    refused(&edge, &origin, &[431], &head("/t", &lines(33))).await;
    refused(&edge, &origin, &[431], &head("/t", &format!("X-One: {}\r\n", "a".repeat(40_000)))).await;
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_9_3_2_refusals_of_head_have_no_body_and_all_have_a_date() {
    let origin = hostile::always(hostile::silent()).await;
    let config = r#"
        [server]
        header_timeout = "500ms"
        [origins.main]
        url = "http://{origin}"
        read_timeout = "500ms"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
    "#;
    let edge = TestEdge::start(config, &origin.address()).await;
    for method in ["HEAD", "GET"] {
        for (status, rest) in [
            (400, "/a#b HTTP/1.1\r\nHost: site.test\r\n\r\n".to_owned()),
            (400, "/a HTTP/1.1\r\nHost: site.test\r\nX-A\r\n\r\n".to_owned()),
            (404, "/a HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n".to_owned()),
            (414, format!("{} HTTP/1.1\r\nHost: site.test\r\n\r\n", target_of(40_000))),
            (431, format!("/a HTTP/1.1\r\nX-One: {}\r\n\r\n", "a".repeat(40_000))),
            (408, "/a HTTP/1.1\r\nHost: si".to_owned()),
            (504, "/a HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n".to_owned()),
            // One more behind it: the sweep ends the connection then.
            (504, "/a HTTP/1.1\r\nHost: site.test\r\n\r\nGET".to_owned()),
        ] {
            let mut raw = edge.connect().await;
            raw.send(format!("{method} {rest}")).await;
            let response = raw.response_to(method).await;
            let shown = rest.get(..60.min(rest.len())).unwrap_or_default();
            assert_eq!(response.status, status, "{method} {shown}");
            assert!(
                response.header("date").is_some_and(|date| date.ends_with(" GMT")),
                "{method} {shown}: {response:?}"
            );
            assert!(response.header("content-length").is_some_and(|length| length != "0"), "{method} {shown}");
            raw.assert_closed().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_megabytes_is_cut_off_early() {
    let (edge, origin) = mirrored().await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n").await;
    let line = format!("X-Filler: {}\r\n", "a".repeat(8000));
    let mut taken = 0_usize;
    while taken < 32 << 20 {
        match tokio::time::timeout(std::time::Duration::from_secs(1), raw.try_send(line.as_bytes())).await {
            Ok(Ok(())) => taken += line.len(),
            _ => break,
        }
    }
    assert!(taken < 32 << 20, "the edge read {taken} bytes of one head");
    assert_eq!(origin.heads(), 0);
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_100_fields_are_431() {
    let (edge, origin) = mirrored().await;
    let lines = |count: usize| (0..count).map(|number| format!("X-{number}: 1\r\n")).collect::<String>();
    // `Host` and `Connection` count too.
    assert_eq!(edge.exchange(head("/t", &lines(98))).await.status, 200);
    refused(&edge, &origin, &[431], &head("/t", &lines(99))).await;
    for count in [255, 300, 3_000] {
        refused(&edge, &origin, &[431], &head("/t", &lines(count))).await;
    }
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_config_sets_the_limits() {
    let origin = Origin::mirror().await;
    let config = r#"
        [gate]
        max_url = 100
        max_headers = "2KiB"
        max_header_count = 5
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
    "#;
    let edge = TestEdge::start(config, &origin.address()).await;
    assert_eq!(edge.exchange(head(&target_of(100), "")).await.status, 200);
    refused(&edge, &origin, &[414], &head(&target_of(101), "")).await;
    assert_eq!(edge.exchange(head("/t", "A: 1\r\nB: 1\r\nC: 1\r\n")).await.status, 200);
    refused(&edge, &origin, &[431], &head("/t", "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n")).await;
    refused(&edge, &origin, &[431], &head("/t", &format!("A: {}\r\n", "a".repeat(2048)))).await;
    assert_still_serving(&edge).await;
}
