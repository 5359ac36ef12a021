//! TLS towards origins: own authorities, the edge's certificate, the name that is asked for, versions.

use edgeweir_proxy::edge::{Options, check};
use edgeweir_tests::certs::Authority;
use edgeweir_tests::edge::{HOST, Setup, TestEdge};
use edgeweir_tests::h2_origin::H2Origin;
use edgeweir_tests::origin::Origin;
use rustls::version::{TLS12, TLS13};

/// One origin with TLS; files are in the test's folder.
fn config(tls: &str) -> String {
    format!(
        "[origins.main]\nurl = \"https://{{origin}}\"\nhttp = \"h2\"\ntls = {{ {tls} }}\n\
         [distributions.site]\nhosts = [\"{HOST}\"]\norigin = \"main\"\n"
    )
}

async fn start(tls: &str, origin: &H2Origin, authority: &Authority) -> TestEdge {
    let setup = Setup::new(&config(tls)).set("origin", &origin.address());
    std::fs::write(setup.folder().join("ca.pem"), authority.pem()).expect("a writable folder");
    drop(authority.issue(&["edge.test"]).write(setup.folder(), "edge"));
    setup.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_authority_takes_the_place_of_the_systems() {
    let (authority, other) = (Authority::new(), Authority::new());
    let origin = H2Origin::echo(Some(authority.issue(&["127.0.0.1"]).acceptor(&["h2"]))).await;
    let edge = start("ca = \"ca.pem\"", &origin, &authority).await;
    assert_eq!(edge.get("/t").await.status, 200);
    let edge = start("ca = \"ca.pem\"", &origin, &other).await;
    assert_eq!(edge.get("/t").await.status, 502);
    assert_eq!(edge.log_lines(1).await[0]["fault"], "origin-tls");
    let edge = start("", &origin, &authority).await;
    assert_eq!(edge.get("/t").await.status, 502);
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_that_is_asked_for_can_be_another_than_the_urls() {
    let authority = Authority::new();
    let origin = H2Origin::echo(Some(authority.issue(&["real.test"]).acceptor(&["h2"]))).await;
    let edge = start("ca = \"ca.pem\", sni = \"real.test\"", &origin, &authority).await;
    assert_eq!(edge.get("/t").await.status, 200);
    assert_eq!(origin.requests()[0].authority, Some(origin.address()), "Host is the URL's all the same");
    for sni in ["", ", sni = \"other.test\""] {
        let edge = start(&format!("ca = \"ca.pem\"{sni}"), &origin, &authority).await;
        assert_eq!(edge.get("/t").await.status, 502, "{sni}");
    }
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_shows_its_certificate_to_an_origin_that_asks_for_one() {
    let authority = Authority::new();
    let server = authority.issue(&["127.0.0.1"]);
    let asking = server.acceptor_of(&["h2"], rustls::ALL_VERSIONS, Some(&authority));
    let origin = H2Origin::echo(Some(asking)).await;
    let edge = start("ca = \"ca.pem\", certificate = \"edge.pem\", key = \"edge.key\"", &origin, &authority).await;
    assert_eq!(edge.get("/t").await.status, 200);
    let edge = start("ca = \"ca.pem\"", &origin, &authority).await;
    assert_eq!(edge.get("/t").await.status, 502);
    // One that nobody there knows.
    let stranger = Authority::new();
    let setup = Setup::new(&config("ca = \"ca.pem\", certificate = \"edge.pem\", key = \"edge.key\""));
    let setup = setup.set("origin", &origin.address());
    std::fs::write(setup.folder().join("ca.pem"), authority.pem()).expect("a writable folder");
    drop(stranger.issue(&["edge.test"]).write(setup.folder(), "edge"));
    assert_eq!(setup.start().await.get("/t").await.status, 502);
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_tls_version_gets_no_request_where_a_new_one_is_asked_for() {
    let authority = Authority::new();
    let certificate = authority.issue(&["127.0.0.1"]);
    let old = H2Origin::echo(Some(certificate.acceptor_of(&["h2"], &[&TLS12], None))).await;
    let new = H2Origin::echo(Some(certificate.acceptor_of(&["h2"], &[&TLS13], None))).await;
    for (origin, min, status) in [(&old, "1.2", 200), (&new, "1.2", 200), (&old, "1.3", 502), (&new, "1.3", 200)] {
        let before = origin.requests().len();
        let edge = start(&format!("ca = \"ca.pem\", min_tls = \"{min}\""), origin, &authority).await;
        for method in ["GET", "POST"] {
            assert_eq!(edge.request(method, "/t", &[], b"").await.status, status, "{min}");
        }
        assert_eq!(origin.requests().len() - before, if status == 200 { 2 } else { 0 }, "{min}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_fails_over_where_tls_does() {
    let authority = Authority::new();
    let old = H2Origin::echo(Some(authority.issue(&["127.0.0.1"]).acceptor_of(&["h2"], &[&TLS12], None))).await;
    let plain = Origin::hello().await;
    for tls in ["min_tls = \"1.2\"", "ca = \"ca.pem\", min_tls = \"1.3\""] {
        let text = format!(
            "[origins.a]\nurl = \"https://{{a}}\"\nhttp = \"h2\"\ntls = {{ {tls} }}\n[origins.b]\nurl = \"http://{{b}}\"\n\
             [origin_groups.both]\nmembers = [\"a\", \"b\"]\n[distributions.site]\nhosts = [\"{HOST}\"]\norigin = \"both\"\n"
        );
        let setup = Setup::new(&text).set("a", &old.address()).set("b", &plain.address());
        std::fs::write(setup.folder().join("ca.pem"), authority.pem()).expect("a writable folder");
        assert_eq!(setup.start().await.get("/t").await.text(), "hello", "{tls}");
    }
    assert!(old.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_again_at_a_reload_and_kept_connections_are_not_used_on() {
    let (authority, other) = (Authority::new(), Authority::new());
    let origin = H2Origin::echo(Some(authority.issue(&["127.0.0.1"]).acceptor(&["h2"]))).await;
    let tls = "ca = \"ca.pem\"";
    let edge = start(tls, &origin, &other).await;
    assert_eq!(edge.get("/t").await.status, 502);
    let put = |authority: &Authority| {
        std::fs::write(edge.folder().join("ca.pem"), authority.pem()).expect("a writable folder");
    };
    put(&authority);
    assert_eq!(edge.get("/t").await.status, 502, "not before the reload");
    edge.reload(&config(tls)).await.expect("a good config");
    assert_eq!(edge.get("/t").await.status, 200);
    put(&other);
    edge.reload(&config(tls)).await.expect("a good config");
    assert_eq!(edge.get("/t").await.status, 502, "a connection from before is not of this authority");
    put(&authority);
    std::fs::write(edge.folder().join("ca.pem"), "no certificate").expect("a writable folder");
    let error = edge.reload(&config(tls)).await.expect_err("a bad file");
    assert!(error.contains("origin `main`: no certificate in"), "{error}");
}

#[test]
fn what_is_wrong_with_a_file_is_shown_where_it_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authority = Authority::new();
    drop(authority.issue(&["edge.test"]).write(folder.path(), "edge"));
    drop(authority.issue(&["edge.test"]).write(folder.path(), "other"));
    std::fs::write(folder.path().join("empty.pem"), "").expect("a writable folder");
    for (tls, place, says) in [
        ("ca = \"missing.pem\"", "\"missing.pem\"", "cannot read"),
        ("ca = \"empty.pem\"", "\"empty.pem\"", "no certificate in"),
        ("certificate = \"empty.pem\", key = \"edge.key\"", "\"empty.pem\"", "no certificate in"),
        ("certificate = \"edge.pem\", key = \"missing.key\"", "\"missing.key\"", "cannot read"),
        ("certificate = \"edge.pem\", key = \"edge.pem\"", "\"edge.pem\"", "no private key in"),
        ("certificate = \"edge.pem\", key = \"other.key\"", "\"other.key\"", "does not belong to"),
    ] {
        let state = folder.path().join("state");
        let text = format!("state_dir = {state:?}\n{}", config(tls).replace("{origin}", "app.test"));
        let parsed = edgeweir_config::parse(&text, folder.path()).expect("a good config");
        let problems = check(parsed.config, &Options::default()).expect_err("a bad file");
        let [problem] = &problems[..] else { panic!("{tls}: {problems:?}") };
        assert!(problem.message.contains(says), "{tls}: {}", problem.message);
        assert_eq!(text.get(problem.span.clone()), Some(place), "{tls}");
        let at = text.rfind(place).expect("it is there");
        assert_eq!(problem.span.start, at, "{tls}: the last one, if there are two");
    }
}
