//! All ways in which threads can meet on a bucket and on a table of clients, tried by loom. `make loom` runs it.
#![cfg(loom)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::hash::RandomState;

use edgeweir_limits::{Bucket, Client, ClientBuckets, Nanos, Throttle};
use loom::sync::Arc;
use loom::thread;

const NOW: Nanos = Nanos::ZERO;

/// Tries all orders with at most three preemptions: where threads share two or three numbers, more find nothing new.
fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

fn throttle(burst: u32) -> Throttle {
    Throttle::new(1e-6, burst).unwrap()
}

#[test]
fn a_bucket_gives_no_token_twice() {
    model(|| {
        let bucket = Arc::new(Bucket::new(throttle(2), NOW));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let bucket = Arc::clone(&bucket);
                thread::spawn(move || (0..2).filter(|_| bucket.reserve(NOW, 1).is_ok()).count())
            })
            .collect();
        let admitted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(admitted, 2);
    });
}

#[test]
fn a_refund_gives_back_what_was_taken_and_no_more() {
    model(|| {
        let bucket = Arc::new(Bucket::new(throttle(2), NOW));
        let other = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || {
                if let Ok(charge) = bucket.reserve(NOW, 1) {
                    bucket.refund(charge);
                }
            })
        };
        let kept = usize::from(bucket.reserve(NOW, 1).is_ok());
        other.join().unwrap();
        assert_eq!(bucket.remaining(NOW), 2 - u32::try_from(kept).unwrap());
    });
}

/// Both threads bring the same new client: it has one bucket.
#[test]
fn a_new_client_gets_one_bucket() {
    model(|| {
        let table = Arc::new(ClientBuckets::new(throttle(1), 2, NOW, RandomState::new()));
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || table.reserve(Client::of(7), NOW, 1).is_ok())
        };
        let one = table.reserve(Client::of(7), NOW, 1).is_ok();
        let other = other.join().unwrap();
        assert!(one != other, "one of two");
    });
}

/// A client is charged while another pushes it out: whatever the order, it gets no more than its burst.
#[test]
fn who_is_pushed_out_while_charged_gets_no_more() {
    const BURST: u32 = 3;
    model(|| {
        let table = Arc::new(ClientBuckets::new(throttle(BURST), 2, NOW, RandomState::new()));
        let (victim, neighbour, newcomer) = (Client::of(1), Client::of(2), Client::of(3));
        let mut admitted = u32::from(table.reserve(victim, NOW, 1).is_ok());
        assert!(table.reserve(neighbour, NOW, 2).is_ok());
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || drop(table.reserve(newcomer, NOW, 1)))
        };
        admitted += u32::from(table.reserve(victim, NOW, 1).is_ok());
        other.join().unwrap();
        while table.reserve(victim, NOW, 1).is_ok() {
            admitted += 1;
        }
        assert!(admitted <= BURST, "{admitted}");
    });
}
