//! `Host` (RFC 9112, section 3.2) and the choice of the distribution.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::Origin;

use crate::support::{all_refused, assert_still_serving, mirrored, passed, refused, refused_or_passed};

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_3_2_missing_repeated_or_bad_host_is_refused() {
    all_refused(
        &[400],
        &[
            b"GET /t HTTP/1.1\r\n\r\n",
            b"GET /t HTTP/1.1\r\nX-A: 1\r\n\r\n",
            b"GET http://site.test/t HTTP/1.1\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost:\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: \t \r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\r\nHost: site.test\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\r\nHost: other.test\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site test\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test, other.test\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test/../x?y\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test#x\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test:99999\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test:x\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test:80:80\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: user@site.test\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: site.test\\x\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: [::1\r\n\r\n",
            b"GET /t HTTP/1.1\r\nHost: s\xc3\xa4te.test\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn host_names_match_without_case_and_port() {
    let (edge, origin) = mirrored().await;
    for host in ["site.test", "SITE.Test", "site.test:80", "site.test:8080"] {
        let case = format!("GET /t HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        passed(&edge, &origin, case).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_without_host_is_no_known_site() {
    let (edge, origin) = mirrored().await;
    let response = edge.exchange("GET /t HTTP/1.0\r\n\r\n").await;
    assert!(matches!(response.status, 400 | 404), "{}", response.status);
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_hosts_are_404_and_reach_no_origin() {
    let (edge, origin) = mirrored().await;
    for host in ["other.test", "site.test.evil.test", "xsite.test", "127.0.0.1", "[::1]:80", "test"] {
        let response = edge.exchange(format!("GET /t HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(response.status, 404, "for {host}");
        assert!(response.text().contains("no distribution"), "for {host}: {}", response.text());
    }
    assert_eq!(origin.heads(), 0);
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exact_hosts_win_over_wildcards_and_longer_wildcards_over_shorter() {
    let origins = [Origin::hello().await, Origin::hello().await, Origin::hello().await, Origin::hello().await];
    let names = ["a.b.test", "*.b.test", "*.test", "*"];
    let mut config = String::new();
    for (number, (origin, host)) in origins.iter().zip(names).enumerate() {
        config.push_str(&format!(
            "[origins.o{number}]\nurl = \"http://{}\"\n[distributions.d{number}]\nhosts = [\"{host}\"]\norigin = \"o{number}\"\n",
            origin.address()
        ));
    }
    let edge = TestEdge::start(&config, "").await;
    for (host, expected) in [("a.b.test", 0), ("x.b.test", 1), ("x.y.b.test", 1), ("b.test", 2), ("else.example", 3)] {
        let before: Vec<usize> = origins.iter().map(Origin::count).collect();
        let request = format!("GET /t HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(edge.exchange(request).await.status, 200);
        for (number, origin) in origins.iter().enumerate() {
            let more = usize::from(number == expected);
            assert_eq!(origin.count(), before[number] + more, "origin {number} for {host}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_3_2_2_absolute_form_becomes_origin_form() {
    let (edge, origin) = mirrored().await;
    for target in ["http://site.test/t?q=1", "http://site.test:80/t?q=1"] {
        let host = if target.contains(":80") { "site.test:80" } else { "site.test" };
        let case = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let (_, received) = passed(&edge, &origin, case).await;
        assert_eq!(received.target(), "/t?q=1", "for {target}");
        assert_eq!(received.header_all("host").len(), 1);
    }
    let (_, received) = passed(&edge, &origin, "GET http://site.test HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    assert_eq!(received.target(), "/");
    // Another case than in `Host` means the same, but the parser below the edge compares bytes.
    let shouted = "GET HTTP://SITE.test/t?q=1 HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n";
    let received = refused_or_passed(&edge, &origin, shouted).await;
    assert!(received.is_none_or(|received| received.target() == "/t?q=1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_3_2_2_absolute_form_of_another_host_or_scheme_is_refused() {
    let (edge, origin) = mirrored().await;
    for target in [
        "http://other.test/t",
        "ftp://site.test/t",
        "file:///etc/passwd",
        "ws://site.test/t",
        "http://user:pass@site.test/t",
        "http:///t",
        "http:t",
        "https:site.test/t",
        "http://site.test:99999/t",
        "http://site.test, other.test/",
    ] {
        let case = format!("GET {target} HTTP/1.1\r\nHost: site.test\r\n\r\n");
        refused(&edge, &origin, &[400, 421], case.as_bytes()).await;
    }
    assert_still_serving(&edge).await;
}
