//! A real browser before the edge: headless Chromium loads a page over TLS and HTTP/2, sends a form's worth of data, talks
//! over a WebSocket, and gets a download by its signed link. `make browser` installs it and runs this. What the page found out
//! comes back as a request.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use edgeweir_proxy::signed::{Hash, PrivateKey, canned, encode};
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
    path = "/downloads/*"
    trusted_key_groups = ["customers"]
    [[distributions.site.behaviors]]
    [public_keys.customers]
    id = "KBROWSER"
    key = { file = "{vectors}/rsa-public.pem" }
    [key_groups.customers]
    keys = ["customers"]
"#;

/// Each step adds a line.
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
await step("download", async () => {
  const bare = await fetch("/downloads/manual.pdf");
  const signed = await fetch(await (await fetch("/link")).text());
  return bare.status + " " + signed.status + " " + (await signed.blob()).size;
});
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

/// The URL, signed for ten minutes.
fn signed(url: &str, vectors: &Path) -> String {
    let until = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() + 600;
    let pem = std::fs::read_to_string(vectors.join("rsa.pem")).expect("the key");
    let key = PrivateKey::parse(&pem).expect("a private key");
    let signature = encode(&key.sign(Hash::Sha1, canned(url, until).as_bytes()).expect("a signature"));
    format!("{url}?Expires={until}&Signature={signature}&Key-Pair-Id=KBROWSER")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: `make browser`"]
async fn chromium_loads_a_page_over_http_2_talks_over_a_web_socket_and_gets_a_signed_download() {
    let link = Arc::new(OnceLock::<String>::new());
    let of_origin = Arc::clone(&link);
    let origin = Origin::start(move |received| match received.target() {
        "/" => Reply::new(200, &[("Content-Type", "text/html")], PAGE),
        "/stored.json" => Reply::new(
            200,
            &[("Content-Type", "application/json"), ("Cache-Control", "max-age=60")],
            r#"{"value":"kept"}"#,
        ),
        "/link" => Reply::new(200, &[], of_origin.get().cloned().unwrap_or_default().into_bytes()),
        "/downloads/manual.pdf" => Reply::new(200, &[("Content-Disposition", "attachment")], vec![b'd'; 100_000]),
        _ => Reply::ok("ok"),
    })
    .await;
    let chat = WebSocketOrigin::start().await;
    let certificate = Authority::new().issue(&[HOST]);
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let setup = Setup::new(CONFIG).set("origin", &origin.address()).set("chat", &chat.address());
    let setup = setup.set("vectors", &vectors.display().to_string());
    drop(certificate.write(setup.folder(), "a"));
    let edge = setup.start().await;
    link.set(signed(&format!("https://{HOST}:{}/downloads/manual.pdf", edge.address().port()), &vectors))
        .expect("set once");
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
    assert_eq!(result, "page: h2\nstored: kept kept\nupload: 200\nmany: 60\nsocket: hello\ndownload: 403 200 100000");
    let fetched = origin.requests().iter().filter(|received| received.target() == "/stored.json").count();
    assert_eq!(fetched, 1, "the second time it came from the cache");
    let lines = edge.log_lines(60).await;
    let upload = lines.iter().find(|line| line["path"] == "/upload").expect("a line for each request");
    assert_eq!((&upload["http_version"], &upload["tls_version"]), (&"2".into(), &"1.3".into()), "{upload}");
}
