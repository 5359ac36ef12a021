use std::sync::atomic::AtomicBool;

use super::*;

const LONG_FROM_NOW: Duration = Duration::from_secs(60);

fn deadline() -> Instant {
    Instant::now() + LONG_FROM_NOW
}

fn compute(time: Duration) {
    let began = computed_by_thread();
    while computed_by_thread() - began < time {
        std::hint::spin_loop();
    }
}

/// Leaves the worker.
async fn is_found(deadline: Instant) {
    give_way(deadline).await;
    compute(ENOUGH);
    give_way(deadline).await;
}

/// A busy machine stops any call at a tick, or at two.
#[tokio::test]
async fn a_call_that_ticks_found_computing_little_stays_where_it_is() {
    let (slow, start) = (SlowLane::default(), Start::default());
    let here = std::thread::current().id();
    let call = async {
        compute(2 * ENOUGH);
        for _ in 0..3 {
            give_way(deadline()).await;
            compute(ENOUGH / 10);
        }
        std::thread::current().id()
    };
    assert_eq!(run(&slow, &start, deadline(), Box::pin(call)).await, here);
}

#[tokio::test]
async fn a_call_that_computes_little_is_not_long_for_having_waited() {
    let (slow, start) = (SlowLane::default(), Start::default());
    let turns = Arc::clone(&slow.threads().expect("threads").turns);
    let all = u32::try_from(turns.available_permits()).unwrap();
    let taken = turns.acquire_many_owned(all).await.unwrap();
    // Nobody has a turn, and it needs none; it waits for something else, far longer than it computes.
    let call = async {
        is_found(deadline()).await;
        assert_eq!(std::thread::current().name(), Some("hook-slow"));
        tokio::time::sleep(Duration::from_millis(20)).await;
        7
    };
    assert_eq!(run(&slow, &start, deadline(), Box::pin(call)).await, 7);
    assert!(!start.is_slow());
    drop(taken);
}

#[tokio::test]
async fn calls_after_those_that_compute_long_start_in_the_slow_lane_for_a_while() {
    let (slow, start) = (SlowLane::default(), Start::default());
    let name = || std::thread::current().name().map(str::to_owned);
    for (before, short) in [(1, SUSPECT), (2, PROVEN)] {
        for _ in 0..before {
            let call = async {
                is_found(deadline()).await;
                compute(2 * LONG);
            };
            run(&slow, &start, deadline(), Box::pin(call)).await;
        }
        assert_eq!(start.suspect.load(Ordering::Relaxed), short);
        for _ in 0..=short.ilog2() {
            let thread = run(&slow, &start, deadline(), Box::pin(async move { name() })).await;
            assert_eq!(thread.as_deref(), Some("hook-slow"));
        }
        assert!(!start.is_slow());
        let thread = run(&slow, &start, deadline(), Box::pin(async move { name() })).await;
        assert_ne!(thread.as_deref(), Some("hook-slow"));
    }
}

#[tokio::test]
async fn who_computes_waits_for_a_turn_and_ends_at_the_deadline_without_one() {
    let (slow, start) = (SlowLane::default(), Start::default());
    let turns = Arc::clone(&slow.threads().expect("threads").turns);
    let all = u32::try_from(turns.available_permits()).unwrap();
    let taken = turns.acquire_many_owned(all).await.unwrap();
    let computes = Arc::new(AtomicBool::new(false));
    let soon = Instant::now() + Duration::from_millis(20);
    let seen = Arc::clone(&computes);
    let call = async move {
        let goes_on = async {
            is_found(soon).await;
            give_way(soon).await;
            seen.store(true, Ordering::Relaxed);
        };
        tokio::time::timeout_at(soon, goes_on).await.is_err()
    };
    assert!(run(&slow, &start, soon, Box::pin(call)).await, "it goes on without a turn");
    assert!(!computes.load(Ordering::Relaxed));

    assert!(!start.is_slow());
    start.learn(2 * LONG);
    let soon = Instant::now() + Duration::from_millis(20);
    assert!(run(&slow, &start, soon, Box::pin(async { is_late() })).await, "one that never began");
    assert!(Instant::now() >= soon);
    assert_eq!(start.suspect.load(Ordering::Relaxed), SUSPECT, "it says nothing of the hook");
    drop(taken);
    assert!(!run(&slow, &start, deadline(), Box::pin(async { is_late() })).await);
}

#[tokio::test]
async fn calls_of_one_hook_wait_for_each_other_before_they_wait_for_those_of_another() {
    let (slow, loops, other) = (SlowLane::default(), Start::default(), Start::default());
    for start in [&loops, &other] {
        start.learn(2 * LONG);
    }
    let all = u32::try_from(loops.turns.available_permits()).unwrap();
    let _taken = Arc::clone(&loops.turns).acquire_many_owned(all).await.unwrap();
    let soon = Instant::now() + Duration::from_millis(20);
    assert!(run(&slow, &loops, soon, Box::pin(async { is_late() })).await);
    assert!(!run(&slow, &other, deadline(), Box::pin(async { is_late() })).await);
}

#[tokio::test]
async fn a_hook_stays_suspect_for_calls_that_end_waiting() {
    let (slow, start) = (SlowLane::default(), Start::default());
    let turns = Arc::clone(&slow.threads().expect("threads").turns);
    let all = u32::try_from(turns.available_permits()).unwrap();
    let _taken = turns.acquire_many_owned(all).await.unwrap();
    let soon = Instant::now() + Duration::from_millis(50);
    let call = tokio::time::timeout_at(soon, async move {
        is_found(soon).await;
        compute(2 * LONG);
        give_way(soon).await;
    });
    assert!(run(&slow, &start, soon, Box::pin(call)).await.is_err());
    assert_eq!(start.suspect.load(Ordering::Relaxed), SUSPECT, "it computed for long before it waited");
    let given_up = run(&slow, &start, deadline(), Box::pin(async {}));
    assert!(tokio::time::timeout(Duration::from_millis(20), given_up).await.is_err());
    assert_eq!(start.suspect.load(Ordering::Relaxed), SUSPECT, "nobody waited for it to begin");
}
