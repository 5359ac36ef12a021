//! Request bodies that hooks read and replace: every framing, both protocols on both sides, and viewers that stop.

use std::time::Duration;

use edgeweir_tests::edge::{HOST, Setup, TestEdge};
use edgeweir_tests::h2_origin::H2Origin;
use edgeweir_tests::http2::{Client, read, request, send_all};
use edgeweir_tests::origin::{Origin, Reply, pattern_bytes};
use edgeweir_tests::raw::request_bytes;
use edgeweir_tests::wait::deadline;

use crate::support::{bound, config};

/// What the guest says of a body that it sees whole or cut after `limit` bytes.
fn told(body: &[u8], limit: usize) -> String {
    let shown = &body[..body.len().min(limit)];
    let sum = shown.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    format!("{} {} {sum}", shown.len(), if body.len() > limit { "cut" } else { "whole" })
}

fn binding(more: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    format!("{{ hook = \"body\", request_body = true{comma}{more} }}")
}

/// An edge with the guest at both request stages.
fn both(viewer: &str, origin: &str) -> String {
    let hooks = format!("hooks = {{ viewer-request = [{viewer}], origin-request = [{origin}] }}");
    // Megabytes go in and out: on a busy machine that takes longer than a hook usually has.
    config(&["body"], &format!("[[distributions.site.behaviors]]\npath = \"*\"\n{hooks}\n"))
        .replace("[hooks.body]\n", "[hooks.body]\ntimeout = \"5s\"\n")
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut out =
        b"POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".to_vec();
    for chunk in body.chunks(size) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

const SIZES: [u64; 9] = [0, 1, 1000, 40 << 10, (40 << 10) + 1, 65_536, 65_537, 300_000, 2_000_000];

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_all_sizes_are_seen_and_go_on_whole() {
    let origin = Origin::hello().await;
    let edge = TestEdge::start(&both(&binding(""), &binding("")), &origin.address()).await;
    for size in SIZES {
        let body = pattern_bytes(size);
        let length = request_bytes("POST", HOST, "/t", &[("Connection", "close")], &body);
        let framings = [("a length", length), ("chunks", chunked(&body, 7000)), ("one chunk", chunked(&body, 4 << 20))];
        for (framing, bytes) in framings {
            let before = origin.count();
            let response = edge.exchange(&bytes).await;
            assert_eq!((response.status, response.text().as_str()), (200, "hello"), "{size}, {framing}");
            let received = origin.requests().remove(before);
            assert_eq!(received.header("x-at-viewer"), Some(told(&body, 40 << 10).as_str()), "{size}, {framing}");
            assert_eq!(received.header("x-at-origin"), Some(told(&body, 1 << 20).as_str()), "{size}, {framing}");
            assert!(received.body.bytes == body, "{size}, {framing}: {} bytes", received.body.length);
            let framed = (received.header("content-length").is_some(), received.header("transfer-encoding").is_some());
            assert!(framed != (true, true), "{size}, {framing}: one framing");
        }
    }
    assert_eq!(edge.metric("edgeweir_faults_total", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_over_http2_on_either_side() {
    let plain = Origin::hello().await;
    let two = H2Origin::echo(None).await;
    let text = both(&binding(""), &binding(""));
    let to_two = text.replace("url = \"http://{origin}\"", "url = \"http://{origin}\"\nhttp = \"h2-only\"");
    let edge = TestEdge::start(&text, &plain.address()).await;
    let edge_two = TestEdge::start(&to_two, &two.address()).await;
    for size in SIZES {
        let body = pattern_bytes(size);
        for announced in [true, false] {
            let length = size.to_string();
            let fields = if announced { vec![("content-length", length.as_str())] } else { Vec::new() };
            for (edge, to) in [(&edge, "HTTP/1.1"), (&edge_two, "HTTP/2")] {
                let mut client = Client::connect(edge.address()).await;
                let (response, mut stream) = client.start(request("POST", HOST, "/t", &fields), size == 0).await;
                // Read while it is sent: an origin that echoes wants both, or it waits for the viewer that waits for it.
                let answer = async { read(response.await.expect("a response")).await.expect("a whole response") };
                let both = async { tokio::join!(send_all(&mut stream, &body, true), answer) };
                let (sent, answer) = deadline(&format!("{size} over {to}"), both).await;
                assert!(sent.is_ok(), "{size}, {announced}, {to}: {sent:?}");
                assert_eq!(answer.status, 200, "{size}, {announced}, {to}");
            }
            let received = plain.requests().pop().expect("a request");
            assert_eq!(received.header("x-at-origin"), Some(told(&body, 1 << 20).as_str()), "{size}, {announced}");
            assert!(received.body.bytes == body, "{size}, {announced}: {} bytes", received.body.length);
            let received = two.requests().pop().expect("a request");
            let seen = received.headers.get("x-at-viewer").and_then(|value| value.to_str().ok());
            assert_eq!(seen, Some(told(&body, 40 << 10).as_str()), "{size}, {announced}");
            assert!(received.body == body, "{size}, {announced}: {} bytes", received.body.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_body_goes_in_place_of_the_old_one() {
    let plain = Origin::hello().await;
    let two = H2Origin::echo(None).await;
    for stage in ["viewer-request", "origin-request"] {
        for (made, more) in [
            ("new".to_owned(), "settings = { make = \"new\" }"),
            (String::new(), "settings = { make = \"\" }"),
            ("f".repeat(40 << 10), "settings = { fill = 40960 }"),
        ] {
            let text = config(&["body"], &bound(stage, &binding(more)));
            let to_two = text.replace("url = \"http://{origin}\"", "url = \"http://{origin}\"\nhttp = \"h2-only\"");
            let edge = TestEdge::start(&text, &plain.address()).await;
            let edge_two = TestEdge::start(&to_two, &two.address()).await;
            for size in [0, 10, 200_000, 3_000_000] {
                let body = pattern_bytes(size);
                let case = format!("{stage}, {} bytes for {size}", made.len());
                let length = request_bytes("POST", HOST, "/t", &[], &body);
                for bytes in [length, chunked(&body, 5000)] {
                    assert_eq!(edge.exchange(&bytes).await.text(), "hello", "{case}");
                    let received = plain.requests().pop().expect("a request");
                    assert_eq!(received.body.bytes, made.as_bytes(), "{case}");
                    assert_eq!(received.header("content-length"), Some(made.len().to_string().as_str()), "{case}");
                    assert_eq!(received.header("transfer-encoding"), None, "{case}");
                    let status = edge_two.exchange(&bytes).await.status;
                    assert_eq!(status, 200, "{case}: {:?}", edge_two.log_lines(1).await.last());
                    assert_eq!(two.requests().pop().expect("a request").body, made.as_bytes(), "{case}");
                }
            }
            // The viewer's connection is in order: what was not wanted is gone.
            let mut raw = edge.connect().await;
            for _ in 0..3 {
                raw.send(request_bytes("PUT", HOST, "/t", &[], &pattern_bytes(150_000))).await;
                assert_eq!(raw.response().await.text(), "hello", "{stage}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_for_a_request_that_had_none() {
    let plain = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60")], "hello")).await;
    let two = H2Origin::echo(None).await;
    for stage in ["viewer-request", "origin-request"] {
        let text = config(&["body"], &bound(stage, &binding("settings = { fill = 30000 }")));
        let to_two = text.replace("url = \"http://{origin}\"", "url = \"http://{origin}\"\nhttp = \"h2-only\"");
        let edge = TestEdge::start(&text, &plain.address()).await;
        let edge_two = TestEdge::start(&to_two, &two.address()).await;
        for method in ["GET", "POST", "DELETE"] {
            let before = plain.count();
            for _ in 0..2 {
                assert_eq!(edge.request(method, "/t", &[], b"").await.text(), "hello", "{stage}, {method}");
            }
            // What viewer-request makes is a request with a body, which the cache never answers.
            let asked = if stage == "origin-request" && method == "GET" { 1 } else { 2 };
            assert_eq!(plain.count() - before, asked, "{stage}, {method}");
            let received = plain.requests().pop().expect("a request");
            assert_eq!((received.method(), received.body.length), (method, 30_000), "{stage}");
            assert_eq!(received.header("content-length"), Some("30000"), "{stage}, {method}");
            assert_eq!(edge_two.request(method, "/t", &[], b"").await.status, 200, "{stage}, {method}");
            assert_eq!(two.requests().pop().expect("a request").body.len(), 30_000, "{stage}, {method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_see_what_hooks_before_them_made() {
    let origin = Origin::hello().await;
    let viewer = format!("{}, {}", binding("settings = { make = \"ab\" }"), binding("settings = { twice = true }"));
    let edge = TestEdge::start(&both(&viewer, &binding("settings = { twice = true }")), &origin.address()).await;
    assert_eq!(edge.request("POST", "/t", &[], &[b'x'; 100_000]).await.status, 200);
    let received = origin.only_request();
    assert_eq!(received.body.bytes, b"abababab");
    assert_eq!(received.header("x-at-origin"), Some(told(b"abab", 100).as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bindings_limit_is_what_a_hook_sees_and_may_make() {
    let origin = Origin::hello().await;
    let limit = |limit: &str, fill: usize| {
        let more = format!("{{ hook = \"body\", request_body = \"{limit}\", settings = {{ fill = {fill} }} }}");
        both("{ hook = \"body\", request_body = \"10B\", settings = {} }", &more)
    };
    let edge = TestEdge::start(&limit("2MiB", 2 << 20), &origin.address()).await;
    let body = pattern_bytes((2 << 20) + 1);
    assert_eq!(edge.request("POST", "/t", &[], &body).await.status, 200);
    let received = origin.only_request();
    assert_eq!(received.header("x-at-viewer"), Some(told(&body, 10).as_str()));
    assert_eq!(received.header("x-at-origin"), Some(told(&body, 2 << 20).as_str()));
    assert_eq!(received.body.length, 2 << 20);
    // As large as the default, if the hook may see less.
    for (limits, fill, status) in [("1KiB", 1 << 20, 200), ("1KiB", (1 << 20) + 1, 502), ("2MiB", (2 << 20) + 1, 502)] {
        let edge = TestEdge::start(&limit(limits, fill), &origin.address()).await;
        assert_eq!(edge.request("POST", "/t", &[], b"x").await.status, status, "{limits}, {fill}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_the_grant_is_refused() {
    let text = config(&["body"], &bound("viewer-request", "{ hook = \"body\", settings = {} }"));
    let words = Setup::new(&text).set("origin", "127.0.0.1:9").try_start().await.err().expect("it does not start");
    assert!(words.contains("imports `body`, which its binding does not grant"), "{words}");
    assert!(
        words.contains("add `request_body = true` to the binding; `request_body = false` grants nothing"),
        "{words}"
    );
    let origin = Origin::hello().await;
    let text = config(&["body"], &bound("viewer-request", "{ hook = \"body\", request_body = false, settings = {} }"));
    let edge = TestEdge::start(&text, &origin.address()).await;
    assert_eq!(edge.request("POST", "/t", &[], b"x").await.status, 503, "reading is an error");
    for stage in ["viewer-request", "origin-request"] {
        let edge = crate::support::scripted(&origin, stage, &["body new"]).await;
        assert_eq!(edge.request("POST", "/t", &[], b"x").await.status, 502, "{stage}");
        assert_eq!(edge.log_lines(1).await[0]["fault"], "hook-invalid", "{stage}");
    }
    assert_eq!(origin.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_10_1_1_a_viewer_that_waits_is_let_through_once() {
    let origin = Origin::hello().await;
    for stage in ["viewer-request", "origin-request"] {
        let edge =
            TestEdge::start(&config(&["body"], &bound(stage, &binding("settings = {}"))), &origin.address()).await;
        let mut raw = edge.connect().await;
        raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
        let interim = raw.peek_at_least(12).await;
        assert!(interim.starts_with(b"HTTP/1.1 100"), "{stage}: {}", interim.escape_ascii());
        raw.send("hello").await;
        let response = raw.response().await;
        assert_eq!((response.status, response.interim.len()), (200, 1), "{stage}");
        let received = origin.requests().pop().expect("a request");
        assert_eq!((received.header("expect"), received.body.bytes.as_slice()), (None, b"hello".as_slice()), "{stage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_stops_gets_408_and_never_504() {
    let origin = Origin::hello().await;
    for stage in ["viewer-request", "origin-request"] {
        let text = config(&["body"], &bound(stage, &binding("settings = {}")));
        let text = text.replace("[origins.main]\n", "[origins.main]\nread_timeout = \"200ms\"\n");
        let edge = TestEdge::start(&format!("[server]\nread_timeout = \"400ms\"\n{text}"), &origin.address()).await;
        for (head, part) in [("Content-Length: 100000", "half"), ("Transfer-Encoding: chunked", "4\r\nhalf\r\n")] {
            let mut raw = edge.connect().await;
            raw.send(format!("POST /t HTTP/1.1\r\nHost: site.test\r\n{head}\r\n\r\n{part}")).await;
            let response = raw.response().await;
            assert_eq!(response.status, 408, "{stage}, {head}");
            raw.assert_closed().await;
        }
        let mut client = Client::connect(edge.address()).await;
        let (response, mut stream) = client.start(request("POST", HOST, "/t", &[]), false).await;
        send_all(&mut stream, b"half", false).await.expect("taken");
        let response = deadline("a response", response).await.expect("a response");
        assert_eq!(response.status(), 408, "{stage}, HTTP/2");
        // One that trickles has twice the time in all.
        let mut raw = edge.connect().await;
        raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 100\r\n\r\n").await;
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            raw.send("x").await;
        }
        assert_eq!(raw.response().await.status, 408, "{stage}, trickling");
        assert_eq!(edge.metric("edgeweir_hook_calls_total", &[]).await, 0.0, "{stage}: no hook was called");
    }
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_leaves_and_bodies_that_are_none_end_quietly() {
    let origin = Origin::hello().await;
    let edge = TestEdge::start(&both(&binding(""), &binding("")), &origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 100\r\n\r\nhalf").await;
    drop(raw);
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await;
    let answer = raw.rest().await;
    assert!(answer.starts_with(b"HTTP/1.1 400") || answer.is_empty(), "{}", answer.escape_ascii());
    assert_eq!(edge.get("/t").await.status, 200, "the edge goes on");
    assert_eq!(origin.heads(), 1);
}

async fn held(edge: &TestEdge) -> f64 {
    edge.metric("edgeweir_held_body_bytes", &[]).await
}

async fn until_async<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    deadline(what, wait).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_for_bodies_has_a_limit_and_is_given_back() {
    let origin = Origin::hello().await;
    let text = config(&["body"], &bound("origin-request", &binding("settings = {}")));
    let edge = TestEdge::start(&format!("[gate]\nbody_memory = \"1MiB\"\n{text}"), &origin.address()).await;
    // Two that wait take most of it.
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut raw = edge.connect().await;
        raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 500000\r\n\r\n").await;
        raw.send(vec![b'x'; 499_999]).await;
        waiting.push(raw);
    }
    until_async("their bodies are held", || async { held(&edge).await >= 999_998.0 }).await;
    let response = edge.request("POST", "/t", &[("Connection", "close")], &[b'y'; 200_000]).await;
    assert_eq!(response.status, 503);
    let faults = edge.log_lines(1).await;
    assert_eq!(faults[0]["fault"], "body-memory");
    for raw in &mut waiting {
        raw.send("x").await;
        assert_eq!(raw.response().await.status, 200);
    }
    until_async("all is given back", || async { held(&edge).await == 0.0 }).await;
    assert_eq!(edge.request("POST", "/t", &[], &[b'y'; 200_000]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_gates_limit_is_413_while_it_is_held() {
    let origin = Origin::hello().await;
    let text = config(&["body"], &bound("origin-request", &binding("settings = { make = \"new\" }")));
    let edge = TestEdge::start(&format!("[gate]\nmax_body = \"100KiB\"\n{text}"), &origin.address()).await;
    assert_eq!(edge.exchange(chunked(&[b'x'; 200_000], 9000)).await.status, 413);
    assert_eq!(edge.exchange(chunked(&[b'x'; 100_000], 9000)).await.status, 200);
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_body_is_sent_again_when_the_origins_idle_connection_is_gone() {
    // Each connection takes one request and is closed without a word after it: the next finds a dead one in the pool.
    let origin = Origin::start(|_| Reply::ok("hello").then_close()).await;
    let edge =
        TestEdge::start(&config(&["body"], &bound("origin-request", &binding("settings = {}"))), &origin.address())
            .await;
    let body = pattern_bytes(500_000);
    for _ in 0..10 {
        assert_eq!(edge.request("PUT", "/t", &[], &body).await.text(), "hello");
    }
    assert!(origin.requests().iter().all(|received| received.body.bytes == body));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_answers_before_the_body_ends_is_heard() {
    let origin = Origin::start(|_| Reply::ok("early")).await;
    let edge = TestEdge::start(&both(&binding(""), &binding("")), &origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 3000000\r\n\r\n").await;
    for _ in 0..30 {
        raw.send(vec![b'x'; 100_000]).await;
    }
    assert_eq!(raw.response().await.text(), "early");
    assert_eq!(origin.only_request().body.length, 3_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_answers_from_the_body() {
    let origin = Origin::hello().await;
    for (stage, limit) in [("viewer-request", 40 << 10), ("origin-request", 1 << 20)] {
        let edge = TestEdge::start(
            &config(&["body"], &bound(stage, &binding("settings = { respond = true }"))),
            &origin.address(),
        )
        .await;
        for size in [0, 5, limit, limit + 150_000] {
            let body = pattern_bytes(size);
            let response = edge.request("POST", "/t", &[], &body).await;
            let told = told(&body, usize::try_from(limit).expect("a length"));
            assert_eq!((response.status, response.text()), (200, told), "{stage}, {size}");
        }
    }
    assert_eq!(origin.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_open_loses_no_body() {
    let origin = Origin::hello().await;
    let text =
        config(&["body"], &bound("viewer-request", &binding("on_failure = \"open\", settings = { make = \"new\" }")));
    let edge = TestEdge::start(&text, &origin.address()).await;
    let body = pattern_bytes(90_000);
    assert_eq!(edge.request("POST", "/fail", &[], &body).await.status, 200);
    assert!(origin.only_request().body.bytes == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_has_no_body_and_gets_none() {
    let origin = Origin::hello().await;
    let handshake = "GET /t HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for (settings, status) in [("settings = {}", 200), ("settings = { make = \"new\" }", 502)] {
        let edge = TestEdge::start(&both(&binding(settings), &binding("")), &origin.address()).await;
        assert_eq!(edge.exchange(handshake).await.status, status, "{settings}");
    }
    assert_eq!(origin.only_request().header("x-at-origin"), Some("0 whole 0"));
}
