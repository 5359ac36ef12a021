//! Which failures of a member another one answers for, and which not.

use std::time::Duration;

use edgeweir_tests::edge::{HOST, Setup, TestEdge};
use edgeweir_tests::h2_origin::H2Origin;
use edgeweir_tests::hostile;
use edgeweir_tests::http2::{self, Client};
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::raw::{framing, request_bytes};
use edgeweir_tests::wait::deadline;
use edgeweir_tests::websocket::{WebSocket, WebSocketOrigin};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{config, two, two_with};

const UNCACHED: &str = "[[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"CachingDisabled\"\n";

async fn named(name: &'static str) -> Origin {
    Origin::start(move |_| Reply::ok(name)).await
}

fn unavailable() -> Reply {
    let head = format!("HTTP/1.1 503 Service Unavailable\r\ncontent-length: {}\r\n\r\n", 3 << 20);
    Reply::script([Step::Send(head.into()), Step::Fill(3 << 20)])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_member_answers_while_it_does() {
    let (a, b) = (named("a").await, named("b").await);
    let edge = two(&a.address(), &b.address()).await;
    for turn in 0..3 {
        assert_eq!(edge.get(&format!("/{turn}")).await.text(), "a");
    }
    assert_eq!(b.heads(), 0);
    let line = edge.log_lines(1).await.remove(0);
    assert_eq!((line["origin"].as_str(), line["origin_group"].as_str()), (Some("a"), Some("both")), "{line}");
    assert!(line.get("origin_attempts").is_none(), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_member_answers_where_one_fails_before_its_head() {
    let cases = [
        ("closes at once", hostile::closes_at_once()),
        ("resets at once", hostile::resets_at_once()),
        ("resets in the head", hostile::resets_in_head()),
        ("closes in the head", hostile::closes_in_head()),
        ("garbage", hostile::garbage()),
        ("two lengths", hostile::two_lengths()),
        ("silent", hostile::silent()),
        ("503 with a large body", unavailable()),
        ("500", Reply::new(500, &[], "a's words")),
        ("502", Reply::new(502, &[], "")),
        ("504", Reply::new(504, &[], "a's words")),
    ];
    let b = named("b").await;
    for (name, reply) in cases {
        for policy in ["", UNCACHED] {
            let a = hostile::always(reply.clone()).await;
            let edge = two_with(&config("", "", policy), &a.address(), &b.address()).await;
            let mut raw = edge.connect().await;
            for method in ["GET", "HEAD", "OPTIONS", "GET"] {
                raw.send(request_bytes(method, "site.test", "/t", &[], b"")).await;
                let response = raw.response_to(method).await;
                assert_eq!(response.status, 200, "{name}, {method}");
                assert_eq!(response.text(), if method == "HEAD" { "" } else { "b" }, "{name}, {method}");
            }
            let line = edge.log_lines(1).await.remove(0);
            assert_eq!(line["origin"], "b", "{name}: {line}");
            assert_eq!(line["origin_attempts"], 2, "{name}: {line}");
            assert_eq!(line["origin_address"], b.address(), "{name}: {line}");
            assert!(line.get("fault").is_none(), "{name}: {line}");
            assert!(edge.metric("edgeweir_origin_failovers_total", &["group=\"both\""]).await >= 3.0, "{name}");
            assert_eq!(edge.metric("edgeweir_faults_total", &[]).await, 0.0, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_member_answers_where_no_connection_comes_about() {
    let b = named("b").await;
    let unreachable = hostile::Unreachable::start().await;
    for a in [hostile::refused().await, unreachable.address(), "no-such-host.invalid:80".to_owned()] {
        let edge = two(&a, &b.address()).await;
        assert_eq!(edge.get("/t").await.text(), "b", "{a}");
        assert_eq!(edge.get("/u").await.text(), "b", "{a}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_viewers_and_origins_fail_over_too() {
    let a = H2Origin::start(None, |(_, mut respond)| {
        Box::pin(async move {
            let head = http::Response::builder().status(503).body(()).expect("a valid response");
            drop(respond.send_response(head, true));
        })
    })
    .await;
    let b = named("b").await;
    let text = config("", "", "").replacen("[origins.a]\n", "[origins.a]\nhttp = \"h2-only\"\n", 1);
    let edge = two_with(&text, &a.address(), &b.address()).await;
    assert_eq!(edge.get("/one").await.text(), "b", "from HTTP/2 to HTTP/1.1");
    let mut viewer = Client::connect(edge.address()).await;
    let answer = viewer.get("site.test", "/two", &[]).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "b"));
    // The other way round: HTTP/1.1 fails, HTTP/2 answers.
    let (refused, echo) = (hostile::refused().await, H2Origin::echo(None).await);
    let text = config("", "", "").replacen("[origins.b]\n", "[origins.b]\nhttp = \"h2-only\"\n", 1);
    let edge = two_with(&text, &refused, &echo.address()).await;
    assert_eq!(edge.get("/three").await.status, 200);
    assert_eq!(echo.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_listed_statuses_make_the_next_member_answer() {
    let b = named("b").await;
    for (group, failing, passing) in [
        ("", &[500, 502, 503, 504][..], &[400, 403, 404, 416, 429, 501][..]),
        ("statuses = [404, 429]", &[404, 429], &[400, 403, 500, 503]),
        ("statuses = []", &[], &[404, 503]),
    ] {
        let a = named("a").await;
        let edge = two_with(&config("eject_after = 0", group, UNCACHED), &a.address(), &b.address()).await;
        for status in [failing, passing].concat() {
            a.answer(move |_| Reply::new(status, &[("retry-after", "7")], "a's words"));
            let response = edge.get("/t").await;
            if failing.contains(&status) {
                assert_eq!((response.status, response.text().as_str()), (200, "b"), "{group} {status}");
                assert_eq!(response.header("retry-after"), None, "nothing is left of the first answer");
            } else {
                assert_eq!((response.status, response.text().as_str()), (status, "a's words"), "{group} {status}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_are_for_the_first_member_only() {
    let b = named("b").await;
    for reply in [Reply::new(503, &[], "a's words"), hostile::resets_at_once(), hostile::silent()] {
        let a = hostile::always(reply).await;
        let edge = two(&a.address(), &b.address()).await;
        for (turn, method) in ["POST", "PUT", "DELETE", "PATCH"].into_iter().enumerate() {
            let response = edge.request(method, "/t", &[], b"pay").await;
            assert!(matches!(response.status, 502..=504), "{method}: {}", response.status);
            assert_eq!(a.count(), turn + 1, "{method} is sent once");
        }
    }
    let edge = two(&hostile::refused().await, &b.address()).await;
    assert_eq!(edge.request("POST", "/t", &[], b"pay").await.status, 502);
    assert_eq!(b.heads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_with_a_body_is_sent_once() {
    let (a, b) = (hostile::always(Reply::new(503, &[], "a's words")).await, named("b").await);
    let edge = two(&a.address(), &b.address()).await;
    assert_eq!(edge.request("GET", "/t", &[], b"body").await.text(), "a's words");
    assert_eq!((a.count(), b.heads()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_dies_in_its_body_is_cut_and_not_stored() {
    let cases = [hostile::short_body(), hostile::resets_in_body(), hostile::cut_chunks()];
    for reply in cases {
        let cached = |reply: Reply| {
            let steps = reply.0.into_iter().map(|step| match step {
                Step::Send(bytes) if bytes.starts_with(b"HTTP/1.1 200 OK\r\n") => {
                    let rest = &bytes[b"HTTP/1.1 200 OK\r\n".len()..];
                    Step::Send([b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n", rest].concat().into())
                }
                other => other,
            });
            Reply::script(steps.collect::<Vec<_>>())
        };
        for policy in ["", UNCACHED] {
            let (a, b) = (hostile::always(cached(reply.clone())).await, named("b").await);
            let edge = two_with(&config("", "", policy), &a.address(), &b.address()).await;
            let mut raw = edge.connect().await;
            raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
            let (status, head, _) = raw.try_head().await.expect("a head");
            if status == 200 {
                let (_, result) = raw.body(framing("GET", status, &head)).await;
                assert!(result.is_err(), "a cut body was passed on as a whole one");
            } else {
                assert_eq!(status, 502);
            }
            assert_eq!(b.heads(), 0, "the viewer has the head already, or half of the answer");
            a.answer(|_| Reply::ok("whole"));
            assert_eq!(edge.get("/t").await.text(), "whole", "nothing was stored");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_members_failure_is_what_the_viewer_gets() {
    let (a, b) = (hostile::always(hostile::resets_at_once()).await, hostile::always(Reply::new(503, &[], "b's")).await);
    let edge = two(&a.address(), &b.address()).await;
    let response = edge.get("/t").await;
    assert_eq!((response.status, response.text().as_str()), (503, "b's"));
    b.answer(|_| hostile::silent());
    assert_eq!(edge.get("/u").await.status, 504);
    a.answer(|_| Reply::new(503, &[], "a's"));
    b.answer(|_| hostile::resets_at_once());
    assert_eq!(edge.get("/v").await.status, 502);
    let lines = edge.log_lines(3).await;
    assert_eq!(lines.iter().map(|line| &line["origin"]).collect::<Vec<_>>(), ["b", "b", "b"]);
    assert_eq!(lines[1]["fault"], "origin-timeout");
    b.answer(|_| Reply::ok("b"));
    assert_eq!(edge.get("/after").await.text(), "b", "the edge serves after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_are_asked_in_order() {
    let text = "[origins.a]\nurl = \"http://{a}\"\n[origins.b]\nurl = \"http://{b}\"\n[origins.c]\nurl = \"http://{c}\"\n\
                [origin_groups.all]\nmembers = [\"a\", \"b\", \"c\"]\n\
                [distributions.site]\nhosts = [\"site.test\"]\n[[distributions.site.behaviors]]\norigin = \"all\"\n";
    let (a, b, c) = (hostile::refused().await, hostile::always(unavailable()).await, named("c").await);
    let setup = Setup::new(text).set("a", &a).set("b", &b.address()).set("c", &c.address());
    let edge = setup.start().await;
    assert_eq!(edge.get("/t").await.text(), "c");
    assert_eq!(edge.log_lines(1).await[0]["origin_attempts"], 3);
    assert_eq!(b.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_member_gets_its_own_host_path_and_headers() {
    let (a, b) = (hostile::always(Reply::new(503, &[], "")).await, Origin::mirror().await);
    let text = config("", "", "")
        .replacen(
            "[origins.a]\nurl = \"http://{a}\"",
            "[origins.a]\nurl = \"http://{a}/one\"\nheaders = { x-key = \"1\" }",
            1,
        )
        .replacen(
            "[origins.b]\nurl = \"http://{b}\"",
            "[origins.b]\nurl = \"http://{b}/two\"\nhost_header = \"b.test\"\nheaders = { x-other = \"2\" }",
            1,
        );
    let edge = two_with(&text, &a.address(), &b.address()).await;
    assert_eq!(edge.get_with("/t?q=1", &[("X-Mine", "yes")]).await.status, 200);
    let (first, second) = (a.only_request(), b.only_request());
    assert_eq!((first.target(), first.header("host")), ("/one/t?q=1", Some(a.address().as_str())));
    assert_eq!((first.header("x-key"), first.header("x-other")), (Some("1"), None));
    assert_eq!((second.target(), second.header("host")), ("/two/t?q=1", Some("b.test")));
    assert_eq!((second.header("x-key"), second.header("x-other")), (None, Some("2")));
    for request in [first, second] {
        assert_eq!(request.header("x-mine"), Some("yes"));
        assert_eq!(request.header_all("via").len(), 1, "{:?}", request.head);
        assert_eq!(request.header_all("x-forwarded-for").len(), 1, "{:?}", request.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_keeps_failing_is_left_out_and_tried_by_one_request_at_a_time() {
    let (a, b) = (hostile::always(hostile::resets_at_once()).await, named("b").await);
    let text = config("eject_after = 3\neject_for = \"10s\"", "", UNCACHED);
    let edge = Setup::new(&text).set("a", &a.address()).set("b", &b.address()).frozen().start().await;
    for turn in 0..8 {
        assert_eq!(edge.get("/t").await.text(), "b", "{turn}");
    }
    assert_eq!(a.count(), 3, "then it is left out");
    edge.counted("edgeweir_origin_ejections_total", &["origin=\"a\""], 1.0).await;
    assert_eq!(edge.metric("edgeweir_origin_address_up", &["origin=\"a\""]).await, 0.0);
    edge.counted("edgeweir_origin_address_up", &["origin=\"b\""], 1.0).await;
    let status: serde_json::Value = serde_json::from_str(&edge.admin("GET", "/v1/status").await.text()).expect("JSON");
    assert_eq!(status["origins"]["a"]["addresses"][a.address()], "ejected", "{status}");
    assert_eq!(edge.request("POST", "/t", &[], b"x").await.status, 502, "a POST is the first member's all the same");
    assert_eq!(a.count(), 4);
    edge.advance(Duration::from_secs(11));
    for _ in 0..4 {
        assert_eq!(edge.get("/t").await.text(), "b");
    }
    assert_eq!(a.count(), 5, "one request found out that it still fails");
    a.answer(|_| Reply::ok("a"));
    edge.advance(Duration::from_secs(11));
    for _ in 0..4 {
        assert_eq!(edge.get("/t").await.text(), "a");
    }
    edge.counted("edgeweir_origin_address_up", &["origin=\"a\""], 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_are_not_finished_take_no_origin_out() {
    let (a, b) = (named("a").await, named("b").await);
    let edge = two_with(&config("eject_after = 1\neject_for = \"1h\"", "", UNCACHED), &a.address(), &b.address()).await;
    let mut client = Client::connect(edge.address()).await;
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(client.start(http2::request("POST", HOST, "/t", &[]), false).await);
    }
    for (answer, _body) in streams {
        assert_eq!(deadline("an answer", answer).await.expect("an answer").status(), 408);
    }
    assert_eq!(edge.metric("edgeweir_origin_ejections_total", &["origin=\"a\""]).await, 0.0);
    assert_eq!(edge.get("/t").await.text(), "a");
}

/// An origin that has no patience: it answers a GET, and ends the connection of an upload when it has seen its head.
async fn impatient() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                if head[..read].starts_with(b"GET") {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\na";
                    stream.write_all(answer).await.expect("it is read");
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_gives_up_unfinished_uploads_is_not_left_out() {
    let (a, b) = (impatient().await, named("b").await);
    let edge = two_with(&config("eject_after = 1\neject_for = \"1h\"", "", UNCACHED), &a, &b.address()).await;
    for _ in 0..4 {
        let mut viewer = edge.connect().await;
        viewer.send(format!("POST /t HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n\r\nabc")).await;
        assert_eq!(viewer.response_to("POST").await.status, 502);
    }
    assert_eq!(edge.metric("edgeweir_origin_ejections_total", &["origin=\"a\""]).await, 0.0);
    assert_eq!(edge.get("/t").await.text(), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_are_left_out_they_are_asked_in_order() {
    let (a, b) = (hostile::always(hostile::resets_at_once()).await, hostile::always(hostile::resets_at_once()).await);
    let text = config("eject_after = 1\neject_for = \"1h\"", "", UNCACHED);
    let edge = two_with(&text, &a.address(), &b.address()).await;
    assert_eq!(edge.get("/t").await.status, 502);
    assert_eq!(edge.get("/t").await.status, 502);
    assert_eq!((a.count(), b.count()), (2, 2));
    a.answer(|_| Reply::ok("a"));
    assert_eq!(edge.get("/t").await.text(), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_change_groups_and_keep_what_is_known_of_addresses() {
    let (a, b) = (hostile::always(hostile::resets_at_once()).await, named("b").await);
    let text = config("eject_after = 1\neject_for = \"1h\"", "", UNCACHED);
    let edge: TestEdge = two_with(&text, &a.address(), &b.address()).await;
    assert_eq!(edge.get("/t").await.text(), "b");
    edge.reload(&text.replace("read_timeout = \"500ms\"", "read_timeout = \"600ms\"")).await.expect("a good config");
    assert_eq!(edge.get("/t").await.text(), "b");
    assert_eq!(a.count(), 1, "it is still left out");
    edge.reload(&text.replace("[\"a\", \"b\"]", "[\"b\", \"a\"]")).await.expect("a good config");
    b.answer(|_| Reply::new(503, &[], ""));
    assert_eq!(edge.get("/t").await.status, 502, "b first, then a");
    assert_eq!(a.count(), 2);
    let error = edge.reload(&text.replace("[\"a\", \"b\"]", "[\"a\", \"c\"]")).await.expect_err("no such origin");
    assert!(error.contains("unknown origin `c`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_finds_the_member_that_takes_connections() {
    let b = WebSocketOrigin::start().await;
    let edge = two(&hostile::refused().await, &b.address()).await;
    let (mut socket, response) = WebSocket::connect(edge.address(), HOST, "/chat").await.expect("a handshake");
    assert_eq!(response.status(), 101);
    assert_eq!(socket.echo("hello").await.expect("an echo"), "hello");
    socket.close().await;
}
