use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn table(rate: f64, burst: u32, clients: usize) -> ClientBuckets {
    ClientBuckets::new(Throttle::new(rate, burst).unwrap(), clients, Nanos::ZERO, RandomState::new())
}

fn admitted(table: &ClientBuckets, client: Client, now: Nanos, tries: u32) -> u32 {
    u32::try_from((0..tries).filter(|_| table.reserve(client, now, 1).is_ok()).count()).unwrap()
}

#[test]
fn each_client_has_its_own_bucket() {
    let table = table(1.0, 5, 1024);
    // Few enough that no set of the table is ever full, whatever the hash: 300 filled one in every tenth run.
    let clients: Vec<Client> = (0..60_u32).map(|number| table.client(&number.to_be_bytes())).collect();
    for client in &clients {
        assert_eq!(admitted(&table, *client, Nanos::ZERO, 9), 5);
    }
    for client in &clients {
        assert_eq!(admitted(&table, *client, Nanos::from_secs(2), 9), 2);
        assert_eq!(table.remaining(*client, Nanos::from_secs(3)), 1);
    }
    assert_eq!(table.capacity(), 1024);
}

#[test]
fn idle_clients_go_first_and_nobody_notices() {
    let table = table(1.0, 2, WAYS);
    let client = |number: u64| Client::of(number + 1);
    for number in 0..WAYS as u64 {
        assert_eq!(admitted(&table, client(number), Nanos::ZERO, 1), 1);
    }
    // Full again: newcomers get full buckets.
    let later = Nanos::from_secs(60);
    for number in 100..100 + WAYS as u64 {
        assert_eq!(admitted(&table, client(number), later, 5), 2);
    }
    assert_eq!(table.taken_over(), 0);
}

#[test]
fn who_comes_into_a_full_set_inherits_what_was_spent() {
    let table = table(1.0, 10, WAYS);
    let client = |number: u64| Client::of(number + 1);
    for number in 0..WAYS as u64 {
        assert!(table.reserve(client(number), Nanos::ZERO, 3 + number as u32).is_ok());
    }
    assert_eq!(table.remaining(client(99), Nanos::ZERO), 7, "as it would find it");
    assert_eq!(admitted(&table, client(99), Nanos::ZERO, 20), 7);
    assert_eq!(table.taken_over(), 1);
    // The client that was forgotten had spent 3; what it finds now misses 4.
    assert_eq!(admitted(&table, client(0), Nanos::ZERO, 20), 6);
}

#[test]
fn a_refund_goes_to_the_client_that_paid() {
    let table = table(1.0, 5, WAYS);
    let client = |number: u64| Client::of(number + 1);
    let charge = table.reserve(client(0), Nanos::ZERO, 4).unwrap();
    table.refund(charge);
    assert_eq!(table.remaining(client(0), Nanos::ZERO), 5);
    let charge = table.reserve(client(0), Nanos::ZERO, 1).unwrap();
    for number in 1..=WAYS as u64 {
        assert!(table.reserve(client(number), Nanos::ZERO, 2).is_ok());
    }
    // Its bucket is another's by now.
    let before: Vec<u32> = (1..=WAYS as u64).map(|number| table.remaining(client(number), Nanos::ZERO)).collect();
    table.refund(charge);
    let after: Vec<u32> = (1..=WAYS as u64).map(|number| table.remaining(client(number), Nanos::ZERO)).collect();
    assert_eq!(before, after);
}

#[test]
fn a_cost_above_the_burst_never_fits() {
    let table = table(1.0, 5, WAYS);
    assert_eq!(table.reserve(Client::of(7), Nanos::ZERO, 6).unwrap_err(), Wait::Never);
    assert_eq!(table.probe(Client::of(7), Nanos::ZERO, 6), Err(Wait::Never));
    assert!(table.reserve(Client::of(7), Nanos::ZERO, 0).is_ok());
    assert_eq!(table.probe(Client::of(7), Nanos::ZERO, 5), Ok(()));
}

#[test]
fn other_parameters_forget_nothing() {
    let old = table(1.0, 10, 64);
    let client = old.client(b"192.0.2.1");
    assert!(old.reserve(client, Nanos::ZERO, 6).is_ok());
    let new = ClientBuckets::carry_over(&old, Throttle::new(5.0, 8).unwrap(), 4096, Nanos::from_secs(1));
    assert_eq!(new.client(b"192.0.2.1"), client);
    assert_eq!(new.remaining(client, Nanos::from_secs(1)), 5);
    assert_eq!(new.remaining(new.client(b"192.0.2.2"), Nanos::from_secs(1)), 8);
    // Room that is new is empty, for those too whom the table does not know.
    let wide = ClientBuckets::carry_over(&new, Throttle::new(5.0, 100).unwrap(), 4096, Nanos::from_secs(1));
    assert_eq!(wide.remaining(client, Nanos::from_secs(1)), 5);
    for (seconds, left) in [(1, 8), (2, 13), (60, 100)] {
        assert_eq!(wide.remaining(wide.client(b"192.0.2.2"), Nanos::from_secs(seconds)), left);
    }
    assert!(wide.reserve(wide.client(b"192.0.2.3"), Nanos::from_secs(1), 9).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// However many clients share a set: none ever gets more than a bucket of its own would have given it, and with no
    /// more clients than places each gets exactly that.
    #[test]
    fn never_more_than_a_bucket_of_its_own(
        crowd in 1_u64..24,
        steps in prop::collection::vec((0_u64..24, 0_u64..400, 1_u32..4), 1..400),
    ) {
        let throttle = Throttle::new(10.0, 6).unwrap();
        let table = table(10.0, 6, WAYS);
        let mut own: HashMap<u64, crate::Bucket> = HashMap::new();
        let mut now = Nanos::ZERO;
        for (client, millis, cost) in steps {
            let client = client % crowd;
            now = now.saturating_add(Nanos::from_millis(millis / 4));
            let bucket = own.entry(client).or_insert_with(|| crate::Bucket::new(throttle, Nanos::ZERO));
            match table.reserve(Client::of(client + 1), now, cost) {
                Ok(_kept) => prop_assert!(bucket.reserve(now, cost).is_ok(), "more than its own bucket has"),
                Err(_wait) if crowd <= WAYS as u64 => prop_assert!(bucket.probe(now, cost).is_err()),
                Err(_wait) => {}
            }
        }
    }
}

/// Threads on the clients of one set: whoever is admitted, nobody has more than the burst.
#[test]
fn threads_that_push_each_other_out_admit_no_more() {
    const BURST: u32 = 40;
    let table = table(1e-6, BURST, WAYS);
    let crowd = 3 * WAYS as u64;
    let admitted: Vec<AtomicU64> = (0..crowd).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (table, admitted) = (&table, &admitted);
            scope.spawn(move || {
                let mut at = thread;
                for _ in 0..20_000 {
                    at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let client = (at >> 33) % crowd;
                    if table.reserve(Client::of(client + 1), Nanos::ZERO, 1).is_ok() {
                        admitted[usize::try_from(client).unwrap()].fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let admitted: Vec<u64> = admitted.into_iter().map(AtomicU64::into_inner).collect();
    assert!(admitted.iter().all(|count| *count <= u64::from(BURST)), "{admitted:?}");
    assert!(admitted.iter().sum::<u64>() >= u64::from(BURST) * WAYS as u64, "{admitted:?}");
}
