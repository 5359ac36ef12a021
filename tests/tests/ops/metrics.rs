//! Metrics: what they count, and that no request can add labels.

use edgeweir_tests::edge::{PLAIN, TestEdge};
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Reply};

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_status_and_cache_outcome() {
    let origin = Origin::start(|request| match request.target() {
        "/cached" => Reply::new(200, &[("cache-control", "max-age=60")], "12345"),
        _ => Reply::new(404, &[], "gone"),
    })
    .await;
    let edge = TestEdge::plain(&origin.address()).await;
    for _ in 0..3 {
        edge.get("/cached").await;
    }
    edge.get("/gone").await;
    edge.log_lines(4).await;
    let requests = "edgeweir_requests_total";
    assert!((edge.metric(requests, &["2xx", "\"hit\""]).await - 2.0).abs() < 0.1, "{}", edge.metrics().await);
    assert!((edge.metric(requests, &["2xx", "\"miss\""]).await - 1.0).abs() < 0.1);
    assert!((edge.metric(requests, &["4xx"]).await - 1.0).abs() < 0.1);
    assert!((edge.metric("edgeweir_request_duration_seconds_count", &["site"]).await - 4.0).abs() < 0.1);
    assert!((edge.metric("edgeweir_viewer_sent_bytes_total", &["site"]).await - 19.0).abs() < 0.1);
    let entries = edge.metric("edgeweir_cache_entries", &[]).await;
    assert!((entries - 1.0).abs() < 0.1, "{entries} objects");
    assert!(edge.metric("edgeweir_connections_total", &[]).await >= 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_counted_by_their_label() {
    let edge = TestEdge::start(PLAIN, &hostile::refused().await).await;
    edge.get("/t").await;
    edge.exchange("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n").await;
    edge.exchange("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc").await;
    let labelled = edge.metric("edgeweir_faults_total", &["origin-connect"]).await;
    assert!((labelled - 1.0).abs() < 0.1, "{}", edge.metrics().await);
    assert!(edge.metric("edgeweir_faults_total", &["unknown-host"]).await >= 1.0);
    // It is counted when its connection ends, a moment after the answer.
    let mut bad = 0.0;
    for _ in 0..100 {
        bad = edge.metric("edgeweir_faults_total", &["bad"]).await;
        if bad >= 1.0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(bad >= 1.0, "a refusal below the gate is counted too: {}", edge.metrics().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_come_from_the_config_only() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/t").await;
    let before = edge.metrics().await.lines().count();
    for number in 0..50 {
        edge.get(&format!("/path-{number}?query={number}")).await;
        edge.exchange(format!("GET / HTTP/1.1\r\nHost: host-{number}.test\r\n\r\n")).await;
        edge.exchange(format!("METHOD{number} / HTTP/1.1\r\nHost: site.test\r\n\r\n")).await;
    }
    let after = edge.metrics().await;
    assert!(!after.contains("path-") && !after.contains("host-") && !after.contains("METHOD"), "{after}");
    assert!(after.lines().count() <= before + 60, "{before} lines, then {}", after.lines().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_open_metrics() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let page = edge.admin("GET", "/metrics").await;
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("application/openmetrics-text")));
    let text = page.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("edgeweir_") || line.starts_with("process_"), "{line}");
        assert!(line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok()), "{line}");
    }
}
