use super::*;

fn bucket(rate: f64, burst: u32) -> Bucket {
    Bucket::new(Throttle::new(rate, burst).unwrap(), Nanos::ZERO)
}

#[test]
fn starts_full_and_refills_at_rate() {
    let bucket = bucket(10.0, 3);
    let start = Nanos::from_secs(1);
    for left in [2, 1, 0] {
        assert!(bucket.reserve(start, 1).is_ok());
        assert_eq!(bucket.remaining(start), left);
    }
    assert_eq!(bucket.reserve(start, 1).unwrap_err(), Wait::For(Nanos::from_millis(100)));
    assert_eq!(bucket.reset_after(start), Nanos::from_millis(300));
    assert_eq!(bucket.next_after(start), Nanos::from_millis(100));

    let later = Nanos::from_millis(1099);
    assert_eq!(bucket.reserve(later, 1).unwrap_err(), Wait::For(Nanos::from_millis(1)));
    let later = Nanos::from_millis(1100);
    assert!(bucket.reserve(later, 1).is_ok());
    assert!(bucket.reserve(later, 1).is_err());
    assert_eq!(bucket.remaining(Nanos::from_secs(60)), 3);
    assert_eq!(bucket.reset_after(Nanos::from_secs(60)), Nanos::ZERO);
    assert_eq!(bucket.next_after(Nanos::from_secs(60)), Nanos::ZERO);
}

#[test]
fn cost_zero_passes_even_an_empty_bucket() {
    let bucket = bucket(1.0, 1);
    assert!(bucket.reserve(Nanos::ZERO, 1).is_ok());
    let nothing = bucket.reserve(Nanos::ZERO, 0).unwrap();
    assert!(bucket.probe(Nanos::ZERO, 0).is_ok());
    bucket.refund(nothing);
    assert_eq!(bucket.remaining(Nanos::ZERO), 0);
}

#[test]
fn cost_above_burst_never_fits() {
    let bucket = bucket(1.0, 5);
    assert_eq!(bucket.reserve(Nanos::ZERO, 6).unwrap_err(), Wait::Never);
    assert_eq!(bucket.probe(Nanos::ZERO, 6), Err(Wait::Never));
    assert!(bucket.reserve(Nanos::ZERO, 5).is_ok());
}

#[test]
fn born_late_is_still_full_and_no_more() {
    let now = Nanos(u64::MAX / 2);
    let bucket = Bucket::new(Throttle::new(2.0, 4).unwrap(), now);
    assert_eq!(bucket.remaining(now), 4);
    assert!(bucket.reserve(now, 4).is_ok());
    assert!(bucket.reserve(now, 1).is_err());
    assert_eq!(bucket.remaining(now.saturating_add(Nanos::from_secs(1))), 2);
}

#[test]
fn refund_gives_back_what_was_taken() {
    let bucket = bucket(10.0, 10);
    let charge = bucket.reserve(Nanos::ZERO, 4).unwrap();
    bucket.refund(charge);
    assert_eq!(bucket.reset_after(Nanos::ZERO), Nanos::ZERO);

    let charge = bucket.reserve(Nanos::ZERO, 4).unwrap();
    let _kept = bucket.reserve(Nanos::ZERO, 5).unwrap();
    bucket.refund(charge);
    assert_eq!(bucket.reset_after(Nanos::from_millis(100)), Nanos::from_millis(400));
}

/// The token of the first charge had come back by itself: to refund it as well would let a full burst follow the second.
#[test]
fn refund_after_the_refill_gives_nothing() {
    let bucket = bucket(1.0, 2);
    let early = bucket.reserve(Nanos::ZERO, 1).unwrap();
    let later = Nanos::from_secs(5);
    let _kept = bucket.reserve(later, 1).unwrap();
    bucket.refund(early);
    assert_eq!(bucket.remaining(later), 1);
}

/// The first refund makes the bucket full at the time of the third charge, so the second has come back by then.
#[test]
fn refunds_of_stacked_charges_do_not_add_up_to_more() {
    let bucket = bucket(1.0, 2);
    let lower = bucket.reserve(Nanos::ZERO, 1).unwrap();
    let upper = bucket.reserve(Nanos::ZERO, 1).unwrap();
    bucket.refund(lower);
    let later = Nanos::from_secs(1);
    let _kept = bucket.reserve(later, 1).unwrap();
    bucket.refund(upper);
    assert_eq!(bucket.remaining(later), 1);
}

#[test]
fn carry_over_keeps_what_is_left() {
    let old = bucket(1.0, 10);
    let _kept = old.reserve(Nanos::ZERO, 6).unwrap();
    let now = Nanos::from_secs(1);
    let carry = |rate, burst| Bucket::carry_over(&old, Throttle::new(rate, burst).unwrap(), now).remaining(now);
    assert_eq!(carry(1.0, 10), 5);
    assert_eq!(carry(50.0, 10), 5);
    assert_eq!(carry(1.0, 100), 5);
    assert_eq!(carry(1.0, 5), 5);
    assert_eq!(carry(1.0, 3), 3);
    assert_eq!(carry(1e-6, u32::MAX), 5);
    let empty = bucket(1.0, 3_000);
    let _spent = empty.reserve(Nanos::ZERO, 3_000).unwrap();
    let throttle = |burst| Throttle::new(if burst == 0 { 0.0 } else { 1.0 }, burst).unwrap();
    for between in [0, 5] {
        let small = Bucket::carry_over(&empty, throttle(between), Nanos::ZERO);
        let large = Bucket::carry_over(&small, throttle(3_000), Nanos::ZERO);
        assert_eq!(large.remaining(Nanos::ZERO), 0, "{between} in between");
        assert_eq!(large.remaining(Nanos::from_secs(7)), 7);
    }
}

#[test]
fn a_clock_that_steps_back_gives_no_tokens() {
    let bucket = bucket(1.0, 3);
    let now = Nanos::from_secs(100);
    assert!(bucket.reserve(now, 2).is_ok());
    let before = Nanos::from_secs(99);
    assert_eq!(bucket.remaining(before), 0);
    assert_eq!(bucket.reserve(before, 1).unwrap_err(), Wait::For(Nanos::from_secs(1)));
    assert_eq!(bucket.reset_after(Nanos::ZERO), Nanos::from_secs(3));
    assert!(bucket.reserve(now, 1).is_ok());
    assert!(bucket.reserve(now, 1).is_err());
}

#[test]
fn a_thread_with_a_late_clock_gets_its_refund() {
    let bucket = bucket(1.0, 3);
    let _kept = bucket.reserve(Nanos(1_000_000_010), 1).unwrap();
    let late = bucket.reserve(Nanos(1_000_000_000), 1).unwrap();
    bucket.refund(late);
    assert_eq!(bucket.remaining(Nanos(1_000_000_010)), 2);
}
