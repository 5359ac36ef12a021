//! HTTP/1.1 and HTTP/2 on both sides, trailers, gRPC.

use bytes::Bytes;
use edgeweir_tests::certs::Authority;
use edgeweir_tests::edge::{HOST, Setup, TestEdge};
use edgeweir_tests::h2_origin::H2Origin;
use edgeweir_tests::http2::{Client, read, request, send_all};
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::wait::deadline;
use http::{HeaderMap, HeaderValue};

const H2C_ORIGIN: &str = r#"
    [origins.main]
    url = "http://{origin}"
    http = "h2-only"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
"#;

const TLS_ORIGIN: &str = r#"
    [origins.main]
    url = "https://{origin}"
    http = "h2"
    verify_tls = false
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn h2c_viewer_to_http_1_1_origin() {
    let origin = Origin::start(|request| Reply::new(200, &[("x-method", request.method())], &request.body.bytes)).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut client = Client::connect(edge.address()).await;
    let response = client.request(request("POST", HOST, "/t?q", &[("x-a", "1")]), b"some body").await;
    assert_eq!((response.status, response.text().as_str()), (200, "some body"));
    assert_eq!(response.header("x-method"), Some("POST"));
    for name in ["connection", "transfer-encoding", "keep-alive"] {
        assert_eq!(response.header(name), None, "{name} in HTTP/2");
    }
    let received = origin.only_request();
    assert_eq!((received.target(), received.header("x-a")), ("/t?q", Some("1")));
    assert!(received.head.start_line.ends_with("HTTP/1.1"));
    let head = client.request(request("HEAD", HOST, "/t", &[]), b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_1_viewer_to_h2c_origin() {
    let origin = H2Origin::echo(None).await;
    let edge = TestEdge::start(H2C_ORIGIN, &origin.address()).await;
    let response = edge.request("POST", "/t?q", &[("X-A", "1"), ("Connection", "keep-alive")], b"some body").await;
    assert_eq!((response.status, response.text().as_str()), (200, "some body"));
    assert_eq!(response.header("x-h2"), Some("yes"));
    let received = origin.requests().remove(0);
    assert_eq!((received.method.as_str(), received.target.as_str()), ("POST", "/t?q"));
    assert_eq!(received.body, b"some body");
    assert_eq!(received.headers.get("x-a").map(HeaderValue::as_bytes), Some(b"1".as_slice()));
    assert!(received.headers.get("connection").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn h2c_viewer_to_h2c_origin_with_many_streams_at_once() {
    let origin = H2Origin::echo(None).await;
    let edge = TestEdge::start(H2C_ORIGIN, &origin.address()).await;
    let mut client = Client::connect(edge.address()).await;
    let mut running = Vec::new();
    for number in 0..50 {
        let (response, mut stream) = client.start(request("POST", HOST, &format!("/{number}"), &[]), false).await;
        running.push((number, response, stream.send_data(Bytes::from(format!("body {number}")), true)));
    }
    for (number, response, sent) in running {
        assert!(sent.is_ok());
        let response = deadline("a response", response).await.expect("a response");
        let response = read(response).await.expect("a whole response");
        assert_eq!(response.text(), format!("body {number}"));
    }
    assert_eq!(origin.requests().len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_h2_connection_to_the_origin_serves_many_requests_in_turn() {
    let origin = H2Origin::echo(None).await;
    let edge = TestEdge::start(H2C_ORIGIN, &origin.address()).await;
    for number in 0..20 {
        let text = number.to_string();
        assert_eq!(edge.request("POST", "/t", &[], text.as_bytes()).await.text(), text);
    }
    // The connection goes back to the pool just after the response's end: a second one can slip in.
    assert!(origin.connections() <= 3, "{} connections for 20 requests", origin.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn h2_origin_by_alpn() {
    let authority = Authority::new();
    let acceptor = authority.issue(&["origin.test"]).acceptor(&["h2", "http/1.1"]);
    let origin = H2Origin::echo(Some(acceptor)).await;
    let edge = TestEdge::start(TLS_ORIGIN, &origin.address()).await;
    let response = edge.request("POST", "/t", &[], b"over TLS").await;
    assert_eq!((response.status, response.text().as_str()), (200, "over TLS"));
    assert_eq!(response.header("x-h2"), Some("yes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn h2_tls_viewer() {
    let origin = Origin::mirror().await;
    let authority = Authority::new();
    let setup = Setup::new(
        r#"
        [[listeners]]
        address = "127.0.0.1:0"
        certificates = [{ hosts = ["site.test"], certificate = "{dir}/site.pem", key = "{dir}/site.key" }]
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
    "#,
    )
    .set("origin", &origin.address());
    drop(authority.issue(&["site.test"]).write(setup.folder(), "site"));
    let edge = setup.start().await;
    let stream = authority.connect(edge.address(), "site.test", &["h2", "http/1.1"]).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let mut client = Client::over(stream).await;
    let response = client.get(HOST, "/t", &[]).await;
    assert_eq!(response.status, 200);
    let received = origin.only_request();
    assert_eq!(received.header("x-forwarded-proto"), Some("https"));
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_trailers_pass_from_h2_to_h2() {
    let origin = H2Origin::echo(None).await;
    let edge = TestEdge::start(H2C_ORIGIN, &origin.address()).await;
    let mut client = Client::connect(edge.address()).await;
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let (response, mut stream) = client.start(request("POST", HOST, "/pkg.Service/Method", &headers), false).await;
    send_all(&mut stream, b"\0\0\0\0\x02hi", false).await.expect("the edge reads");
    let mut trailers = HeaderMap::new();
    trailers.insert("x-client-trailer", HeaderValue::from_static("1"));
    stream.send_trailers(trailers).expect("the edge reads");
    let response = deadline("a response", response).await.expect("a response");
    let response = deadline("the whole response", read(response)).await.expect("a whole response");
    assert_eq!((response.status, response.body.as_slice()), (200, b"\0\0\0\0\x02hi".as_slice()));
    let trailers = response.trailers.expect("trailers");
    assert_eq!(trailers.get("grpc-status").map(HeaderValue::as_bytes), Some(b"0".as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn h2_streams_flow_both_ways_at_once() {
    let origin = H2Origin::echo(None).await;
    let edge = TestEdge::start(H2C_ORIGIN, &origin.address()).await;
    let mut client = Client::connect(edge.address()).await;
    let (response, mut stream) = client.start(request("POST", HOST, "/chat", &[]), false).await;
    stream.send_data(Bytes::from_static(b"one"), false).expect("the edge reads");
    let response = deadline("the head while the request goes on", response).await.expect("a response");
    let mut body = response.into_body();
    let first = deadline("the first echo", body.data()).await.expect("data").expect("data");
    assert_eq!(first.as_ref(), b"one");
    stream.send_data(Bytes::from_static(b"two"), true).expect("the edge reads");
    let second = deadline("the second echo", body.data()).await.expect("data").expect("data");
    assert_eq!(second.as_ref(), b"two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_stream_does_not_harm_its_neighbours() {
    let origin = H2Origin::echo(None).await;
    let edge = TestEdge::start(H2C_ORIGIN, &origin.address()).await;
    let mut client = Client::connect(edge.address()).await;
    let (_, mut gone) = client.start(request("POST", HOST, "/gone", &[]), false).await;
    gone.send_data(Bytes::from_static(b"half"), false).expect("the edge reads");
    let (response, mut kept) = client.start(request("POST", HOST, "/kept", &[]), false).await;
    gone.send_reset(h2::Reason::CANCEL);
    kept.send_data(Bytes::from_static(b"whole"), true).expect("the edge reads");
    let response = deadline("a response", response).await.expect("a response");
    assert_eq!(read(response).await.expect("a whole response").text(), "whole");
    assert_eq!(client.request(request("POST", HOST, "/more", &[]), b"more").await.text(), "more");
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_can_be_turned_off() {
    let origin = Origin::hello().await;
    let config = r#"
        [[listeners]]
        address = "127.0.0.1:0"
        http2 = false
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
    "#;
    let edge = TestEdge::start(config, &origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let answer = raw.rest().await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4") || answer.starts_with(b"HTTP/1.1 505"));
    assert_eq!(edge.get("/t").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_over_http_2_gets_its_502_too() {
    let edge = TestEdge::plain(&edgeweir_tests::hostile::refused().await).await;
    let mut client = Client::connect(edge.address()).await;
    for method in ["HEAD", "GET"] {
        let response = client.request(request(method, HOST, "/t", &[]), b"").await;
        assert_eq!(response.status, 502, "{method}");
    }
}
