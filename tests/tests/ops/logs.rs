//! The access log: one line a request, the right facts, no credentials; files are opened again on demand.

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::process::Process;
use edgeweir_tests::raw::get;
use edgeweir_tests::wait::until;
use edgeweir_tests::wasm::guest;

use crate::support::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_line_tells_what_a_request_was() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60")], "12345")).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("User-Agent", "tester \"1\"\u{7f}"), ("traceparent", trace)];
    let headers = [headers[1], ("User-Agent", "tester \"1\" \\")];
    let response = edge.get_with("/a/./b?q=1&Signature=secret", &headers).await;
    let line = edge.log_lines(1).await.remove(0);
    for (key, value) in [
        ("method", "GET"),
        ("scheme", "http"),
        ("host", "site.test"),
        ("path", "/a/b"),
        ("http_version", "1.1"),
        ("client", "127.0.0.1"),
        ("user_agent", "tester \"1\" \\"),
        ("distribution", "site"),
        ("behavior", "*"),
        ("origin", "main"),
        ("cache", "miss"),
        ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
    ] {
        assert_eq!(line[key].as_str(), Some(value), "{key} in {line}");
    }
    assert_eq!(line["request_id"].as_str(), response.header("x-request-id"));
    assert_eq!((line["status"].as_u64(), line["bytes_out"].as_u64()), (Some(200), Some(5)), "{line}");
    assert_eq!(line["origin_address"].as_str(), Some(origin.address().as_str()), "{line}");
    assert!(line["duration_us"].is_u64() && line["origin_us"].is_u64(), "{line}");
    let query = line["query"].as_str().unwrap_or_default();
    assert!(query.contains("q=1") && query.contains("Signature=") && !query.contains("secret"), "{query}");
    assert!(line["time"].as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z')), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_and_refusals_have_lines_too() {
    let edge = TestEdge::plain(&hostile::refused().await).await;
    edge.get("/t").await;
    edge.exchange("GET /u HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n").await;
    edge.exchange("TRACE /v HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n").await;
    let lines = edge.log_lines(3).await;
    // A line is written after its answer, so those of two connections may come in either order.
    let mut told: Vec<(Option<u64>, Option<&str>)> =
        lines.iter().map(|line| (line["status"].as_u64(), line["fault"].as_str())).collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            (Some(404), Some("unknown-host")),
            (Some(405), Some("method-not-allowed")),
            (Some(502), Some("origin-connect")),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_leaves_is_marked() {
    let origin = hostile::always(hostile::silent()).await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send("POST /t HTTP/1.1\r\nHost: site.test\r\nContent-Length: 100\r\n\r\nhalf").await;
    until("the head is at the origin", || origin.heads() == 1).await;
    drop(raw);
    let line = edge.log_lines(1).await.remove(0);
    assert_eq!(line["aborted"].as_bool(), Some(true), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_bytes_make_no_strange_lines() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let mut raw = edge.connect().await;
    raw.send(b"GET /%22%0a{}?q=\"\\\xc3\xa4 HTTP/1.1\r\nHost: site.test\r\n\r\n").await;
    drop(raw.rest().await);
    let mut raw = edge.connect().await;
    raw.send(b"GET /t HTTP/1.1\r\nHost: site.test\r\nUser-Agent: \xff\xfe\"\\\t{\r\nConnection: close\r\n\r\n").await;
    drop(raw.rest().await);
    edge.get("/end").await;
    until("the last line", || edge.log_text().contains("/end")).await;
    for line in edge.log_text().lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line.is_object()), "{line:?}");
        assert!(line.chars().all(|character| !character.is_control()), "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_log_file_is_opened_again() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    edge.get("/before").await;
    edge.log_lines(1).await;
    let (log, moved) = (edge.folder().join("access.log"), edge.folder().join("access.log.1"));
    std::fs::rename(&log, &moved).expect("a writable folder");
    edge.inner().reopen_logs();
    edge.get("/after").await;
    until("the new file", || edge.log_text().contains("/after")).await;
    assert!(!edge.log_text().contains("/before"));
    assert!(std::fs::read_to_string(&moved).expect("the moved file").contains("/before"));
}

fn config(origin: &Origin, log: &str) -> String {
    format!(
        "[log]\n{log}\n[origins.main]\nurl = \"http://{}\"\n[distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n",
        origin.address()
    )
}

async fn line_in(process: &Process, word: &str) {
    until("the line on standard output", || process.output().contains(word)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binary_logs_to_standard_output_and_opens_files_again_on_hup() {
    let origin = Origin::hello().await;
    let site = Site::new(&config(&origin, "access = \"stdout\""));
    let process = site.serve().await;
    get(site.address, "site.test", "/one", &[]).await;
    line_in(&process, "/one").await;

    let site = Site::new(&config(&origin, "access = { file = \"{dir}/access.log\" }"));
    let process = site.serve().await;
    let log = site.folder.path().join("access.log");
    let text = || std::fs::read_to_string(&log).unwrap_or_default();
    get(site.address, "site.test", "/one", &[]).await;
    until("the first line", || text().contains("/one")).await;
    std::fs::rename(&log, site.folder.path().join("moved")).expect("a writable folder");
    process.signal("HUP");
    until("a new file", || log.exists()).await;
    get(site.address, "site.test", "/two", &[]).await;
    until("the second line", || text().contains("/two")).await;
    assert!(!text().contains("/one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_do_not_flood_the_event_log() {
    let origin = Origin::hello().await;
    let site = Site::new(&config(&origin, "access = \"off\""));
    let process = site.serve().await;
    let before = process.errors().len();
    let mut tasks = tokio::task::JoinSet::new();
    let address = site.address;
    for _ in 0..8 {
        tasks.spawn(async move {
            for number in 0..100 {
                let junk =
                    format!("GET /{} HTTP/1.1\r\nHost: site.test\r\nX\x1b[31m{number}: a\0b\r\n\r\n", "x".repeat(1500));
                let mut raw = edgeweir_tests::raw::Raw::connect(address).await;
                raw.send(junk).await;
                raw.rest().await;
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.expect("each one is refused and closed");
    }
    assert_eq!(get(address, "site.test", "/t", &[]).await.status, 200);
    let errors = process.errors();
    assert!(errors.len() - before < 64 << 10, "{} bytes of events for 800 bad requests", errors.len() - before);
    let odd = errors.chars().filter(|character| character.is_control() && !matches!(character, '\n' | '\t')).count();
    assert_eq!(odd, 0, "control characters in the event log");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_debug_level_a_hook_that_did_not_run_has_a_line_with_the_reason() {
    let origin = Origin::hello().await;
    let site = Site::new(&format!(
        r#"
        [log]
        level = "debug"
        [origins.main]
        url = "http://{}"
        [hooks.teapot]
        file = {:?}
        [hooks.marks]
        file = {:?}
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        hooks = {{ viewer-request = ["teapot"], viewer-response = ["marks"] }}
    "#,
        origin.address(),
        guest("respond"),
        guest("all-stages")
    ));
    let process = site.serve().await;
    assert_eq!(get(site.address, "site.test", "/", &[]).await.status, 418);
    until("the log says why", || process.errors().contains("SKIPPED")).await;
    let errors = process.errors();
    let line = errors.lines().find(|line| line.contains("SKIPPED")).unwrap_or_default();
    for word in ["marks", "viewer-response", "a viewer-request hook answered"] {
        assert!(line.contains(word), "{word}: {line}");
    }
}
