//! Clock, randomness and crypto as a hook sees them.

use std::sync::atomic::Ordering;

use edgeweir_hookhost::{HookFault, RequestVerdict, TrapKind};

use crate::support::{LIMITS, call, engine, load, wasm};

const RSA: &[u8] = include_bytes!("../../src/keys/tests/rsa-2048.pem");
const SIGNATURE: &[u8] = include_bytes!("../../src/keys/tests/rsa-2048.sig");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn ask(script: &str) -> Result<String, HookFault> {
    match load("tools").viewer_request(call(script)).await.verdict? {
        RequestVerdict::Respond(response) => Ok(String::from_utf8(response.body.to_vec()).unwrap()),
        RequestVerdict::Next(edits) => panic!("{edits:?}"),
    }
}

#[tokio::test]
async fn the_clock_stands_during_a_call() {
    let (engine, services) = engine(1);
    let hook = engine.load("tools", &wasm("tools"), LIMITS).unwrap();
    for now in [0, 1_700_000_000_000] {
        services.now.store(now, Ordering::SeqCst);
        let RequestVerdict::Respond(response) = hook.viewer_request(call("clock")).await.verdict.unwrap() else {
            panic!("no response")
        };
        assert_eq!(response.body, format!("{now} {now}"));
    }
}

#[tokio::test]
async fn random_bytes_have_a_limit() {
    assert_eq!(ask("random 3").await.unwrap(), "070707");
    assert_eq!(ask("random 0").await.unwrap(), "");
    assert_eq!(ask("random 4096").await.unwrap().len(), 8192);
    let fault = ask("random 4097").await.unwrap_err();
    assert!(matches!(fault, HookFault::Trap { kind: TrapKind::HostCall, .. }), "{fault}");
}

/// FIPS 180-4 examples; RFC 4231 test case 2; RFC 2104.
#[tokio::test]
async fn hashes_and_macs() {
    let abc = hex(b"abc");
    assert_eq!(
        ask(&format!("hash sha256 {abc}")).await.unwrap(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert!(ask(&format!("hash sha384 {abc}")).await.unwrap().starts_with("cb00753f45a35e8bb5a03d699ac65007"));
    assert!(ask(&format!("hash sha512 {abc}")).await.unwrap().starts_with("ddaf35a193617abacc417349ae204131"));
    let (key, data) = (hex(b"Jefe"), hex(b"what do ya want for nothing?"));
    let mac = ask(&format!("hmac sha256 {key} {data}")).await.unwrap();
    assert_eq!(mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_eq!(ask(&format!("verify HS256 {key} {data} {mac}")).await.unwrap(), "Ok(true)");
    assert_eq!(ask(&format!("verify HS256 {key} {data} 00")).await.unwrap(), "Ok(false)");
    assert_eq!(ask(&format!("verify HS256  {data} {mac}")).await.unwrap(), "Err(\"the secret is empty\")");
    assert_eq!(ask("equal 0102 0102").await.unwrap(), "true");
    assert_eq!(ask("equal 0102 0103").await.unwrap(), "false");
    assert_eq!(ask("equal 0102 010203").await.unwrap(), "false");
}

#[tokio::test]
async fn public_keys() {
    let (key, data, signature) = (hex(RSA), hex(b"signed by the edge"), hex(SIGNATURE));
    for _ in 0..2 {
        assert_eq!(ask(&format!("verify RS256 {key} {data} {signature}")).await.unwrap(), "Ok(true)");
    }
    assert_eq!(ask(&format!("verify RS512 {key} {data} {signature}")).await.unwrap(), "Ok(false)");
    assert_eq!(
        ask(&format!("verify ES256 {key} {data} {signature}")).await.unwrap(),
        "Err(\"the algorithm needs a P-256 key\")"
    );
    assert_eq!(ask(&format!("verify RS256 00 {data} {signature}")).await.unwrap(), "Err(\"the key is not PEM text\")");
}
