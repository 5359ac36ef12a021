//! JA3 and JA4: what origins are told of the way in which a viewer begins its handshake.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use edgeweir_proxy::tls::fingerprint::Fingerprints;
use edgeweir_proxy::tls::hello::Assembly;
use edgeweir_tests::certs::{Authority, Client};
use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::Origin;
use edgeweir_tests::raw::{Raw, request_bytes};
use edgeweir_tests::wait::deadline;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const BOTH: &str = "\"CloudFront-Viewer-JA3-Fingerprint\", \"CloudFront-Viewer-JA4-Fingerprint\"";

/// An edge with listeners for TLS, plain text, and TLS after a PROXY header. The facts are those of `/told*`.
async fn edge(origin: &Origin, facts: &str) -> (TestEdge, Authority) {
    let authority = Authority::new();
    let setup = Setup::new(&config(facts)).set("origin", &origin.address());
    drop(authority.issue(&["site.test"]).write(setup.folder(), "a"));
    (setup.start().await, authority)
}

fn config(facts: &str) -> String {
    let tls = "certificates = [{ certificate = \"{dir}/a.pem\", key = \"{dir}/a.key\" }]";
    format!(
        "trusted_proxies = [\"127.0.0.1/32\"]\nserver.handshake_timeout = \"2s\"\n\
         [[listeners]]\naddress = \"127.0.0.1:0\"\n{tls}\n[[listeners]]\naddress = \"127.0.0.1:0\"\n\
         [[listeners]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n{tls}\n\
         [origins.main]\nurl = \"http://{{origin}}\"\n[distributions.site]\nhosts = [\"*\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"/told*\"\nviewer_headers = [{facts}]\n[[distributions.site.behaviors]]\n"
    )
}

/// How the first record of a viewer is sent on.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// Bytes of the message in one record.
    record: usize,
    /// Bytes in one write.
    segment: usize,
    /// Whether a PROXY header comes before it.
    announced: bool,
}

const WHOLE: Cut = Cut { record: usize::MAX, segment: usize::MAX, announced: false };

/// Stands between a viewer and the edge; cuts what the viewer begins with, and says what that was.
async fn relay(edge: SocketAddr, cut: Cut) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keeps = Arc::clone(&seen);
    tokio::spawn(async move {
        let (mut viewer, _) = listener.accept().await.expect("a viewer");
        let mut edge = TcpStream::connect(edge).await.expect("the edge accepts");
        edge.set_nodelay(true).expect("a socket");
        if cut.announced {
            edge.write_all(b"PROXY TCP4 192.0.2.8 127.0.0.1 5000 443\r\n").await.expect("it is sent");
        }
        let mut head = [0; 5];
        viewer.read_exact(&mut head).await.expect("a record");
        let mut message = vec![0; u16::from_be_bytes([head[3], head[4]]).into()];
        viewer.read_exact(&mut message).await.expect("all of it");
        *keeps.lock().expect("nobody panics") = [&head[..], &message].concat();
        let parts = message.chunks(cut.record.min(message.len()));
        let records: Vec<u8> = parts
            .flat_map(|part| [&head[..3], &u16::try_from(part.len()).expect("short").to_be_bytes(), part].concat())
            .collect();
        for segment in records.chunks(cut.segment.min(records.len())) {
            edge.write_all(segment).await.expect("it is sent");
            tokio::task::yield_now().await;
        }
        drop(tokio::io::copy_bidirectional(&mut viewer, &mut edge).await);
    });
    (address, seen)
}

async fn told_on(raw: &mut Raw, origin: &Origin, path: &str) -> (Option<String>, Option<String>) {
    // What viewers say of it themselves is dropped.
    let lies = [("CloudFront-Viewer-JA3-Fingerprint", "lie"), ("CloudFront-Viewer-JA4-Fingerprint", "lie")];
    raw.send(request_bytes("GET", "site.test", path, &lies, b"")).await;
    assert_eq!(raw.response().await.status, 200);
    let received = origin.requests().pop().expect("a request");
    let field = |name: &str| received.header(name).map(str::to_owned);
    (field("cloudfront-viewer-ja3-fingerprint"), field("cloudfront-viewer-ja4-fingerprint"))
}

fn made_of(bytes: &[u8]) -> (Option<String>, Option<String>) {
    let mut assembly = Assembly::default();
    assembly.room().extend_from_slice(bytes);
    assembly.look();
    let made = assembly.finish().1.and_then(|hello| Fingerprints::of(&hello)).expect("a first message");
    let text = |value: http::HeaderValue| value.to_str().ok().map(str::to_owned);
    (text(made.ja3), text(made.ja4))
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_are_told_what_the_first_message_looks_like_however_it_comes() {
    let origin = Origin::mirror().await;
    let (edge, authority) = edge(&origin, BOTH).await;
    let client = authority.client().offering(&["http/1.1"]);
    for (record, segment) in [(usize::MAX, usize::MAX), (usize::MAX, 1), (100, usize::MAX), (100, 7), (1, 64)] {
        for announced in [false, true] {
            let cut = Cut { record, segment, announced };
            let (address, seen) = relay(edge.addresses()[if announced { 2 } else { 0 }], cut).await;
            // The first one of these is a full handshake, the others resume its session: their messages are others.
            let mut raw = Raw::over(client.connect(address, "site.test").await.expect("a handshake"));
            let wanted = made_of(&seen.lock().expect("nobody panics"));
            assert!(wanted.1.as_ref().is_some_and(|ja4| ja4.starts_with("t13d") && ja4.contains("h1_")));
            for _again in 0..2 {
                assert_eq!(told_on(&mut raw, &origin, "/told").await, wanted, "{cut:?}");
            }
            assert_eq!(told_on(&mut raw, &origin, "/other").await, (None, None), "nobody asked there");
        }
    }
    let mut plain = Raw::connect(edge.addresses()[1]).await;
    assert_eq!(told_on(&mut plain, &origin, "/told").await, (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_asks_for_it_too() {
    let origin = Origin::mirror().await;
    let authority = Authority::new();
    let policy = format!("cache_policy = \"p\"\n[cache_policies.p]\nforward_headers = [{BOTH}]\n");
    let setup = Setup::new(&format!("{}{policy}", config(""))).set("origin", &origin.address());
    drop(authority.issue(&["site.test"]).write(setup.folder(), "a"));
    let edge = setup.start().await;
    let mut raw = Raw::over(authority.client().connect(edge.addresses()[0], "site.test").await.expect("a handshake"));
    let (ja3, ja4) = told_on(&mut raw, &origin, "/other").await;
    assert!(ja3.is_some() && ja4.is_some());
    assert_eq!(told_on(&mut raw, &origin, "/told").await, (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls12_without_a_name_over_http2() {
    let origin = Origin::mirror().await;
    let (edge, authority) = edge(&origin, BOTH).await;
    let (address, seen) = relay(edge.addresses()[0], WHOLE).await;
    let client = authority.client().offering(&["h2"]).of_versions(&[&rustls::version::TLS12]);
    let stream = client.connect(address, "site.test").await.expect("a handshake");
    let (mut sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let request = http::Request::get("https://site.test/told").body(()).expect("a request");
    let (answer, _) = sender.send_request(request, true).expect("it is sent");
    assert_eq!(deadline("an answer", answer).await.expect("an answer").status(), 200);
    let received = origin.only_request();
    let ja4 = received.header("cloudfront-viewer-ja4-fingerprint").map(str::to_owned);
    assert_eq!(ja4, made_of(&seen.lock().expect("nobody panics")).1);
    assert!(ja4.is_some_and(|ja4| ja4.starts_with("t12d") && ja4.contains("h2_")));
}

/// What a viewer gets that begins so; its connection has ended then.
async fn answer_to(address: SocketAddr, bytes: &[u8], ends: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("the edge accepts");
    drop(stream.write_all(bytes).await);
    if ends {
        drop(stream.shutdown().await);
    }
    let mut answer = Vec::new();
    drop(deadline("the edge closes", stream.read_to_end(&mut answer)).await);
    answer
}

/// The first message of a viewer, as a record.
async fn recorded(client: &Client) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let viewer = client.connect(address, "site.test");
    let server = async {
        let (mut stream, _) = listener.accept().await.expect("a viewer");
        let mut record = vec![0; 5];
        stream.read_exact(&mut record).await.expect("a record");
        record.resize(5 + usize::from(u16::from_be_bytes([record[3], record[4]])), 0);
        stream.read_exact(&mut record[5..]).await.expect("all of it");
        record
    };
    let (record, _refused) = tokio::join!(server, viewer);
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_first_messages_are_refused_as_if_nobody_looked() {
    let origin = Origin::mirror().await;
    let (looks, authority) = edge(&origin, BOTH).await;
    let setup = Setup::new(&config("")).set("origin", &origin.address());
    drop(authority.issue(&["site.test"]).write(setup.folder(), "a"));
    let blind = setup.start().await;
    let good = recorded(&authority.client()).await;
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let pieces: Vec<u8> = good[5..].iter().flat_map(|&byte| [22, 3, 1, 0, 1, byte]).collect();
    let cases = [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n".to_vec(), false),
        ("SSL 2", vec![0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10], false),
        ("16 KiB of zeros in a message", [&[22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc][..], &[0; 0x3ffc]].concat(), false),
        ("a record that is too long", [&[22, 3, 1, 0xff, 0xff][..], &[1; 70_000]].concat(), false),
        (
            "a message longer than it may be",
            [&[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[0; 0x3ffc]].concat(),
            false,
        ),
        ("an empty record", vec![22, 3, 1, 0, 0, 22, 3, 1, 0, 0], true),
        ("a session that is too long", changed(5 + 4 + 34, 200), false),
        ("half a suite", changed(5 + 4 + 34 + 1 + 32 + 1, 3), false),
        ("the message says less than there is", changed(8, 0), true),
        ("cut in its head", good[..7].to_vec(), true),
        ("cut in its middle", good[..good.len() / 2].to_vec(), true),
        ("cut, in pieces of a byte", pieces[..pieces.len() / 2].to_vec(), true),
        ("nothing", Vec::new(), true),
    ];
    for (what, bytes, ends) in &cases {
        let alert = answer_to(looks.addresses()[0], bytes, *ends).await;
        assert_eq!(alert, answer_to(blind.addresses()[0], bytes, *ends).await, "{what}: the same alert");
    }
    // One that stops is waited for as long as any handshake.
    let mut stalls = TcpStream::connect(looks.addresses()[0]).await.expect("the edge accepts");
    stalls.write_all(&good[..60]).await.expect("it is sent");
    assert_eq!(deadline("the edge gives up", stalls.read(&mut [0; 8])).await.unwrap_or_default(), 0);
    looks.counted("edgeweir_refused_connections_total", &["\"tls-handshake-timeout\""], 1.0).await;
    for edge in [&looks, &blind] {
        edge.counted("edgeweir_refused_connections_total", &["\"tls-handshake\""], cases.len() as f64).await;
    }
    assert_eq!(origin.count(), 0);
    let mut raw = Raw::over(authority.client().connect(looks.addresses()[0], "site.test").await.expect("a handshake"));
    assert!(told_on(&mut raw, &origin, "/told").await.1.is_some(), "it goes on for others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_long_has_no_fingerprint_and_is_served() {
    let origin = Origin::mirror().await;
    let (edge, authority) = edge(&origin, BOTH).await;
    let names: Vec<String> = (0..100).map(|at| format!("{at:0200}")).collect();
    let mut offered: Vec<&str> = names.iter().map(String::as_str).collect();
    offered.push("http/1.1");
    let client = authority.client().offering(&offered);
    let mut raw = Raw::over(client.connect(edge.addresses()[0], "site.test").await.expect("a handshake"));
    assert_eq!(told_on(&mut raw, &origin, "/told").await, (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_asks_for_it_of_connections_that_come_after() {
    let origin = Origin::mirror().await;
    let (edge, authority) = edge(&origin, "\"CloudFront-Viewer-TLS\"").await;
    let connect = || async {
        Raw::over(authority.client().connect(edge.addresses()[0], "site.test").await.expect("a handshake"))
    };
    let mut before = connect().await;
    assert_eq!(told_on(&mut before, &origin, "/told").await, (None, None));
    edge.reload(&config(BOTH)).await.expect("a good configuration");
    assert_eq!(told_on(&mut before, &origin, "/told").await, (None, None), "what it began with is not known any more");
    let mut after = connect().await;
    let (ja3, ja4) = told_on(&mut after, &origin, "/told").await;
    assert!(ja3.is_some_and(|ja3| ja3.len() == 32) && ja4.is_some());
    edge.reload(&config("\"CloudFront-Viewer-JA4-Fingerprint\"")).await.expect("a good configuration");
    let (ja3, ja4) = told_on(&mut after, &origin, "/told").await;
    assert!(ja3.is_none() && ja4.is_some(), "only what is asked for");
}
