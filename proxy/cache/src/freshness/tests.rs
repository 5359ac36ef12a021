use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderName, PRAGMA, VARY};
use proptest::prelude::*;

use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;
const DAY: Duration = Duration::from_secs(86_400);
const POLICY: Ttl = Ttl { min: Duration::ZERO, default: DAY, max: Duration::from_secs(365 * 86_400) };

/// A time at which dates before and after exist.
fn now() -> SystemTime {
    NOW + Duration::from_secs(1_700_000_000)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn response(status: u16, fields: &[(HeaderName, &str)]) -> ResponseHeader {
    let mut header = ResponseHeader::build(status, None).unwrap();
    for (name, value) in fields {
        header.append_header(name.clone(), *value).unwrap();
    }
    header
}

fn at(seconds: i64) -> String {
    let offset = secs(seconds.unsigned_abs());
    httpdate::fmt_http_date(if seconds < 0 { now() - offset } else { now() + offset })
}

fn get(response: &ResponseHeader) -> Decision {
    decide(&RequestFacts::new(&Method::GET), response, &Rules::from(POLICY), now())
}

fn cc(value: &str) -> Decision {
    get(&response(200, &[(CACHE_CONTROL, value)]))
}

#[track_caller]
fn stored(decision: Decision) -> Freshness {
    match decision {
        Decision::Store(freshness) => freshness,
        Decision::Refuse(reason) => panic!("refused: {reason}"),
    }
}

#[track_caller]
fn remaining(decision: Decision) -> u64 {
    stored(decision).fresh_until.duration_since(now()).unwrap().as_secs()
}

#[test]
fn rfc9111_3_forbidding_directives_are_refused() {
    for (value, reason) in [
        ("no-store, max-age=60", Reason::NoStore),
        ("max-age=60, NO-STORE", Reason::NoStore),
        ("private, max-age=60", Reason::Private),
        ("private=x-a, max-age=60", Reason::Private),
        ("private=\"\", max-age=60", Reason::Private),
        ("private=\"x-a\", private, max-age=60", Reason::Private),
        ("private=\"x a\", max-age=60", Reason::Private),
        ("no-cache, max-age=60", Reason::NoCache),
        ("no-cache=x-a, max-age=60", Reason::NoCache),
        ("no-cache", Reason::NoCache),
    ] {
        assert_eq!(cc(value), Decision::Refuse(reason), "{value}");
    }
}

#[test]
fn rfc9111_3_forbidding_directives_win_over_a_minimum_ttl() {
    let policy = Ttl { min: secs(60), ..POLICY };
    for value in ["no-store", "private", "no-cache"] {
        let header = response(200, &[(CACHE_CONTROL, value)]);
        let decision = decide(&RequestFacts::new(&Method::GET), &header, &Rules::from(policy), now());
        assert!(matches!(decision, Decision::Refuse(_)), "{value}");
    }
}

#[test]
fn rfc9111_3_only_get_and_head() {
    let header = response(200, &[(CACHE_CONTROL, "max-age=60")]);
    for method in [Method::POST, Method::OPTIONS, Method::PUT, Method::DELETE] {
        let decision = decide(&RequestFacts::new(&method), &header, &Rules::from(POLICY), now());
        assert_eq!(decision, Decision::Refuse(Reason::Method));
    }
    assert_eq!(remaining(decide(&RequestFacts::new(&Method::HEAD), &header, &Rules::from(POLICY), now())), 60);
}

#[test]
fn rfc9111_5_2_1_5_request_no_store() {
    let facts = RequestFacts { no_store: true, ..RequestFacts::new(&Method::GET) };
    let header = response(200, &[(CACHE_CONTROL, "max-age=60")]);
    assert_eq!(decide(&facts, &header, &Rules::from(POLICY), now()), Decision::Refuse(Reason::RequestNoStore));
}

#[test]
fn rfc9111_3_5_authorization_needs_permission() {
    let facts = RequestFacts { has_authorization: true, ..RequestFacts::new(&Method::GET) };
    let with = |value| decide(&facts, &response(200, &[(CACHE_CONTROL, value)]), &Rules::from(POLICY), now());
    assert_eq!(with("max-age=60"), Decision::Refuse(Reason::Authorization));
    assert_eq!(with("proxy-revalidate, max-age=60"), Decision::Refuse(Reason::Authorization));
    for value in ["public, max-age=60", "must-revalidate, max-age=60", "s-maxage=60"] {
        assert_eq!(remaining(with(value)), 60, "{value}");
    }
}

#[test]
fn rfc9111_7_3_set_cookie_is_never_stored() {
    let header = response(200, &[(CACHE_CONTROL, "public, s-maxage=60"), (SET_COOKIE, "id=1")]);
    assert_eq!(get(&header), Decision::Refuse(Reason::SetCookie));
}

#[test]
fn rfc9110_15_1_heuristically_cacheable_statuses_live_for_the_default() {
    for status in [200, 203, 204, 300, 301, 308] {
        assert_eq!(remaining(get(&response(status, &[]))), 86_400, "{status}");
    }
    for status in [404, 405, 410, 414, 501] {
        assert_eq!(remaining(get(&response(status, &[]))), 10, "{status}");
    }
}

#[test]
fn rfc9111_3_other_understood_statuses_need_explicit_freshness() {
    for status in [302, 303, 307, 400, 403, 451] {
        assert_eq!(get(&response(status, &[])), Decision::Refuse(Reason::NotExplicit), "{status}");
        assert_eq!(remaining(get(&response(status, &[(CACHE_CONTROL, "max-age=7")]))), 7, "{status}");
    }
    assert_eq!(remaining(get(&response(302, &[(CACHE_CONTROL, "public")]))), 86_400);
}

#[test]
fn rfc9111_3_any_final_status_is_stored_with_explicit_freshness() {
    for status in [201, 202, 299, 402, 406, 408, 499, 500, 502, 503, 504, 599] {
        assert_eq!(get(&response(status, &[])), Decision::Refuse(Reason::NotExplicit), "{status}");
        assert_eq!(remaining(get(&response(status, &[(CACHE_CONTROL, "max-age=7")]))), 7, "{status}");
    }
    assert_eq!(remaining(get(&response(599, &[(CACHE_CONTROL, "public")]))), 10);
}

#[test]
fn rfc9111_5_2_2_3_must_understand_wins_over_no_store_where_the_status_is_understood() {
    let with = |status, value| get(&response(status, &[(CACHE_CONTROL, value)]));
    assert_eq!(remaining(with(200, "must-understand, no-store, max-age=60")), 60);
    assert_eq!(with(299, "must-understand, no-store, max-age=60"), Decision::Refuse(Reason::NotUnderstood));
    assert_eq!(with(599, "must-understand, max-age=60"), Decision::Refuse(Reason::NotUnderstood));
}

#[test]
fn rfc9111_3_what_is_not_final_or_whole_is_refused() {
    let explicit = [(CACHE_CONTROL, "public, s-maxage=60")];
    assert_eq!(get(&response(206, &explicit)), Decision::Refuse(Reason::Partial));
    for status in [101, 103, 205, 226, 304, 305, 401, 407, 412, 416, 429, 431, 505, 511] {
        assert_eq!(get(&response(status, &explicit)), Decision::Refuse(Reason::StatusNotCacheable), "{status}");
    }
    let range = response(200, &[(CONTENT_RANGE, "bytes 0-1/9"), (CACHE_CONTROL, "max-age=60")]);
    assert_eq!(get(&range), Decision::Refuse(Reason::ContentRange));
    let trailers = response(200, &[(TRAILER, "x-sum"), (CACHE_CONTROL, "max-age=60")]);
    assert_eq!(get(&trailers), Decision::Refuse(Reason::Trailers));
}

#[test]
fn rfc9111_5_2_2_4_no_cache_with_a_validator_is_stored_to_be_checked() {
    for value in ["no-cache", "no-cache, max-age=60", "max-age=0"] {
        for min in [0, 60] {
            let header = response(200, &[(CACHE_CONTROL, value), (ETAG, "\"1\"")]);
            let rules = Rules { stale_if_error: 60, ..Rules::from(Ttl { min: secs(min), ..POLICY }) };
            let found = stored(decide(&RequestFacts::new(&Method::GET), &header, &rules, now()));
            if value.contains("no-cache") || min == 0 {
                assert_eq!((found.fresh_until, found.stale_if_error), (found.epoch, 0), "{value} {min}");
            }
        }
    }
    let error = response(404, &[(CACHE_CONTROL, "no-cache"), (ETAG, "\"1\"")]);
    assert_eq!(get(&error), Decision::Refuse(Reason::NoCache));
    let silent = response(200, &[(ETAG, "\"1\"")]);
    let zero = Rules::from(Ttl { default: Duration::ZERO, ..POLICY });
    let decision = decide(&RequestFacts::new(&Method::GET), &silent, &zero, now());
    assert_eq!(decision, Decision::Refuse(Reason::TtlZero), "who says nothing is not stored by this policy");
}

#[test]
fn rfc9111_5_2_2_4_listed_fields_are_not_stored() {
    let rules = Rules::from(POLICY);
    for (value, gone) in [
        ("no-cache=\"x-a\", max-age=60", &["x-a"][..]),
        ("private=\"x-a, Set-Cookie\", max-age=60", &["x-a", "set-cookie"]),
    ] {
        let cookie = gone.contains(&"set-cookie");
        let mut header = response(200, &[(CACHE_CONTROL, value), (HeaderName::from_static("x-a"), "1")]);
        header.append_header("x-b", "2").unwrap();
        if cookie {
            header.append_header(SET_COOKIE, "a=1").unwrap();
        }
        assert_eq!(remaining(get(&header)), 60, "{value}");
        let (kept, left_out) = stored_header(&header, &rules);
        assert_eq!(left_out.len(), gone.len(), "{value}");
        assert!(gone.iter().all(|name| !kept.headers.contains_key(*name)), "{value}");
        assert!(kept.headers.contains_key("x-b") && kept.headers.contains_key(CACHE_CONTROL), "{value}");
    }
}

#[test]
fn set_cookie_is_stripped_where_the_rules_say_so() {
    let header = response(200, &[(CACHE_CONTROL, "max-age=60"), (SET_COOKIE, "id=1")]);
    let rules = Rules { set_cookie: SetCookie::Strip, ..Rules::from(POLICY) };
    assert_eq!(remaining(decide(&RequestFacts::new(&Method::GET), &header, &rules, now())), 60);
    assert!(!stored_header(&header, &rules).0.headers.contains_key(SET_COOKIE));
}

#[test]
fn rfc9111_4_2_2_a_tenth_of_the_time_since_the_last_change() {
    let rules = Rules { heuristic: true, ..Rules::from(Ttl { default: Duration::ZERO, ..POLICY }) };
    let with = |status, fields: &[(HeaderName, &str)]| {
        decide(&RequestFacts::new(&Method::GET), &response(status, fields), &rules, now())
    };
    let (date, day, year) = (at(0), at(-86_400), at(-365 * 86_400));
    assert_eq!(remaining(with(200, &[(LAST_MODIFIED, &day), (DATE, &date)])), 8_640);
    assert_eq!(remaining(with(200, &[(LAST_MODIFIED, &day)])), 8_640);
    assert_eq!(remaining(with(200, &[(LAST_MODIFIED, &year), (DATE, &date)])), 86_400);
    assert_eq!(remaining(with(404, &[(LAST_MODIFIED, &day), (DATE, &date)])), 10);
    assert_eq!(remaining(with(599, &[(LAST_MODIFIED, &day), (CACHE_CONTROL, "public")])), 10);
    assert_eq!(remaining(with(200, &[(LAST_MODIFIED, &day), (CACHE_CONTROL, "max-age=5")])), 5);
    for status in [201, 202, 403, 502, 503, 504, 599] {
        assert_eq!(with(status, &[(LAST_MODIFIED, &day)]), Decision::Refuse(Reason::NotExplicit), "{status}");
    }
    let future = at(60);
    assert_eq!(remaining(with(200, &[(PRAGMA, "no-cache"), (LAST_MODIFIED, &day)])), 8_640);
    for fields in [&[(LAST_MODIFIED, future.as_str())], &[(LAST_MODIFIED, "0")]] {
        assert_eq!(with(200, fields), Decision::Refuse(Reason::TtlZero), "{fields:?}");
    }
}

#[test]
fn rfc9213_2_2_a_targeted_field_stands_in_for_cache_control_and_expires() {
    let past = at(-60);
    let cdn = targeted::CDN_CACHE_CONTROL;
    for fields in [
        &[(cdn.clone(), "max-age=60"), (CACHE_CONTROL, "no-store")][..],
        &[(cdn.clone(), "max-age=60"), (EXPIRES, &past)],
    ] {
        assert_eq!(remaining(get(&response(200, fields))), 60, "{fields:?}");
    }
    let future = at(60);
    for (value, reason) in [
        ("private", Reason::Private),
        ("no-cache", Reason::NoCache),
        ("no-store", Reason::NoStore),
        ("max-age=0", Reason::TtlZero),
    ] {
        let fields = [(cdn.clone(), value), (CACHE_CONTROL, "max-age=60"), (EXPIRES, &future)];
        assert_eq!(get(&response(200, &fields)), Decision::Refuse(reason), "{value}");
    }
    let unsaid = [(cdn, "foo"), (CACHE_CONTROL, "max-age=60"), (EXPIRES, &future)];
    assert_eq!(remaining(get(&response(200, &unsaid))), 86_400, "the default, as nothing is said");
}

#[test]
fn errors_live_as_the_policy_says_or_longer() {
    let rules = Rules { errors: vec![(404, secs(30)), (410, Duration::ZERO), (503, secs(5))], ..Rules::from(POLICY) };
    let with = |status, fields: &[(HeaderName, &str)]| {
        decide(&RequestFacts::new(&Method::GET), &response(status, fields), &rules, now())
    };
    assert_eq!(remaining(with(404, &[])), 30);
    assert_eq!(remaining(with(404, &[(CACHE_CONTROL, "max-age=1")])), 30);
    assert_eq!(remaining(with(503, &[])), 5);
    assert_eq!(remaining(with(503, &[(CACHE_CONTROL, "max-age=60")])), 60);
    assert_eq!(with(410, &[(CACHE_CONTROL, "max-age=60")]), Decision::Refuse(Reason::ErrorTtlZero));
    assert_eq!(with(500, &[]), Decision::Refuse(Reason::NotExplicit));
    assert_eq!(with(503, &[(CACHE_CONTROL, "no-store")]), Decision::Refuse(Reason::NoStore));
    assert_eq!(remaining(with(200, &[])), 86_400);
}

#[test]
fn the_policys_stale_windows_are_for_origins_that_say_nothing() {
    let rules = Rules { stale_while_revalidate: 11, stale_if_error: 22, ..Rules::from(POLICY) };
    let windows = |status, value: &str| {
        let found = decide(
            &RequestFacts::new(&Method::GET),
            &response(status, &[(CACHE_CONTROL, value), (ETAG, "\"1\"")]),
            &rules,
            now(),
        );
        (stored(found).stale_while_revalidate, stored(found).stale_if_error)
    };
    assert_eq!(windows(200, "max-age=9"), (11, 22));
    assert_eq!(windows(404, "max-age=9"), (11, 0), "an error covers no failure by the policy's word");
    assert_eq!(windows(404, "max-age=9, stale-if-error=5"), (11, 5));
    assert_eq!(windows(200, "max-age=9, stale-if-error=0, stale-while-revalidate=3"), (3, 0));
    for value in ["max-age=9, must-revalidate", "max-age=9, proxy-revalidate", "s-maxage=9", "no-cache", "max-age=0"] {
        assert_eq!(windows(200, value), (0, 0), "{value}");
    }
    assert_eq!(windows(503, "max-age=9"), (0, 0), "a failure is not kept for another");
}

#[test]
fn rfc9111_4_1_vary_star() {
    for value in ["*", "accept, *"] {
        let header = response(200, &[(VARY, value), (CACHE_CONTROL, "max-age=60")]);
        assert_eq!(get(&header), Decision::Refuse(Reason::VaryStar));
    }
}

#[test]
fn rfc9111_4_2_1_s_maxage_then_max_age_then_expires() {
    let expires = at(10);
    let mut header = response(200, &[(EXPIRES, &expires)]);
    assert_eq!(remaining(get(&header)), 10);
    header.append_header(CACHE_CONTROL, "max-age=20").unwrap();
    assert_eq!(remaining(get(&header)), 20);
    header.append_header(CACHE_CONTROL, "s-maxage=5").unwrap();
    assert_eq!(remaining(get(&header)), 5);
}

#[test]
fn rfc9111_5_3_expires_counts_from_date_and_bad_dates_are_stale() {
    // The origin's clock is an hour ahead: its lifetime is still 60 s.
    let (date, expires, other) = (at(3_600), at(3_660), at(50));
    assert_eq!(remaining(get(&response(200, &[(DATE, &date), (EXPIRES, &expires)]))), 60);
    for bad in [
        "0",
        "-1",
        "tomorrow",
        "",
        "Thu, 18 Aug 2050 02:01:18 UTC",
        "Thu, 18 Aug 50 02:01:18 GMT",
        "Thu 18 Aug 2050 02:01:18 GMT",
        "Thu, 18  Aug  2050 02:01:18 GMT",
        "Thu, 18-Aug-2050 02:01:18 GMT",
        "Thu, 18 Aug 2050 02.01.18 GMT",
        "Thu, 18 Aug 2050 2:01:18 GMT",
        "Thu, 18 Aug 2050 02:01:18 +0000",
    ] {
        assert_eq!(get(&response(200, &[(EXPIRES, bad)])), Decision::Refuse(Reason::TtlZero), "{bad}");
    }
    for odd in ["Thursday, 18-Aug-50 02:01:18 GMT", "Thu Aug 18 02:01:18 2050", " Thu, 18 Aug 2050 02:01:18 GMT "] {
        assert!(remaining(get(&response(200, &[(EXPIRES, odd)]))) > 0, "{odd}");
    }
    let two = response(200, &[(EXPIRES, &expires), (EXPIRES, &other)]);
    assert_eq!(get(&two), Decision::Refuse(Reason::TtlZero));
}

#[test]
fn rfc9111_4_2_1_invalid_and_duplicate_lifetimes_are_restrictive() {
    for value in [
        "max-age=-1",
        "max-age=1.5",
        "max-age",
        "s-maxage=x, max-age=60",
        "max-age =60",
        "max-age= 60",
        "max-age='60'",
        "max-age=60a",
        "max-age=a60",
    ] {
        assert_eq!(cc(value), Decision::Refuse(Reason::TtlZero), "{value}");
    }
    assert_eq!(remaining(cc("max-age=60, max-age=5")), 5);
    assert_eq!(remaining(cc("x=\"max-age=600\", max-age=\"5\"")), 5);
    assert_eq!(remaining(cc("max-age=005, x=\"max-age=600\"")), 5);
}

#[test]
fn rfc9111_4_2_3_age_and_date_count() {
    let old = at(-20);
    let aged = stored(get(&response(200, &[(CACHE_CONTROL, "max-age=60"), (AGE, "15, 99"), (DATE, &old)])));
    assert_eq!(aged.fresh_until, now() + secs(40));
    assert_eq!((aged.created, aged.epoch), (now(), now() - secs(20)));

    let header = response(200, &[(CACHE_CONTROL, "max-age=60"), (AGE, "30")]);
    let facts = RequestFacts { response_delay: secs(5), ..RequestFacts::new(&Method::GET) };
    assert_eq!(remaining(decide(&facts, &header, &Rules::from(POLICY), now())), 25);

    let stale = response(200, &[(CACHE_CONTROL, "max-age=60"), (AGE, "60")]);
    assert_eq!(get(&stale), Decision::Refuse(Reason::AlreadyStale));
    let junk = response(200, &[(CACHE_CONTROL, "max-age=60"), (AGE, "soon"), (DATE, "never")]);
    assert_eq!(remaining(get(&junk)), 60);
}

#[test]
fn rfc9111_4_3_4_a_revalidation_counts_from_the_304() {
    let old = at(-500);
    let merged = response(200, &[(CACHE_CONTROL, "max-age=60"), (DATE, &old), (AGE, "7")]);
    assert_eq!(get(&merged), Decision::Refuse(Reason::AlreadyStale));
    let times = Times { date: Some(now()), age: Some(10) };
    let facts = RequestFacts { revalidated: Some(times), ..RequestFacts::new(&Method::GET) };
    assert_eq!(remaining(decide(&facts, &merged, &Rules::from(POLICY), now())), 50);
}

#[test]
fn rfc9111_4_2_4_stale_windows_close_where_revalidation_is_asked() {
    let windows = |value: &str| {
        let found = stored(cc(value));
        (found.stale_while_revalidate, found.stale_if_error)
    };
    assert_eq!(windows("max-age=9, stale-while-revalidate=30, stale-if-error=40"), (30, 40));
    for closing in ["must-revalidate", "proxy-revalidate"] {
        assert_eq!(windows(&format!("max-age=9, stale-while-revalidate=30, stale-if-error=40, {closing}")), (0, 0));
    }
    assert_eq!(windows("s-maxage=9, stale-while-revalidate=30, stale-if-error=40"), (30, 40));
    assert_eq!(windows("max-age=9, stale-while-revalidate=x, stale-if-error=-1"), (0, 0));
}

#[test]
fn rfc5861_a_zero_lifetime_with_a_stale_window_is_stored_stale() {
    let found = stored(cc("max-age=0, stale-while-revalidate=30"));
    assert_eq!((found.fresh_until, found.stale_while_revalidate), (now(), 30));
    let aged = response(200, &[(CACHE_CONTROL, "max-age=60, stale-while-revalidate=30"), (AGE, "70")]);
    assert_eq!(stored(get(&aged)).fresh_until, now() - secs(10));
    assert_eq!(cc("max-age=0"), Decision::Refuse(Reason::TtlZero));
}

#[test]
fn policy_clamps_as_cloudfront_does() {
    let policy = Ttl { min: secs(5), default: secs(20), max: secs(50) };
    let with = |fields: &[(HeaderName, &str)]| {
        remaining(decide(&RequestFacts::new(&Method::GET), &response(200, fields), &Rules::from(policy), now()))
    };
    let past = at(-5);
    assert_eq!(with(&[(CACHE_CONTROL, "max-age=1")]), 5);
    assert_eq!(with(&[(CACHE_CONTROL, "max-age=0")]), 5);
    assert_eq!(with(&[(EXPIRES, &past)]), 5);
    assert_eq!(with(&[(CACHE_CONTROL, "max-age=30")]), 30);
    assert_eq!(with(&[(CACHE_CONTROL, "s-maxage=600")]), 50);
    assert_eq!(with(&[]), 20);
    // The maximum is for what the origin says, not for the default.
    let policy = Ttl { default: secs(80), ..policy };
    let plain = response(200, &[]);
    assert_eq!(remaining(decide(&RequestFacts::new(&Method::GET), &plain, &Rules::from(policy), now())), 80);
    let window = response(200, &[(CACHE_CONTROL, "max-age=9, stale-if-error=600")]);
    let found = stored(decide(&RequestFacts::new(&Method::GET), &window, &Rules::from(policy), now()));
    assert_eq!(found.stale_if_error, 50);
}

#[test]
fn policy_of_zeros_stores_nothing() {
    let policy = Ttl { min: Duration::ZERO, default: Duration::ZERO, max: Duration::ZERO };
    for value in ["max-age=60", "s-maxage=60", "max-age=60, stale-while-revalidate=60"] {
        let header = response(200, &[(CACHE_CONTROL, value)]);
        let decision = decide(&RequestFacts::new(&Method::GET), &header, &Rules::from(policy), now());
        assert_eq!(decision, Decision::Refuse(Reason::TtlZero));
    }
}

#[test]
fn cookies_outside_the_key_need_explicit_freshness() {
    let facts = RequestFacts { unkeyed_cookies: true, ..RequestFacts::new(&Method::GET) };
    let plain = decide(&facts, &response(200, &[]), &Rules::from(POLICY), now());
    assert_eq!(plain, Decision::Refuse(Reason::UnkeyedCookies));
    let explicit = response(200, &[(CACHE_CONTROL, "max-age=60")]);
    assert_eq!(remaining(decide(&facts, &explicit, &Rules::from(POLICY), now())), 60);
}

#[test]
fn rfc9111_5_4_pragma_in_a_response_is_ignored() {
    let header = response(200, &[(PRAGMA, "no-cache"), (CACHE_CONTROL, "max-age=60")]);
    assert_eq!(remaining(get(&header)), 60);
    // Nor does it keep a response from having the policy's default.
    let alone = response(200, &[(PRAGMA, "no-cache")]);
    assert_eq!(get(&alone), get(&response(200, &[])));
    assert!(remaining(get(&alone)) > 0);
}

#[test]
fn meta_has_the_age_of_its_way() {
    let header = response(200, &[(CACHE_CONTROL, "max-age=60"), (AGE, "15")]);
    let meta = stored(get(&header)).into_meta(header);
    assert_eq!(meta.epoch(), now() - secs(15));
    assert_eq!((meta.created(), meta.fresh_sec()), (now(), 60));
}

#[test]
fn reasons_are_distinct_tokens() {
    let labels: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(labels.len(), Reason::ALL.len());
    assert!(labels.iter().all(|label| label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
}

proptest! {
    #[test]
    fn a_stored_response_stays_within_the_policy(
        cache_control in "(public|max-age=[0-9]{0,12}|s-maxage=[0-9]{0,5}|stale-if-error=[0-9]{0,9}|[ -~]{0,12}|,){0,5}",
        age in "[0-9]{0,12}", status in 100u16..600, min in 0u64..100, max in 0u64..1000,
    ) {
        let policy = Ttl { min: secs(min), default: secs(100), max: secs(max) };
        let header = response(status, &[(CACHE_CONTROL, cache_control.as_str()), (AGE, age.as_str())]);
        if let Decision::Store(found) = decide(&RequestFacts::new(&Method::GET), &header, &Rules::from(policy), now()) {
            let longest = secs(min.max(max).max(100));
            prop_assert!(found.fresh_until <= now() + longest);
            prop_assert!(found.fresh_until >= found.epoch);
            prop_assert!(found.epoch <= found.created);
            prop_assert!(u64::from(found.stale_if_error) <= max);
        }
    }

    #[test]
    fn odd_clocks_do_not_panic(seconds in 0u64..u64::from(u32::MAX), delay in 0u64..u64::from(u32::MAX)) {
        let header = response(200, &[(CACHE_CONTROL, "max-age=4294967295, stale-if-error=5"), (AGE, "4294967295")]);
        let facts = RequestFacts { response_delay: secs(delay), ..RequestFacts::new(&Method::GET) };
        let policy = Ttl { max: Duration::MAX, ..POLICY };
        let _ = decide(&facts, &header, &Rules::from(policy), NOW + secs(seconds));
    }
}
