//! What Rust's std does on wasm32-wasip2: what the query asks for is tried, and told in the answer.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::disallowed_methods,
    reason = "what is tried"
)]

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use edgeweir_sdk::{Request, Result, http, viewer_request};

edgeweir_sdk::data! {
    static DIGITS = b"0123456789";
}

#[viewer_request]
fn handle(request: &Request) -> Result<viewer_request::Verdict> {
    let what = request.query().unwrap_or_default();
    let answer = match what.as_str() {
        "time" => format!("{:?}", SystemTime::now().duration_since(UNIX_EPOCH).map(|time| time.as_millis())),
        "data" => format!("{} {:?}", DIGITS.len(), DIGITS.read(3..5)),
        "sleep" => {
            let start = Instant::now();
            std::thread::sleep(Duration::from_millis(30));
            format!("{}", start.elapsed() >= Duration::from_millis(29))
        }
        "sleep-long" => {
            std::thread::sleep(Duration::from_secs(3600));
            "awake".to_owned()
        }
        "random" => {
            let map: HashMap<u8, u8> = [(1, 2)].into();
            format!("{} {}", map[&1], RandomState::new().hash_one(1) != RandomState::new().hash_one(2))
        }
        "print" => {
            println!("first line\nsecond line");
            eprintln!("oh no");
            print!("no end");
            std::io::stdout().flush()?;
            "printed".to_owned()
        }
        "flood" => {
            (0..1000).for_each(|at| println!("line {at} {}", "x".repeat(100)));
            std::io::stdout().write_all(&vec![b'y'; 100_000])?;
            "flooded".to_owned()
        }
        "stdin" => {
            let mut text = String::new();
            format!("{:?} {text:?}", std::io::stdin().read_to_string(&mut text))
        }
        "ambient" => format!(
            "{} variables, {} arguments, folder {}",
            std::env::vars().count(),
            std::env::args().count(),
            std::env::current_dir().is_ok_and(|folder| folder.read_dir().is_ok())
        ),
        "file" => format!("{}", std::fs::read("/etc/passwd").is_err()),
        "write" => format!("{}", std::fs::write("/tmp/x", "x").is_err()),
        "socket" => {
            format!("{:?}", std::net::TcpStream::connect("127.0.0.1:80").map(drop).map_err(|error| error.kind()))
        }
        "name" => format!("{}", std::net::TcpStream::connect("localhost:80").is_err()),
        "udp" => format!("{}", std::net::UdpSocket::bind("127.0.0.1:0").is_err()),
        "thread" => format!("{}", std::thread::Builder::new().spawn(|| ()).is_err()),
        "exit" => std::process::exit(0),
        "panic" => panic!("not today"),
        "memory" => format!("{}", std::hint::black_box(vec![1_u8; 40 << 20]).len()),
        _ => return Ok(viewer_request::Verdict::next()),
    };
    Ok(viewer_request::Verdict::respond(http::Response::new(answer)))
}
