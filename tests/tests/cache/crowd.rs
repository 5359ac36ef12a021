//! A crowd that asks for one cold, large object and reads slowly: one fetch, and memory for about one object.

use std::net::SocketAddr;
use std::time::Duration;

use edgeweir_tests::origin::{Origin, Reply, pattern_bytes};
use edgeweir_tests::process::{Process, free_port};
use edgeweir_tests::wait::deadline_of;
use edgeweir_tests::wire::Sum;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

struct Crowd {
    viewers: usize,
    size: u64,
    /// After each so many bytes a viewer sleeps a moment.
    pause_every: usize,
}

/// Reads a response to the end of its connection, slowly; gives the length and the sum of its body.
async fn read_slowly(address: SocketAddr, target: &str, pause_every: usize) -> (u64, u64) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!("GET {target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("a request");
    let (mut buffer, mut head, mut in_head) = (vec![0; 64 << 10], Vec::new(), true);
    let (mut length, mut sum, mut since) = (0, Sum::default(), 0);
    loop {
        let read = stream.read(&mut buffer).await.expect("a body");
        if read == 0 {
            return (length, sum.0);
        }
        let mut bytes = &buffer[..read];
        if in_head {
            head.extend_from_slice(bytes);
            let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
            in_head = false;
            bytes = &head[end + 4..];
        }
        length += bytes.len() as u64;
        sum.add(bytes);
        since += read;
        if since > pause_every {
            since = 0;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Gives the bytes that the edge grew by at most.
async fn served(crowd: &Crowd) -> u64 {
    let size = crowd.size;
    let origin = Origin::start(move |request| match request.target() {
        "/large" => Reply::large(&[("cache-control", "max-age=600")], size),
        _ => Reply::new(200, &[("cache-control", "max-age=600")], "small"),
    })
    .await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (port, state) = (free_port(), folder.path().join("state"));
    let config = format!(
        "state_dir = {state:?}\n[log]\naccess = \"off\"\n[[listeners]]\naddress = \"127.0.0.1:{port}\"\n\
         [origins.main]\nurl = \"http://{}\"\n[distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n",
        origin.address()
    );
    let file = folder.path().join("edgeweir.toml");
    std::fs::write(&file, config).expect("a writable folder");
    let process = Process::serve(&file, &state).await;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let all = |target: &'static str| {
        let mut tasks = JoinSet::new();
        for _ in 0..crowd.viewers {
            tasks.spawn(read_slowly(address, target, crowd.pause_every));
        }
        tasks
    };
    // What connections need is not the object's.
    assert!(all("/small").join_all().await.iter().all(|(length, _)| *length == 5));
    let before = process.resident();
    let mut expected = Sum::default();
    expected.add(&pattern_bytes(size));
    let (mut tasks, mut most) = (all("/large"), 0);
    let reading = async {
        while !tasks.is_empty() {
            match tokio::time::timeout(Duration::from_millis(20), tasks.join_next()).await {
                Ok(Some(read)) => assert_eq!(read.expect("no panic"), (size, expected.0)),
                _ => most = most.max(process.resident()),
            }
        }
    };
    deadline_of(Duration::from_secs(300), "all viewers have it", reading).await;
    assert_eq!(origin.requests().iter().filter(|request| request.target() == "/large").count(), 1);
    most.max(process.resident()).saturating_sub(before)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_reads_slowly_costs_one_fetch_and_one_object() {
    let crowd = Crowd { viewers: 30, size: 16 << 20, pause_every: 1 << 20 };
    let grown = served(&crowd).await;
    assert!(grown < 2 * crowd.size, "{} KiB for {} KiB", grown >> 10, crowd.size >> 10);
}

/// 10 GB over loopback: run it by name, with `--ignored`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
#[expect(clippy::print_stdout, reason = "numbers for whoever runs it")]
async fn two_hundred_viewers_of_50_mb() {
    let crowd = Crowd { viewers: 200, size: 50_000_000, pause_every: 2 << 20 };
    let grown = served(&crowd).await;
    println!("200 viewers of {} KiB: the edge grew by {} KiB", crowd.size >> 10, grown >> 10);
    assert!(grown < crowd.size * 3 / 2, "{} KiB for {} KiB", grown >> 10, crowd.size >> 10);
}
