//! Hooks that want too much: time, memory, slots, log lines. Each stays alone with its trouble.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use edgeweir_hookhost::{HookFault, HookLimits, LogLevel, TrapKind};

use crate::support::{LIMITS, call, engine, load, request, wasm};

const SHORT: HookLimits = HookLimits { timeout: Duration::from_millis(40), ..LIMITS };

/// On one thread: the spinning hook has to give it back for the other task to run and for the timeout to be noticed.
#[tokio::test]
async fn a_spinning_hook_times_out_and_lets_others_run() {
    let (engine, _) = engine(4);
    let hook = engine.load("spin", &wasm("spin"), SHORT).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let turns = Arc::new(AtomicU32::new(0));
    let other = tokio::spawn({
        let (stop, turns) = (Arc::clone(&stop), Arc::clone(&turns));
        async move {
            while !stop.load(Ordering::SeqCst) {
                turns.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        }
    });
    for _ in 0..3 {
        let done = hook.viewer_request(call("")).await;
        let fault = done.verdict.unwrap_err();
        assert!(matches!(fault, HookFault::Timeout { .. }), "{fault}");
        assert_eq!(fault.to_string(), "hook timed out after 40 ms");
        assert_eq!((fault.status(), fault.label()), (503, "timeout"));
        assert!(done.report.duration >= SHORT.timeout, "{:?}", done.report.duration);
        assert_eq!(request(done.call).path, "/a%20b");
    }
    assert!(turns.load(Ordering::SeqCst) >= 3, "the other task ran in between");
    stop.store(true, Ordering::SeqCst);
    other.await.unwrap();
}

/// The ticker parks when nothing runs; a call after that still has its timeout.
#[tokio::test]
async fn the_ticker_wakes_up_again() {
    let (engine, _) = engine(2);
    let hook = engine.load("spin", &wasm("spin"), SHORT).unwrap();
    for pause in [0, 600, 0] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        assert!(matches!(hook.viewer_request(call("")).await.verdict, Err(HookFault::Timeout { .. })));
    }
}

#[tokio::test]
async fn a_dropped_call_frees_its_slot() {
    let (engine, _) = engine(1);
    let spin = engine.load("spin", &wasm("spin"), LIMITS).unwrap();
    let no_op = engine.load("no-op", &wasm("no-op"), LIMITS).unwrap();
    for _ in 0..5 {
        let dropped = tokio::time::timeout(Duration::from_millis(10), spin.viewer_request(call(""))).await;
        assert!(dropped.is_err());
        // It is in the slow lane, and notices at its next tick.
        let mut freed = no_op.viewer_request(call("")).await.verdict;
        for _ in 0..400 {
            if freed.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            freed = no_op.viewer_request(call("")).await.verdict;
        }
        assert!(freed.is_ok(), "{freed:?}");
    }
}

#[tokio::test]
async fn slots_are_bounded_and_come_back() {
    let (engine, _) = engine(1);
    let spin = engine.load("spin", &wasm("spin"), SHORT).unwrap();
    let no_op = engine.load("no-op", &wasm("no-op"), LIMITS).unwrap();
    let (spun, refused) = tokio::join!(spin.viewer_request(call("")), no_op.viewer_request(call("")));
    assert!(matches!(spun.verdict, Err(HookFault::Timeout { .. })));
    let fault = refused.verdict.unwrap_err();
    assert!(matches!(fault, HookFault::Overloaded), "{fault}");
    assert_eq!((fault.status(), fault.label()), (503, "overloaded"));
    assert_eq!(request(refused.call).path, "/a%20b");
    assert!(no_op.viewer_request(call("")).await.verdict.is_ok());
}

#[tokio::test]
async fn memory_is_bounded_by_the_hook_s_own_limit() {
    let (engine, _) = engine(4);
    for memory in [512 << 10, 4 << 20, 16 << 20] {
        let hook = engine.load("alloc", &wasm("alloc"), HookLimits { memory, ..LIMITS }).unwrap();
        let fault = hook.viewer_request(call("")).await.verdict.unwrap_err();
        assert!(matches!(fault, HookFault::OutOfMemory { limit } if limit == memory), "{fault}");
        assert_eq!((fault.status(), fault.label()), (503, "out-of-memory"));
    }
}

#[tokio::test]
async fn trouble_of_one_call_does_not_reach_others() {
    let (engine, _) = engine(8);
    let load = |name: &str| engine.load(name, &wasm(name), SHORT).unwrap();
    let (trap, alloc, deep, good) = (load("trap"), load("alloc"), load("stack-overflow"), load("header-edit"));
    for _ in 0..20 {
        let (trap, alloc, deep, good) = tokio::join!(
            trap.viewer_request(call("")),
            alloc.viewer_request(call("")),
            deep.viewer_request(call("")),
            good.viewer_request(call("")),
        );
        assert!(trap.verdict.is_err() && alloc.verdict.is_err() && deep.verdict.is_err());
        // A busy machine may let any call run into its timeout; nothing else is excused.
        assert!(matches!(good.verdict, Ok(_) | Err(HookFault::Timeout { .. })), "{:?}", good.verdict);
    }
}

#[tokio::test]
async fn log_lines_are_bounded() {
    let (engine, services) = engine(2);
    let hook = engine.load("log-flood", &wasm("log-flood"), LIMITS).unwrap();
    let done = hook.viewer_request(call("")).await;
    assert!(done.verdict.is_ok());
    assert_eq!(done.report.log_lines_dropped, 36);
    let lines = std::mem::take(&mut *services.lines.lock().unwrap());
    assert_eq!(lines.len(), 64);
    assert_eq!(lines[63], ("log-flood".into(), "id-1".into(), LogLevel::Info, "line 63".into()));
    // One long line takes all the room: it is cut, between characters, and the rest is dropped.
    let done = hook.viewer_request(call("long")).await;
    assert_eq!(done.report.log_lines_dropped, 101);
    let lines = std::mem::take(&mut *services.lines.lock().unwrap());
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].2, lines[0].3.len()), (LogLevel::Warn, 10 * 1024));
}

#[tokio::test]
async fn handing_over_more_than_fits_is_a_fault() {
    // 9 MiB in one result: over what the host takes from a guest, whatever the rules say.
    let (engine, _) = engine(2);
    let hook = engine.load("script", &wasm("script"), HookLimits { memory: 32 << 20, ..LIMITS }).unwrap();
    let fault = hook.viewer_request(call("respond 200 *9437184")).await.verdict.unwrap_err();
    assert!(matches!(fault, HookFault::Trap { kind: TrapKind::Other, .. }), "{fault}");
    let fault = load("script").viewer_request(call("respond 200 *1000000")).await.verdict.unwrap_err();
    assert_eq!(fault.status(), 502, "{fault}");
}

#[tokio::test]
async fn calls_over_the_hooks_own_number_wait_and_then_give_up() {
    let (engine, _) = engine(8);
    let hook = engine.load("spin", &wasm("spin"), HookLimits { concurrent: 1, ..SHORT }).unwrap();
    let no_op = engine.load("no-op", &wasm("no-op"), LIMITS).unwrap();
    let (first, second, third, other) = tokio::join!(
        hook.viewer_request(call("")),
        hook.viewer_request(call("")),
        hook.viewer_request(call("")),
        no_op.viewer_request(call(""))
    );
    assert!(matches!(first.verdict, Err(HookFault::Timeout { .. })), "it had the place");
    assert!(matches!(third.verdict, Err(HookFault::Overloaded)), "{:?}", third.verdict);
    assert_eq!((third.report.memory, request(third.call).path.as_str()), (0, "/a%20b"), "it never ran");
    assert!(other.verdict.is_ok(), "other hooks have places of their own");
    // The second one had its place when the first left, or gave up in that same moment.
    match second.verdict {
        Err(HookFault::Timeout { .. }) => assert!(second.report.waited >= SHORT.timeout / 2, "{:?}", second.report),
        Err(HookFault::Overloaded) => {}
        other => panic!("{other:?}"),
    }
    assert!(
        matches!(hook.viewer_request(call("")).await.verdict, Err(HookFault::Timeout { .. })),
        "the place is free again"
    );
}

#[tokio::test]
async fn the_memory_of_a_call_is_reported() {
    let (engine, _) = engine(2);
    let small = load("no-op").viewer_request(call("")).await.report.memory;
    assert!((64 << 10..1 << 20).contains(&small), "{small}");
    let hook = engine.load("alloc", &wasm("alloc"), LIMITS).unwrap();
    let done = hook.viewer_request(call("")).await;
    assert!(matches!(done.verdict, Err(HookFault::OutOfMemory { .. })), "{:?}", done.verdict);
    assert!(done.report.memory > small && done.report.memory <= LIMITS.memory, "{:?}", done.report);
}
