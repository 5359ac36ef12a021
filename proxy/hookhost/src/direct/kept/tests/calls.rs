//! What calls of kept instances have besides the instance: the host's state, limits, places, threads. Nothing of one call is
//! there for another, however it ended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::direct::tests::Heard;
use crate::{
    Call, CallReport, Counters, Fetch, FetchFuture, GeneratedResponse, Grants, HostServices, LogLevel, Outgoing, Pins,
};

/// Says by its clock what a call has to do, and remembers what was logged.
#[derive(Default)]
struct Orders {
    order: AtomicU64,
    heard: Heard,
}

impl HostServices for Orders {
    fn now_ms(&self) -> u64 {
        let order = self.order.load(Ordering::Relaxed);
        assert_ne!(order, PANIC, "a host function panics");
        order
    }
    fn random(&self, out: &mut [u8]) {
        out.fill(3);
    }
    fn log(&self, hook: &str, request_id: &str, level: LogLevel, message: &str) {
        self.heard.log(hook, request_id, level, message);
    }
    fn counters(&self, hook: &str) -> Arc<dyn Counters> {
        self.heard.counters(hook)
    }
}

const NOTHING: u64 = 0;
const LOG: u64 = 1;
const GROW: u64 = 2;
const SPIN: u64 = 3;
const TRAP: u64 = 4;
const FETCH: u64 = 5;
const WORK: u64 = 6;
const FAIL: u64 = 7;
const PANIC: u64 = 8;

const IMPORTS: &str = r#"
    (import "edgeweir:hook/clock@0.1.0" "now" (func $now (result i64)))
    (import "edgeweir:hook/log@0.1.0" "write" (func $log (param i32 i32 i32)))
    (import "edgeweir:hook/request@0.1.0" "path" (func $path (param i32)))
    (import "edgeweir:hook/fetch@0.1.0" "send"
      (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#;
const ALLOCATES: &str = r#"
    (global $end (mut i32) (i32.const 32768))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $end (i32.and (i32.add (global.get $end) (i32.const 7)) (i32.const -8)))
      (global.get $end)
      (global.set $end (i32.add (global.get $end) (local.get 3))))
    (data (i32.const 100) "apiGET/a line")
    (func $order (param $n i64) (result i32) (i64.eq (call $now) (local.get $n)))"#;
/// Does what it is told; each time it asks for the path first, twice, and traps if its memory is not new.
const OBEYS: &str = r"
    (local $i i32)
    (if (i32.load (i32.const 512)) (then unreachable))
    (if (i32.load8_u (i32.const 32768)) (then unreachable))
    (if (i32.ne (global.get $end) (i32.const 32768)) (then unreachable))
    (call $path (i32.const 512))
    (call $path (i32.const 1020))
    (if (call $order (i64.const 1)) (then
      (loop $more
        (call $log (i32.const 3) (i32.const 107) (i32.const 6))
        (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 70))))))
    (if (call $order (i64.const 2)) (then (drop (memory.grow (i32.const 4)))))
    (if (call $order (i64.const 3)) (then (loop $ever (br $ever))))
    (if (call $order (i64.const 4)) (then unreachable))
    (if (call $order (i64.const 5)) (then
      (call $send (i32.const 100) (i32.const 3) (i32.const 103) (i32.const 3) (i32.const 106) (i32.const 1)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2000))))
    (if (call $order (i64.const 6)) (then
      (loop $more
        (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 30000000))))))
    (if (call $order (i64.const 7)) (then
      (i32.store8 (i32.const 1048512) (i32.const 1))
      (i32.store (i32.const 1048516) (i32.const 107))
      (i32.store (i32.const 1048520) (i32.const 6))))";

fn obedient(slots: u32) -> (HookEngine, Arc<Orders>, Arc<Hook>) {
    let orders = Arc::new(Orders::default());
    let limits = EngineLimits { slots, ..EngineLimits::default() };
    let engine = HookEngine::new(limits, None, Arc::clone(&orders) as _).unwrap();
    let hook = load(&engine, &importing(IMPORTS, "16", ALLOCATES, OBEYS), LIMITS);
    (engine, orders, hook)
}

/// Answers at some time, or never.
struct Answers(Option<Duration>);

impl Fetch for Answers {
    fn send(&self, _: Outgoing) -> FetchFuture<'_> {
        Box::pin(async {
            match self.0 {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
            Ok(GeneratedResponse { status: http::StatusCode::OK, headers: Vec::new(), body: "body".into() })
        })
    }
}

fn fetching(after: Option<Duration>) -> Call {
    let grants = Grants { fetch: Some(Arc::new(Answers(after))), ..Grants::default() };
    Call { grants: Some(Arc::new(grants)), pins: Pins::default(), ..call() }
}

impl Orders {
    async fn carried_out(&self, hook: &Arc<Hook>, order: u64) -> (String, CallReport) {
        self.order.store(order, Ordering::Relaxed);
        let done = hook.viewer_request(Call { record_reads: order == FETCH, ..fetching(Some(Duration::ZERO)) }).await;
        let said = match done.verdict {
            Ok(verdict) => format!("{verdict:?}"),
            Err(HookFault::Trap { kind, .. }) => format!("{kind:?}"),
            Err(fault) => fault.to_string(),
        };
        (said, done.report)
    }
}

/// However the call before ended and whatever it had of the host.
#[tokio::test]
async fn nothing_of_the_host_is_left_of_a_call() {
    let (_engine, orders, hook) = obedient(2);
    for before in [NOTHING, LOG, GROW, SPIN, TRAP, FETCH, WORK, FAIL] {
        for (order, says) in [
            (before, None),
            (LOG, Some("Next([])")),
            (LOG, Some("Next([])")),
            (FETCH, Some("Next([])")),
            (NOTHING, Some("Next([])")),
            (FAIL, Some("hook failed: a line")),
            (NOTHING, Some("Next([])")),
        ] {
            let (said, report) = orders.carried_out(&hook, order).await;
            assert!(says.is_none_or(|says| said == says), "{before} {order}: {said}");
            assert_eq!(report.log_lines_dropped, if order == LOG { 6 } else { 0 }, "{before} {order}");
            assert_eq!(report.memory, if order == GROW { 20 << 16 } else { 16 << 16 }, "{before} {order}");
            assert_eq!(report.reads.is_some(), order == FETCH, "{before} {order}");
            if says.is_some() {
                assert_eq!(count(&hook), 1, "{before} {order}");
            }
        }
    }
}

#[tokio::test]
async fn each_hook_of_a_program_has_its_own_limits() {
    let (_engine, orders, hook) = obedient(2);
    let limits = HookLimits { timeout: Duration::from_millis(20), memory: 17 << 16, ..LIMITS };
    let strict = hook.with_limits(limits).unwrap();
    for _ in 0..2 {
        for (hook, spins, grows) in
            [(&hook, "hook timed out after 200 ms", "Next([])"), (&strict, "hook timed out after 20 ms", "")]
        {
            assert_eq!(orders.carried_out(hook, NOTHING).await.0, "Next([])");
            assert_eq!(count(hook), 1, "both have the same");
            assert_eq!(orders.carried_out(hook, SPIN).await.0, spins);
            // The strict one gets one that the other has left.
            assert_eq!(orders.carried_out(&strict, NOTHING).await.0, "Next([])");
            let grown = orders.carried_out(hook, GROW).await.0;
            assert!(if grows.is_empty() { grown.contains("1114112") } else { grown == grows }, "{grown}");
        }
    }
}

#[tokio::test]
async fn a_call_that_waits_may_be_given_up_or_go_on() {
    // One place more: a call that is given up while it is in the slow lane leaves its own a moment later.
    let (_engine, orders, hook) = obedient(2);
    orders.order.store(NOTHING, Ordering::Relaxed);
    assert_eq!(verdict(&hook).await, "Next([])");
    orders.order.store(FETCH, Ordering::Relaxed);
    for _ in 0..2 {
        let waits = tokio::time::timeout(Duration::from_millis(20), hook.viewer_request(fetching(None)));
        assert!(waits.await.is_err());
        assert_eq!(count(&hook), 0, "it went with its call");
        let late = hook.viewer_request(fetching(None)).await;
        assert!(matches!(late.verdict, Err(HookFault::Timeout { .. })));
        assert_eq!(count(&hook), 0);
        let goes_on = hook.viewer_request(fetching(Some(Duration::from_millis(20)))).await;
        assert_eq!(format!("{:?}", goes_on.verdict.unwrap()), "Next([])");
        assert_eq!(count(&hook), 1);
    }
}

#[tokio::test]
async fn a_panic_of_the_host_takes_the_instance_with_it() {
    let (_engine, orders, hook) = obedient(1);
    for order in [NOTHING, PANIC, NOTHING, NOTHING] {
        orders.order.store(order, Ordering::Relaxed);
        let called = Arc::clone(&hook);
        let ended = tokio::spawn(async move { verdict(&called).await }).await;
        assert_eq!(ended.is_err(), order == PANIC);
        assert_eq!(count(&hook), usize::from(order != PANIC));
    }
}

/// Kept instances go with the last hook of their program, and keep neither that nor the engine.
#[tokio::test]
async fn what_is_kept_goes_with_its_program() {
    let (engine, orders, hook) = obedient(2);
    for nth in 0..20 {
        let next = load(&engine, &hook_of("", &format!("(drop (i32.const {nth}))")), LIMITS);
        assert_eq!(verdict(&next).await, "Next([])", "{nth}");
        assert_eq!(count(&next), 1);
    }
    assert_eq!(verdict(&hook).await, "Next([])");
    assert_eq!(count(&hook), 1);
    drop((engine, hook));
    assert_eq!(Arc::strong_count(&orders), 1);
}

/// Hooks in JavaScript whose instances are not kept have the same places: as components, and as modules that need a
/// memory less.
#[tokio::test]
async fn hooks_that_are_not_kept_get_places_too() {
    for slots in 1..4 {
        let limits = EngineLimits { slots, ..EngineLimits::default() };
        let engine = HookEngine::new(limits, None, Arc::new(Heard::default())).unwrap();
        let kept: Vec<_> =
            (0..4).map(|nth| load(&engine, &hook_of("", &format!("(drop (i32.const {nth}))")), LIMITS)).collect();
        let component = engine.load("component", &hook_of("(func $f) (start $f)", ""), LIMITS).unwrap();
        assert!(!component.is_direct());
        let data = load(&engine, &hook_of("(data $d \"x\")", "(data.drop $d)"), LIMITS);
        assert!(data.keeping().is_none());
        for _ in 0..2 {
            for other in [&component, &data] {
                for hook in &kept {
                    assert_eq!(verdict(hook).await, "Next([])", "{slots}");
                }
                assert_eq!(verdict(other).await, "Next([])", "{slots} {}", other.is_direct());
            }
        }
    }
}

/// As many calls at once as there are places: none is refused, and none sees another.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_at_once_do_not_see_each_other() {
    let limits = EngineLimits { slots: 4, ..EngineLimits::default() };
    let engine = HookEngine::new(limits, None, Arc::new(Heard::default())).unwrap();
    let hooks: Vec<_> = (0..6)
        .map(|nth| load(&engine, &hook_of(GLOBALS, &format!("(drop (i32.const {nth})) {ALL_KINDS}")), SLOW))
        .collect();
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let hooks = hooks.clone();
            tokio::spawn(async move {
                for nth in 0..500 {
                    let hook = &hooks[(nth * 5 + task * nth / 3) % hooks.len()];
                    assert_eq!(verdict(hook).await, "Next([])");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(hooks.iter().map(|hook| count(hook)).sum::<usize>() <= 4);
}

/// A machine that is busy.
const SLOW: HookLimits = HookLimits { timeout: Duration::from_secs(20), memory: 4 << 20, concurrent: 8 };
