//! Reload: all or nothing.

use edgeweir_tests::edge::{PLAIN, Setup, TestEdge};
use edgeweir_tests::gate::Gate;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::process::listens;
use edgeweir_tests::raw::get;
use edgeweir_tests::wait::until;

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_effect_for_the_next_request() {
    let first = Origin::start(|_| Reply::ok("first")).await;
    let second = Origin::start(|_| Reply::ok("second")).await;
    let edge = TestEdge::start(PLAIN, &first.address()).await;
    let mut raw = edge.connect().await;
    let ask = edgeweir_tests::raw::request_bytes("GET", "site.test", "/t", &[], b"");
    raw.send(&ask).await;
    assert_eq!(raw.response().await.text(), "first");
    edge.reload(&PLAIN.replace("{origin}", &second.address())).await.expect("a good config");
    raw.send(&ask).await;
    assert_eq!(raw.response().await.text(), "second", "on the same connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_configs_change_nothing() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let number = async || edge.metric("edgeweir_snapshot_number", &[]).await;
    let before = number().await;
    let bad = [
        ("not TOML", "[origins".to_owned()),
        ("nothing", String::new()),
        ("unknown key", PLAIN.replace("url =", "urll =")),
        ("unknown origin", PLAIN.replace("origin = \"main\"", "origin = \"mian\"")),
        (
            "no certificate",
            format!(
                "{PLAIN}\n[[listeners]]\naddress = \"127.0.0.1:0\"\n\
             certificates = [{{ certificate = \"{{dir}}/none.pem\", key = \"{{dir}}/none.key\" }}]\n"
            ),
        ),
        ("no database", format!("[geo]\ndatabases = [\"{{dir}}/none.mmdb\"]\n{PLAIN}")),
        ("no secret", PLAIN.replace("[distributions", "headers = { x = { file = \"{dir}/none\" } }\n[distributions")),
        ("no environment", PLAIN.replace("[distributions", "headers = { x = { env = \"NONE\" } }\n[distributions")),
        (
            "a port in use",
            format!(
                "{PLAIN}\n[[listeners]]\naddress = \"127.0.0.1:0\"\n[[listeners]]\naddress = \"{}\"\n",
                origin.address()
            ),
        ),
    ];
    for (name, config) in bad {
        assert!(edge.reload(&config).await.is_err(), "{name}");
        assert_eq!(edge.get("/t").await.text(), "hello", "{name}");
        assert!((number().await - before).abs() < 0.1, "{name}");
    }
    edge.reload(PLAIN).await.expect("a good config");
    assert!((number().await - before - 1.0).abs() < 0.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sees_one_config_from_start_to_end() {
    let gate = Gate::new();
    let hold = gate.clone();
    let origin = Origin::start(move |_| Reply::new(200, &[("cache-control", "no-store")], "old").after(&hold)).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let address = edge.address();
    let running = tokio::spawn(async move { get(address, "site.test", "/t", &[]).await });
    until("the request is at the origin", || origin.count() == 1).await;
    edge.reload(&PLAIN.replace("site.test", "other.test")).await.expect("a good config");
    assert_eq!(edge.get("/t").await.status, 404, "the new config");
    gate.open();
    let response = running.await.expect("no panic");
    assert_eq!((response.status, response.text().as_str()), (200, "old"));
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_come_and_go() {
    let origin = Origin::hello().await;
    let port = edgeweir_tests::process::free_port();
    let two =
        format!("{PLAIN}\n[[listeners]]\naddress = \"127.0.0.1:0\"\n[[listeners]]\naddress = \"127.0.0.1:{port}\"\n");
    let edge = TestEdge::plain(&origin.address()).await;
    let (first, second) = (edge.address(), ([127, 0, 0, 1], port).into());
    assert!(!listens(second).await);
    edge.reload(&two).await.expect("a good config");
    assert_eq!(get(second, "site.test", "/t", &[]).await.text(), "hello");
    assert_eq!(edge.address(), first, "the listener that stays keeps its port");
    let mut kept = edgeweir_tests::raw::Raw::connect(second).await;
    let ask = edgeweir_tests::raw::request_bytes("GET", "site.test", "/t", &[], b"");
    kept.send(&ask).await;
    assert_eq!(kept.response().await.status, 200);
    edge.reload(PLAIN).await.expect("a good config");
    let mut gone = false;
    for _ in 0..100 {
        gone = !listens(second).await;
        if gone {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(gone, "the listener is closed");
    assert_eq!(edge.get("/t").await.text(), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_reads_the_file_again() {
    let origin = Origin::start(|request| Reply::ok(request.header("x-number").unwrap_or("none"))).await;
    let numbered = |number: usize| {
        PLAIN.replace("[distributions", &format!("headers = {{ x-number = \"{number}\" }}\n[distributions"))
    };
    let edge = Setup::new(&numbered(1)).set("origin", &origin.address()).start().await;
    assert_eq!(edge.get("/t").await.text(), "1");
    edge.write_config(&numbered(2));
    assert_eq!(edge.get("/t").await.text(), "1", "not before the reload");
    let answer = edge.admin("POST", "/v1/reload").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(edge.get("/t").await.text(), "2");
    edge.write_config(&numbered(3).replace("origin = \"main\"", "origin = \"mian\""));
    let answer = edge.admin("POST", "/v1/reload").await;
    assert!(matches!(answer.status, 409 | 422), "{}", answer.status);
    let report: serde_json::Value = serde_json::from_str(&answer.text()).expect("JSON");
    let report = report["report"].as_str().unwrap_or_default();
    assert!(report.contains("mian") && report.contains("main") && report.contains("^"), "{report}");
    assert_eq!(edge.get("/t").await.text(), "2");
    assert!(edge.metric("edgeweir_reloads_total", &["ok"]).await >= 1.0);
    assert!(edge.metric("edgeweir_reloads_total", &["failed"]).await >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_file_is_read_again() {
    let origin = Origin::start(|request| Reply::ok(request.header("x-secret").unwrap_or("none"))).await;
    let config =
        PLAIN.replace("[distributions", "headers = { x-secret = { file = \"{dir}/secret\" } }\n[distributions");
    let setup = Setup::new(&config).set("origin", &origin.address());
    std::fs::write(setup.folder().join("secret"), "one\n").expect("a writable folder");
    let edge = setup.start().await;
    assert_eq!(edge.get("/t").await.text(), "one");
    std::fs::write(edge.folder().join("secret"), "two\n").expect("a writable folder");
    assert_eq!(edge.admin("POST", "/v1/reload").await.status, 200);
    assert_eq!(edge.get("/t").await.text(), "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_after_a_reload() {
    let origin = Origin::hello().await;
    let authority = edgeweir_tests::certs::Authority::new();
    let config = format!(
        "{PLAIN}\n[[listeners]]\naddress = \"127.0.0.1:0\"\n\
         certificates = [{{ certificate = \"{{dir}}/site.pem\", key = \"{{dir}}/site.key\" }}]\n"
    );
    let setup = Setup::new(&config).set("origin", &origin.address());
    let (old, new) = (authority.issue(&["site.test"]), authority.issue(&["site.test"]));
    drop(old.write(setup.folder(), "site"));
    let edge = setup.start().await;
    let shown = async || {
        let stream = authority.connect(edge.address(), "site.test", &[]).await.expect("a handshake");
        stream.get_ref().1.peer_certificates().and_then(|chain| chain.first().cloned()).expect("a certificate")
    };
    assert_eq!(&shown().await, old.der());
    drop(new.write(edge.folder(), "site"));
    assert_eq!(edge.admin("POST", "/v1/reload").await.status, 200);
    assert_eq!(&shown().await, new.der());
}
