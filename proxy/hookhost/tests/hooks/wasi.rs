//! Hooks as cargo builds them for wasm32-wasip2: std works as far as clocks, randomness and standard output; there are no
//! files, no sockets and no environment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use edgeweir_hookhost::{CallReport, Fact, Hook, HookFault, HookLimits, LoadError, LogLevel, RequestVerdict, TrapKind};
use http::HeaderMap;
use wit_component::ComponentEncoder;

use crate::support::{LIMITS, Request, Services, call, engine, wasip2, wasm};

fn std_hook(limits: HookLimits) -> (Arc<Hook>, Arc<Services>) {
    let (engine, services) = engine(4);
    (engine.load("wasip2", &wasip2("wasip2"), limits).unwrap(), services)
}

/// What becomes of asking the guest for something.
async fn asked(hook: &Arc<Hook>, what: &str) -> (Result<String, HookFault>, CallReport) {
    let mut call = call("");
    call.record_reads = true;
    call.request = Box::new(Request { path: "/".into(), query: Some(what.into()), headers: HeaderMap::new() });
    let done = hook.viewer_request(call).await;
    let text = done.verdict.map(|verdict| match verdict {
        RequestVerdict::Respond(response) => String::from_utf8(response.body.to_vec()).unwrap(),
        RequestVerdict::Next(_) => "next".to_owned(),
    });
    (text, done.report)
}

async fn told(hook: &Arc<Hook>, what: &str) -> String {
    match asked(hook, what).await.0 {
        Ok(text) => text,
        Err(fault) => panic!("{what}: {fault}"),
    }
}

fn lines(services: &Services) -> Vec<(LogLevel, String)> {
    services.lines.lock().unwrap().drain(..).map(|(_, _, level, line)| (level, line)).collect()
}

#[tokio::test]
async fn clocks_and_randomness_work() {
    let (hook, services) = std_hook(LIMITS);
    services.now.store(1_767_225_600_123, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(told(&hook, "time").await, "Ok(1767225600123)");
    let (slept, report) = asked(&hook, "sleep").await;
    assert_eq!(slept.unwrap(), "true");
    assert!(report.duration >= Duration::from_millis(29), "{:?}", report.duration);
    assert!(report.reads.unwrap().has(Fact::Clock));
    let (random, report) = asked(&hook, "random").await;
    assert_eq!(random.unwrap(), "2 true");
    assert!(report.reads.unwrap().has(Fact::Random));
    assert_eq!(told(&hook, "nothing").await, "next");
}

#[tokio::test]
async fn sleeping_is_part_of_the_hooks_time() {
    let (hook, _) = std_hook(HookLimits { timeout: Duration::from_millis(200), ..LIMITS });
    let start = Instant::now();
    assert!(matches!(asked(&hook, "sleep-long").await.0, Err(HookFault::Timeout { .. })));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(told(&hook, "nothing").await, "next");
}

#[tokio::test]
async fn what_is_printed_goes_to_the_log_within_its_limits() {
    let (hook, services) = std_hook(LIMITS);
    assert_eq!(told(&hook, "print").await, "printed");
    let line = |level, text: &str| (level, text.to_owned());
    let expected = [
        line(LogLevel::Info, "first line"),
        line(LogLevel::Info, "second line"),
        line(LogLevel::Warn, "oh no"),
        line(LogLevel::Info, "no end"),
    ];
    assert_eq!(lines(&services), expected);
    let (flooded, report) = asked(&hook, "flood").await;
    assert_eq!(flooded.unwrap(), "flooded");
    let logged = lines(&services);
    let bytes: usize = logged.iter().map(|(_, line)| line.len()).sum();
    assert!(logged.len() <= 64 && bytes <= 10 << 10, "{} lines, {bytes} bytes", logged.len());
    assert!(logged.len() == 64, "{}", logged.len());
    assert!(report.log_lines_dropped >= 936, "{}", report.log_lines_dropped);
}

#[tokio::test]
async fn there_are_no_files_no_sockets_and_no_environment() {
    let (hook, _) = std_hook(LIMITS);
    // Cargo and the shell have set variables for this process.
    assert!(std::env::vars().count() > 0);
    assert_eq!(told(&hook, "ambient").await, "0 variables, 0 arguments, folder false");
    for what in ["file", "write", "name", "udp", "thread"] {
        assert_eq!(told(&hook, what).await, "true", "{what}");
    }
    assert_eq!(told(&hook, "socket").await, "Err(PermissionDenied)");
    assert_eq!(told(&hook, "stdin").await, "Ok(0) \"\"");
}

#[tokio::test]
async fn exits_and_panics_end_the_call_and_say_so() {
    let (hook, services) = std_hook(LIMITS);
    let fault = asked(&hook, "exit").await.0.unwrap_err();
    assert!(matches!(fault, HookFault::Trap { kind: TrapKind::HostCall, .. }), "{fault}");
    assert!(fault.to_string().contains("the hook ended itself"), "{fault}");
    let fault = asked(&hook, "panic").await.0.unwrap_err();
    assert!(matches!(fault, HookFault::Trap { kind: TrapKind::Unreachable, .. }), "{fault}");
    let told = fault.to_string();
    assert!(told.contains("panicked at ") && told.contains("wasip2.rs") && told.contains("not today"), "{fault}");
    assert!(lines(&services).iter().any(|(_, line)| line.contains("panicked at ")));
    let fault = asked(&hook, "memory").await.0.unwrap_err();
    assert!(matches!(fault, HookFault::OutOfMemory { .. }), "{fault}");
    assert_eq!(asked(&hook, "nothing").await.0.unwrap(), "next", "nothing survives a call");
}

/// A core module cannot ask for WASI: only a component says which parts of it it wants.
#[tokio::test]
async fn wasi_is_for_components() {
    let module = wasm("needs-wasi");
    let error = engine(1).0.load("needs-wasi", &module, LIMITS).map(drop).unwrap_err();
    assert!(matches!(error, LoadError::UnknownImport { import } if import.starts_with("wasi:")));
    let component = ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
    let hook = engine(2).0.load("needs-wasi", &component, LIMITS).unwrap();
    assert!(hook.viewer_request(call("")).await.verdict.is_ok());
    let fault = hook.viewer_request(call("call")).await.verdict.unwrap_err();
    assert_eq!(fault.to_string(), "hook failed: flushed");
}
