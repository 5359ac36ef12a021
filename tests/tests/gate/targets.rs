//! Request targets (RFC 9112, section 3.2).

use crate::support::{all_refused, assert_still_serving, mirrored, passed, refused};

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_3_2_targets_that_do_not_start_with_a_slash_are_refused() {
    all_refused(
        &[400],
        &[
            b"GET t HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET @evil.test/ HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET * HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET ?q HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET .. HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET \\t HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET site.test/t HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET site.test:80 HTTP/1.1\r\nHost: site.test\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc3986_blanks_and_control_bytes_in_targets_are_refused() {
    all_refused(
        &[400],
        &[
            b"GET /t a HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /t\ta HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /t\0a HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /t\x01a HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /t\x7fa HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /t?a b HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /t?a\tb HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /t\r HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /t\x0b HTTP/1.1\r\nHost: site.test\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_3_2_fragments_are_refused() {
    all_refused(
        &[400],
        &[
            b"GET /t#frag HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /#/admin HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /t?q#frag HTTP/1.1\r\nHost: site.test\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc3986_2_1_broken_percent_codes_are_refused() {
    all_refused(
        &[400],
        &[
            b"GET /t% HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /t%2 HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /t%zz HTTP/1.1\r\nHost: site.test\r\n\r\n",
            b"GET /%%2e HTTP/1.1\r\nHost: site.test\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_two_slashes_is_never_taken_for_a_host() {
    let (edge, origin) = mirrored().await;
    for target in ["//evil.test/t", "///evil.test/t", "/\\evil.test/t"] {
        let case = format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
        let before = origin.count();
        let response = edge.exchange(&case).await;
        if response.status == 200 {
            let received = origin.requests().pop().expect("the origin got it");
            assert_eq!(received.target(), "/evil.test/t", "for {target}");
        } else {
            assert_eq!((response.status, origin.count()), (400, before), "for {target}");
        }
    }
    assert_still_serving(&edge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_3_2_4_asterisk_form_is_for_options_only() {
    let (edge, origin) = mirrored().await;
    // The absolute form without a path and a query means the same.
    for target in ["*", "http://site.test", "HTTP://site.test"] {
        let request = format!("OPTIONS {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
        let response = edge.exchange(request).await;
        assert_eq!(response.status, 204, "{target}");
        assert!(response.header("allow").is_some(), "{target}");
    }
    assert_eq!(origin.heads(), 0);
    for (target, arrives) in [("http://site.test/", "/"), ("http://site.test?a", "/?a")] {
        let case = format!("OPTIONS {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
        assert_eq!(passed(&edge, &origin, case).await.1.target(), arrives, "{target}");
    }
    refused(&edge, &origin, &[400], b"POST * HTTP/1.1\r\nHost: site.test\r\nContent-Length: 0\r\n\r\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ordinary_targets_arrive_as_they_were_sent() {
    let (edge, origin) = mirrored().await;
    for target in [
        "/",
        "/a/b.html",
        "/a%20b",
        "/a?b=c&d=%2f%2e%2e",
        "/a?",
        "/?a?b",
        "/~user/",
        "/a:b@c!$&'()*+,=",
        "/%c3%a4",
        "/a.b/..c/...",
        "/q?next=//evil/../x",
    ] {
        let case = format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
        let (_, received) = passed(&edge, &origin, case).await;
        assert_eq!(received.target().to_ascii_lowercase(), target, "for {target}");
    }
}
