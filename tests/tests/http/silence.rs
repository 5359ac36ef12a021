//! Who keeps silent, and who is told: the origin's silence is a 504 with a line in the log, the viewer's is not the origin's.

use std::time::Duration;

use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::hostile;
use edgeweir_tests::http2::{self, Client};
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::raw::framing;
use edgeweir_tests::wait::{deadline, deadline_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONFIG: &str = r#"
    [server]
    read_timeout = "900ms"
    write_timeout = "20s"
    [origins.main]
    url = "http://{origin}"
    read_timeout = "900ms"
    [cache_policies.cached]
    headers = []
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "/cached/*"
    cache_policy = "cached"
    [[distributions.site.behaviors]]
    cache_policy = "CachingDisabled"
"#;

fn text(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec().into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_origin_is_504_with_an_id_and_a_line() {
    for reply in [hostile::silent(), hostile::trickling_head()] {
        let origin = hostile::always(reply).await;
        let edge = TestEdge::start(CONFIG, &origin.address()).await;
        for method in ["GET", "POST"] {
            let response = edge.request(method, "/t", &[], if method == "POST" { b"x" } else { b"" }).await;
            assert_eq!(
                (response.status, response.text().as_str()),
                (504, "{\"message\":\"Gateway Timeout\"}"),
                "{method}"
            );
            assert!(response.header("x-request-id").is_some(), "{method}");
        }
        for line in edge.log_lines(2).await {
            assert_eq!((&line["status"], &line["fault"]), (&504.into(), &"origin-timeout".into()), "{line}");
        }
        assert_eq!(origin.heads(), 2, "nothing is asked twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_in_line_does_not_keep_a_silent_origin_alive() {
    let origin = hostile::always(hostile::silent()).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("GET /one HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    edgeweir_tests::wait::until("the origin is asked", || origin.heads() == 1).await;
    raw.send("GET /two HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    assert_eq!(raw.response().await.status, 504);
    raw.assert_closed().await;
    assert_eq!(origin.heads(), 1, "the second one is dropped with the connection");
}

/// Accepts connections and reads nothing of them.
async fn deaf() -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    let address = listener.local_addr().expect("the listener is bound").to_string();
    let task = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    (address, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_the_origin_does_not_take_is_504() {
    let (address, origin) = deaf().await;
    let limits =
        "read_timeout = \"900ms\"\nwrite_timeout = \"500ms\"\nmax_requests = 1\nqueue = \"50ms\"\n[cache_policies";
    let config = CONFIG.replacen("read_timeout = \"900ms\"\n    [cache_policies", limits, 1);
    assert_ne!(config, CONFIG);
    let edge = TestEdge::start(&config, &address).await;
    for _ in 0..2 {
        let stream = TcpStream::connect(edge.address()).await.expect("the edge accepts");
        let (mut read, mut write) = stream.into_split();
        let upload = tokio::spawn(async move {
            let head = "POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 50000000\r\n\r\n";
            let mut sent = write.write_all(head.as_bytes()).await;
            while sent.is_ok() {
                sent = write.write_all(&[b'a'; 65536]).await;
            }
        });
        let mut answer = Vec::new();
        // The edge need not read it all, so the end may be a reset.
        let _end = deadline("an answer", read.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        // The second one finds the place of the first one free.
        assert!(
            answer.starts_with("HTTP/1.1 504 ") && answer.ends_with("{\"message\":\"Gateway Timeout\"}"),
            "{answer:?}"
        );
        upload.abort();
    }
    for line in edge.log_lines(2).await {
        assert_eq!((&line["status"], &line["fault"]), (&504.into(), &"origin-timeout".into()), "{line}");
    }
    origin.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_takes_an_upload_slowly_is_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
    let address = listener.local_addr().expect("the listener is bound").to_string();
    const LENGTH: usize = 8 << 20;
    let origin = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let (mut taken, mut part) = (0, vec![0; 256 << 10]);
        // More than twice the time that it may keep silent. Then at once: what waits in sockets is no longer the edge's to see.
        let until = tokio::time::Instant::now() + Duration::from_secs(2);
        while taken < LENGTH {
            if tokio::time::Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            taken += stream.read(&mut part).await.expect("a part of the body");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.expect("an open connection");
        stream
    });
    let edge = TestEdge::start(CONFIG, &address).await;
    let mut raw = edge.connect().await;
    raw.send(format!("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: {LENGTH}\r\n\r\n")).await;
    deadline_of(Duration::from_secs(20), "the upload", raw.try_send(&vec![b'a'; LENGTH])).await.expect("all is taken");
    let response = deadline_of(Duration::from_secs(20), "an answer", raw.try_response_to("POST")).await;
    assert_eq!(response.expect("a whole answer").text(), "ok");
    origin.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_falls_silent_in_its_body_is_given_up() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    let origin = Origin::start(move |_| Reply::script([text(head), Step::Pause(Duration::from_secs(3600))])).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    for target in ["/t", "/cached/t"] {
        let mut raw = edge.connect().await;
        raw.send(format!("GET {target} HTTP/1.1\r\nHost: site.test\r\n\r\n")).await;
        let (status, head, _) = raw.try_head().await.expect("a head");
        assert_eq!(status, 200);
        let (body, result) = raw.body(framing("GET", status, &head)).await;
        assert!(result.is_err() && body.bytes == b"half"[..], "{target}: {result:?}");
    }
    assert!(edge.log_lines(2).await.iter().all(|line| line["fault"] == "origin-timeout"), "{}", edge.log_text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_speaks_slowly_but_steadily_is_heard_out() {
    let mut steps = vec![text("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")];
    for _ in 0..10 {
        steps.push(Step::Pause(Duration::from_millis(150)));
        steps.push(text("a"));
    }
    let origin = Origin::start(move |_| Reply::script(steps.clone())).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    assert_eq!(edge.get("/t").await.text(), "aaaaaaaaaa");
}

/// What is stored, of other origins or the edge's own may take the place of the answer, so nothing may cut it off from outside.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_steadily_is_heard_out_where_it_may_be_stored() {
    let mut steps = vec![text("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n")];
    // More than twice the origin's read timeout.
    for _ in 0..9 {
        steps.extend([Step::Pause(Duration::from_millis(250)), text("x-part: of many\r\n")]);
    }
    steps.push(text("content-length: 2\r\n\r\nok"));
    let origin = Origin::start(move |_| Reply::script(steps.clone())).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let answer = edge.get("/cached/t").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert_eq!(edge.log_lines(1).await[0]["status"], 200);
    assert_eq!(edge.get("/cached/t").await.text(), "ok");
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_reads_slowly_is_not_the_origins_silence() {
    let origin = Origin::start(|_| Reply::ok(vec![b'a'; 32 << 20])).await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("GET /t HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    let (status, head, _) = raw.try_head().await.expect("a head");
    // Several times the origin's read timeout, with all buffers full.
    tokio::time::sleep(Duration::from_millis(3000)).await;
    let (body, result) = raw.body(framing("GET", status, &head)).await;
    assert!(result.is_ok() && body.length == 32 << 20, "{result:?} after {} bytes", body.length);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_stops_its_upload_is_told_so() {
    let origin = Origin::hello().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 100\r\n\r\nhalf").await;
    assert_eq!(raw.response_to("POST").await.status, 408);
    let line = &edge.log_lines(1).await[0];
    assert_eq!((&line["status"], &line["fault"]), (&408.into(), &"viewer-timeout".into()), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9110_15_5_9_an_upload_that_is_not_finished_is_the_viewers_fault() {
    let origin = Origin::hello().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let head = "POST /t HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    // What comes is no part of the body, and keeps the viewer from being silent.
    for (begins, drips) in [("", "0"), ("1;a=", "b"), ("0\r\n", "a: b\r\n")] {
        let mut raw = edge.connect().await;
        raw.send(format!("{head}{begins}")).await;
        for _ in 0..20 {
            if raw.try_send(drips.as_bytes()).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let answer = raw.response_to("POST").await;
        assert_eq!((answer.status, answer.text().as_str()), (408, "{\"message\":\"Request Timeout\"}"), "{begins:?}");
    }
    let mut client = Client::connect(edge.address()).await;
    for part in ["", "half"] {
        let (answer, mut body) = client.start(http2::request("POST", HOST, "/t", &[]), false).await;
        http2::send_all(&mut body, part.as_bytes(), false).await.expect("an open stream");
        let answer = http2::read(deadline("an answer", answer).await.expect("an answer")).await.expect("all of it");
        assert_eq!((answer.status, answer.text().as_str()), (408, "{\"message\":\"Request Timeout\"}"), "{part:?}");
    }
    for line in edge.log_lines(5).await {
        assert_eq!((&line["status"], &line["fault"]), (&408.into(), &"viewer-timeout".into()), "{line}");
    }
    assert_eq!(edge.metric("edgeweir_faults_total", &["fault=\"origin-timeout\""]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_takes_longer_than_the_origin_may_be_silent_goes_through() {
    let origin = Origin::mirror().await;
    let edge = TestEdge::start(CONFIG, &origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 10\r\n\r\n").await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        raw.send("a").await;
    }
    assert!(raw.response_to("POST").await.text().ends_with("aaaaaaaaaa"));
}
