//! Memory while large bodies stream: measured on the real binary, because a process has one number for all its tests.

use std::time::Duration;

use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::process::{Process, free_port};
use edgeweir_tests::raw::Raw;
use edgeweir_tests::wait::deadline_of;

const SIZE: u64 = 64 << 20;
const GROWTH: u64 = 32 << 20;

async fn served(origin: &Origin) -> (Process, std::net::SocketAddr, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let state = folder.path().join("state");
    let config = format!(
        "state_dir = {state:?}\n[log]\naccess = \"off\"\n[cache]\ncapacity = \"8MiB\"\nmax_object = \"1MiB\"\n\
         [[listeners]]\naddress = \"127.0.0.1:{port}\"\n[origins.main]\nurl = \"http://{}\"\n\
         [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n",
        origin.address()
    );
    let file = folder.path().join("edgeweir.toml");
    std::fs::write(&file, config).expect("a writable folder");
    let process = Process::serve(&file, &state).await;
    (process, ([127, 0, 0, 1], port).into(), folder)
}

async fn download(address: std::net::SocketAddr, target: &str) -> u64 {
    let mut raw = Raw::connect(address).await;
    raw.send(format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")).await;
    let response = deadline_of(Duration::from_secs(60), "a large download", raw.try_response_to("GET"));
    let response = response.await.expect("a whole response");
    assert_eq!(response.status, 200);
    response.body.length
}

#[tokio::test(flavor = "multi_thread")]
async fn large_downloads_need_little_memory() {
    let origin = Origin::start(|request| match request.target() {
        "/chunked" => {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncache-control: max-age=60\r\n\r\n";
            Reply::script([Step::Send(head.into()), Step::FillChunks(SIZE), Step::Send("0\r\n\r\n".into())])
        }
        "/cached" => Reply::large(&[("cache-control", "max-age=60")], SIZE),
        "/small" => Reply::ok("small"),
        _ => Reply::large(&[("cache-control", "no-store")], SIZE),
    })
    .await;
    let (process, address, _folder) = served(&origin).await;
    download(address, "/small").await;
    let before = process.resident();
    // Also what would be stored but for its size: it may not be collected on the way.
    for target in ["/plain", "/cached", "/chunked"] {
        assert_eq!(download(address, target).await, SIZE, "{target}");
        let grown = process.resident().saturating_sub(before);
        assert!(grown < GROWTH, "{target}: {} KiB more than before", grown >> 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_uploads_need_little_memory() {
    let origin = Origin::start(|request| Reply::ok(request.body.length.to_string())).await;
    let (process, address, _folder) = served(&origin).await;
    download(address, "/").await;
    let before = process.resident();
    let mut raw = Raw::connect(address).await;
    raw.send(format!("POST /up HTTP/1.1\r\nHost: site.test\r\nContent-Length: {SIZE}\r\n\r\n")).await;
    let block = vec![b'x'; 1 << 20];
    for _ in 0..SIZE >> 20 {
        deadline_of(Duration::from_secs(30), "the edge reads on", raw.try_send(&block)).await.expect("the edge reads");
    }
    let response = deadline_of(Duration::from_secs(30), "the answer", raw.try_response_to("POST")).await;
    assert_eq!(response.expect("a response").text(), SIZE.to_string());
    let grown = process.resident().saturating_sub(before);
    assert!(grown < GROWTH, "{} KiB more than before", grown >> 10);
}
