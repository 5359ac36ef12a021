use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::runtime::clock::SystemClock;

fn usual() -> Record<'static> {
    Record {
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_228_995_042),
        request_id: "0195f1a2b3c4d5e6f708192a3b4c5d6e",
        trace_id: None,
        client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        client_port: Some(40_000),
        method: "GET",
        scheme: "https",
        host: b"www.example.com",
        path: b"/shop/items/42",
        query: Some(b"page=2&sort=price"),
        http_version: "2",
        tls_version: Some("1.3"),
        user_agent: Some(b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        referer: Some(b"https://www.example.com/shop"),
        country: Some("CH"),
        distribution: Some("shop"),
        behavior: Some("/shop/*"),
        origin: Some("app"),
        origin_group: Some("apps"),
        origin_attempts: 2,
        origin_address: Some(([10, 0, 0, 3], 8080).into()),
        status: 200,
        bytes_in: 0,
        bytes_out: 5_120,
        duration_us: 1_834,
        origin_us: Some(1_200),
        cache: Some("miss"),
        cache_why: Some("uri-miss"),
        cache_generation: 7,
        key_parameters: &[],
        key_name: None,
        plan: None,
        principal: None,
        throttle: None,
        hooks: &[HookRecord { hook: "jwt-auth", stage: "viewer-request", us: 61, verdict: "next", last_good: false }],
        skipped: [None; 4],
        fault: None,
        aborted: false,
    }
}

fn line(record: &Record<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    serialize(&mut line, record);
    line
}

fn parsed(record: &Record<'_>) -> Value {
    let line = line(record);
    assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
    serde_json::from_slice(&line).unwrap()
}

#[test]
fn a_usual_line() {
    assert_eq!(
        parsed(&usual()),
        json!({
            "time": "2026-11-21T02:43:15.042Z",
            "request_id": "0195f1a2b3c4d5e6f708192a3b4c5d6e",
            "client": "192.0.2.7",
            "client_port": 40_000,
            "method": "GET",
            "scheme": "https",
            "host": "www.example.com",
            "path": "/shop/items/42",
            "query": "page=2&sort=price",
            "http_version": "2",
            "tls_version": "1.3",
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "referer": "https://www.example.com/shop",
            "country": "CH",
            "distribution": "shop",
            "behavior": "/shop/*",
            "origin": "app",
            "origin_group": "apps",
            "origin_attempts": 2,
            "origin_address": "10.0.0.3:8080",
            "status": 200,
            "bytes_in": 0,
            "bytes_out": 5_120,
            "duration_us": 1_834,
            "origin_us": 1_200,
            "cache": "miss",
            "cache_why": "uri-miss",
            "cache_generation": 7,
            "hooks": [{"hook": "jwt-auth", "stage": "viewer-request", "us": 61, "verdict": "next"}],
        })
    );
}

#[test]
fn the_rest_of_the_fields() {
    let hook = HookRecord { hook: "a", stage: "origin-request", us: 1, verdict: "trap", last_good: true };
    let record = Record {
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        key_parameters: &[],
        key_name: Some("mobile"),
        plan: Some("gold"),
        principal: None,
        throttle: Some("key"),
        hooks: &[hook, hook],
        skipped: [None, None, Some("cache"), Some("error")],
        fault: Some("hook-trap"),
        aborted: true,
        ..usual()
    };
    let value = parsed(&record);
    assert_eq!(value["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(value["key_name"], "mobile");
    assert_eq!(value["plan"], "gold");
    assert_eq!(value["throttle"], "key");
    assert_eq!(value["hooks"].as_array().unwrap().len(), 2);
    assert_eq!(value["skipped"], json!({"origin-response": "cache", "viewer-response": "error"}));
    assert_eq!(value["fault"], "hook-trap");
    assert_eq!(value["aborted"], true);
}

#[test]
fn absent_facts_are_left_out() {
    let record = Record {
        client_port: None,
        query: None,
        tls_version: None,
        user_agent: None,
        referer: None,
        country: None,
        distribution: None,
        behavior: None,
        origin: None,
        origin_group: None,
        origin_attempts: 0,
        origin_address: None,
        origin_us: None,
        cache: None,
        cache_why: None,
        cache_generation: 0,
        hooks: &[],
        ..usual()
    };
    let value = parsed(&record);
    let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "bytes_in",
            "bytes_out",
            "client",
            "duration_us",
            "host",
            "http_version",
            "method",
            "path",
            "request_id",
            "scheme",
            "status",
            "time",
        ]
    );
}

#[test]
fn credentials_in_queries_are_redacted() {
    let record = Record {
        query: Some(b"Signature=S3CRET&Key-Pair-Id=S3CRET&a=1"),
        referer: Some(b"https://u:S3CRET@a.test/?access_token=S3CRET#S3CRET"),
        ..usual()
    };
    let value = parsed(&record);
    assert_eq!(value["query"], "Signature=***&Key-Pair-Id=***&a=1");
    assert_eq!(value["referer"], "https://***@a.test/?access_token=***#***");
    assert!(!String::from_utf8(line(&record)).unwrap().contains("S3CRET"));
}

#[test]
fn hostile_bytes_stay_in_their_line() {
    let record = Record {
        host: b"a\"b\\c",
        path: b"/\x1b[31m\r\n\xff\xfe",
        query: Some(b"\n{\"forged\":1}"),
        user_agent: Some(b"\x00\x7f\xc2\x9b"),
        ..usual()
    };
    let value = parsed(&record);
    assert_eq!(value["host"], "a\"b\\c");
    assert_eq!(value["path"], "/\u{1b}[31m\r\n\u{fffd}\u{fffd}");
    assert_eq!(value["user_agent"], "\0\u{7f}\u{9b}");
    let text = String::from_utf8(line(&record)).unwrap();
    assert!(!text.trim_end_matches('\n').chars().any(char::is_control), "{text:?}");
}

#[test]
fn lines_reach_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = AccessLog::open(&LogTarget::File(path.clone()), Arc::new(SystemClock::default())).unwrap();
    log.write(&usual());
    log.write(&usual());
    assert!(log.flush(Duration::from_secs(5)));
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2);
    for line in text.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
}

#[test]
fn a_full_disk_costs_lines_only() {
    let log = AccessLog::open(&LogTarget::File(PathBuf::from("/dev/full")), Arc::new(SystemClock::default())).unwrap();
    for _ in 0..100 {
        log.write(&usual());
    }
    assert!(log.flush(Duration::from_secs(5)));
    assert_eq!(log.counters().failed() + log.counters().dropped(), 100);
}
