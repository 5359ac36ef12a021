//! A real browser before the edge: headless Chromium loads a page over TLS and HTTP/2, sends a form's worth of data, and talks
//! over a WebSocket. `make browser` installs it and runs this. What the page found out comes back as a request.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use edgeweir_tests::certs::Authority;
use edgeweir_tests::edge::{HOST, Setup};
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::wait::until_within;
use edgeweir_tests::websocket::WebSocketOrigin;

const CONFIG: &str = r#"
    [[listeners]]
    address = "127.0.0.1:0"
    certificates = [{ hosts = ["site.test"], certificate = "{dir}/a.pem", key = "{dir}/a.key" }]
    [origins.main]
    url = "http://{origin}"
    [origins.chat]
    url = "http://{chat}"
    [distributions.site]
    hosts = ["site.test"]
    origin = "main"
    [[distributions.site.behaviors]]
    path = "/chat"
    origin = "chat"
    [[distributions.site.behaviors]]
"#;

/// Each step adds a line; the next feature that only a browser shows (signed downloads) is one more step.
const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>Edgeweir</title><script type="module">
const lines = [];
const step = async (name, work) => {
  try { lines.push(name + ": " + await work()); } catch (error) { lines.push(name + ": failed, " + error); }
};
await step("page", () => performance.getEntriesByType("navigation")[0].nextHopProtocol);
await step("stored", async () => {
  const read = async () => (await fetch("/stored.json", { cache: "no-store" })).json();
  return (await read()).value + " " + (await read()).value;
});
await step("upload", async () => (await fetch("/upload", { method: "POST", body: "x".repeat(300000) })).status);
await step("many", async () => {
  const answers = await Promise.all([...Array(60).keys()].map(n => fetch("/many?" + n)));
  return answers.filter(answer => answer.ok).length;
});
await step("socket", () => new Promise((resolve, reject) => {
  const socket = new WebSocket("wss://" + location.host + "/chat");
  socket.onopen = () => socket.send("hello");
  socket.onmessage = event => { resolve(event.data); socket.close(); };
  socket.onerror = () => reject("no socket");
}));
await fetch("/result", { method: "POST", body: lines.join("\n") });
</script>"#;

struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: `make browser`"]
async fn chromium_loads_a_page_over_http_2_and_talks_over_a_web_socket() {
    let origin = Origin::start(|received| match received.target() {
        "/" => Reply::new(200, &[("Content-Type", "text/html")], PAGE),
        "/stored.json" => Reply::new(
            200,
            &[("Content-Type", "application/json"), ("Cache-Control", "max-age=60")],
            r#"{"value":"kept"}"#,
        ),
        _ => Reply::ok("ok"),
    })
    .await;
    let chat = WebSocketOrigin::start().await;
    let certificate = Authority::new().issue(&[HOST]);
    let setup = Setup::new(CONFIG).set("origin", &origin.address()).set("chat", &chat.address());
    drop(certificate.write(setup.folder(), "a"));
    let edge = setup.start().await;
    let profile = tempfile::tempdir().expect("a temporary folder");
    // No authority of the system: exactly this key is trusted.
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate.public_key());
    let digest = base64::prelude::BASE64_STANDARD.encode(digest);
    let log = std::fs::File::create(profile.path().join("log")).expect("a writable folder");
    let child = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--ignore-certificate-errors-spki-list={digest}"))
        .arg(format!("--host-resolver-rules=MAP {HOST} 127.0.0.1"))
        .arg(format!("https://{HOST}:{}/", edge.address().port()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    let _browser = Browser(child.expect("chromium is missing: `make browser` installs it"));
    let said = || origin.requests().into_iter().find(|received| received.target() == "/result");
    until_within(Duration::from_secs(60), "the page's result", || said().is_some()).await;
    let result = said().expect("it is there").body;
    let result = String::from_utf8_lossy(&result.bytes).into_owned();
    assert_eq!(result, "page: h2\nstored: kept kept\nupload: 200\nmany: 60\nsocket: hello");
    let fetched = origin.requests().iter().filter(|received| received.target() == "/stored.json").count();
    assert_eq!(fetched, 1, "the second time it came from the cache");
    let lines = edge.log_lines(60).await;
    let upload = lines.iter().find(|line| line["path"] == "/upload").expect("a line for each request");
    assert_eq!((&upload["http_version"], &upload["tls_version"]), (&"2".into(), &"1.3".into()), "{upload}");
}
