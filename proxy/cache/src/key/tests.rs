use http::HeaderValue;
use http::header::{ACCEPT, COOKIE};
use pingora::cache::key::CacheHashKey;
use proptest::prelude::*;

use super::*;

/// Everything a key can be made of, owned.
#[derive(Debug, Clone, PartialEq)]
struct Parts {
    distribution: String,
    options: bool,
    scheme: Option<String>,
    host: Option<String>,
    path: String,
    query: Option<String>,
    accept: Option<Vec<String>>,
    cookies: Vec<String>,
    extra: Vec<(String, String)>,
}

impl Parts {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in self.accept.iter().flatten() {
            headers.append(ACCEPT, HeaderValue::from_str(value).unwrap());
        }
        for value in &self.cookies {
            headers.append(COOKIE, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn key(&self, query: &Selection, cookies: &Selection) -> Vec<u8> {
        let headers = self.headers();
        let method = if self.options { MethodClass::Options } else { MethodClass::Read };
        let mut key = KeyBuilder::new(&self.distribution, method);
        if let Some(scheme) = &self.scheme {
            key.scheme(scheme);
        }
        if let Some(host) = &self.host {
            key.host(host);
        }
        key.path(self.path.as_bytes()).query(self.query.as_deref(), query);
        if self.accept.is_some() {
            key.header(&ACCEPT, &headers);
        }
        key.cookies(&headers, cookies);
        for (name, value) in &self.extra {
            key.extra(name, value.as_bytes());
        }
        key.as_bytes().to_vec()
    }

    /// What must decide whether two keys are equal.
    fn meaning(&self, query: &Selection, cookies: &Selection) -> Self {
        let kept = filtered_cookies(&self.headers(), cookies);
        Self {
            query: filtered_query(self.query.as_deref(), query).map(Into::into),
            cookies: kept.iter().map(|value| value.to_str().unwrap().to_owned()).collect(),
            ..self.clone()
        }
    }
}

/// Short texts from few letters, separators among them: near misses are likely.
fn text() -> impl Strategy<Value = String> {
    "[ab&=;/,]{0,4}"
}

fn parts() -> impl Strategy<Value = Parts> {
    let cookie = "[ab$=; ]{0,6}";
    (
        ("[ab]{0,2}", any::<bool>(), prop::option::of("[ab]{0,1}"), prop::option::of("[ab]{0,2}")),
        (text(), prop::option::of(text()), prop::option::of(prop::collection::vec("[ab,]{0,2}", 0..3))),
        (prop::collection::vec(cookie, 0..3), prop::collection::vec((text(), text()), 0..2)),
    )
        .prop_map(|((distribution, options, scheme, host), (path, query, accept), (cookies, extra))| Parts {
            distribution,
            options,
            scheme,
            host,
            path,
            query,
            accept,
            cookies,
            extra,
        })
}

fn selection() -> impl Strategy<Value = Selection> {
    let names = prop::collection::vec("[ab]{0,2}", 0..3);
    prop_oneof![
        Just(Selection::None),
        Just(Selection::All),
        names.clone().prop_map(Selection::only),
        names.prop_map(Selection::except),
    ]
}

/// Takes a key apart: if that gives every part back, no two different part lists can have the same bytes.
fn take_apart(mut key: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut parts = Vec::new();
    while let Some((tag, rest)) = key.split_first() {
        let (length, rest) = rest.split_at(LENGTH);
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let (value, rest) = rest.split_at(length);
        parts.push((*tag, value.to_vec()));
        key = rest;
    }
    parts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn keys_are_equal_exactly_when_their_parts_are(
        a in parts(), b in parts(), query in selection(), cookies in selection(),
    ) {
        let same = a.meaning(&query, &cookies) == b.meaning(&query, &cookies);
        prop_assert_eq!(same, a.key(&query, &cookies) == b.key(&query, &cookies));
    }

    #[test]
    fn moving_one_byte_between_neighbours_changes_the_key(
        left in "[ab]{1,6}", right in "[ab]{0,6}", at in 0usize..6,
    ) {
        let whole = format!("{left}{right}");
        let at = at.min(whole.len());
        let key = |cut: usize| {
            let mut key = KeyBuilder::new(whole.get(..cut).unwrap(), MethodClass::Read);
            key.path(whole.get(cut..).unwrap().as_bytes());
            key.as_bytes().to_vec()
        };
        prop_assert_eq!(at == left.len(), key(at) == key(left.len()));
    }

    #[test]
    fn every_part_can_be_read_back(parts in parts()) {
        let (all, key) = (Selection::All, parts.key(&Selection::All, &Selection::All));
        let meaning = parts.meaning(&all, &all);
        let found = take_apart(&key);
        let value = |part: Part| found.iter().find(|(tag, _)| *tag == part as u8).map(|(_, value)| value.clone());
        prop_assert_eq!(value(Part::Distribution), Some(parts.distribution.clone().into_bytes()));
        prop_assert_eq!(value(Part::Path), Some(parts.path.clone().into_bytes()));
        prop_assert_eq!(value(Part::Host), parts.host.clone().map(String::into_bytes));
        prop_assert_eq!(value(Part::Query), meaning.query.map(String::into_bytes));
        prop_assert_eq!(value(Part::Cookies), meaning.cookies.first().cloned().map(String::into_bytes));
        prop_assert_eq!(found.iter().filter(|(tag, _)| *tag == Part::Extra as u8).count(), parts.extra.len());
    }

    #[test]
    fn what_is_kept_is_what_a_second_filter_keeps(parts in parts(), selection in selection()) {
        let once = filtered_query(parts.query.as_deref(), &selection);
        let twice = filtered_query(once.as_deref(), &selection);
        prop_assert_eq!(&once, &twice);
        let once = filtered_cookies(&parts.headers(), &selection);
        let again: HeaderMap = once.clone().map(|value| (COOKIE, value)).into_iter().collect();
        prop_assert_eq!(once, filtered_cookies(&again, &selection));
    }
}

#[test]
fn method_classes() {
    assert_eq!(MethodClass::of(&Method::GET), MethodClass::of(&Method::HEAD));
    assert_eq!(MethodClass::of(&Method::OPTIONS), Some(MethodClass::Options));
    assert_eq!(MethodClass::of(&Method::POST), None);
}

#[test]
fn host_case_does_not_count_but_absence_does() {
    let key = |host: Option<&str>| {
        let mut key = KeyBuilder::new("d", MethodClass::Read);
        if let Some(host) = host {
            key.host(host);
        }
        key.path(b"/");
        key.into_key().combined_bin()
    };
    assert_eq!(key(Some("A.Example")), key(Some("a.example")));
    assert_ne!(key(Some("")), key(None));
}

#[test]
fn a_header_is_absent_empty_or_in_lines() {
    let key = |values: &[&'static str]| {
        let headers: HeaderMap = values.iter().map(|value| (ACCEPT, HeaderValue::from_static(value))).collect();
        KeyBuilder::new("d", MethodClass::Read).header(&ACCEPT, &headers).as_bytes().to_vec()
    };
    let keys = [key(&[]), key(&[""]), key(&["", ""]), key(&["a,b"]), key(&["a", "b"]), key(&["ab"])];
    let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len());
}

#[test]
fn queries_are_filtered_raw_and_in_order() {
    let only = Selection::only(["b", "a"]);
    assert_eq!(filtered_query(Some("b=2&c=3&a=1&b"), &only).as_deref(), Some("b=2&a=1&b"));
    assert_eq!(filtered_query(Some("%61=1&A=1&c"), &only), None);
    let all = filtered_query(Some("a=1&b=2"), &only);
    assert!(matches!(all, Some(std::borrow::Cow::Borrowed("a=1&b=2"))));
    let except = Selection::except(["utm"]);
    assert_eq!(filtered_query(Some("utm=x&&q=1"), &except).as_deref(), Some("&q=1"));
    assert_eq!(filtered_query(Some(""), &Selection::All).as_deref(), Some(""));
    assert_eq!(filtered_query(None, &Selection::All), None);
    assert_eq!(filtered_query(Some("a=1"), &Selection::None), None);
}

#[test]
fn cookies_are_sorted_lenient_and_case_sensitive() {
    let headers = |lines: &[&'static str]| -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_static(line))).collect()
    };
    let value = |lines: &[&'static str], selection: &Selection| {
        filtered_cookies(&headers(lines), selection).map(|value| value.to_str().unwrap().to_owned())
    };
    let all = Selection::All;
    assert_eq!(value(&["b=2;a=1", " $Path=/; ; c"], &all).as_deref(), Some("$Path=/; a=1; b=2; c"));
    assert_eq!(value(&["a=2; a=1; a = 3"], &all).as_deref(), Some("a=2; a=1; a = 3"));
    let only = Selection::only(["id"]);
    assert_eq!(value(&["ID=1; id=2=\"x\"; other=3"], &only).as_deref(), Some("id=2=\"x\""));
    assert_eq!(value(&["ID=1"], &only), None);
    assert_eq!(value(&["a=1"], &Selection::None), None);
    for line in ["a=1", "$user=alice; a=1; b", "a=1; a=2"] {
        assert_eq!(forwarded_cookies(&headers(&[line]), &all), Forwarded::AsSent, "{line}");
    }
    for (line, sent) in
        [("b; a", "a; b"), ("a; ", "a"), ("a;b", "a; b"), ("a ; b", "a; b"), (";a", "a"), ("ab; a", "a; ab")]
    {
        let sent = Forwarded::As(HeaderValue::from_static(sent));
        assert_eq!(forwarded_cookies(&headers(&[line]), &all), sent, "{line}");
    }
    assert_eq!(forwarded_cookies(&headers(&["a", "b"]), &all), Forwarded::As(HeaderValue::from_static("a; b")));
    assert_eq!(forwarded_cookies(&headers(&["a=1; id=1"]), &only), Forwarded::As(HeaderValue::from_static("id=1")));
    assert_eq!(forwarded_cookies(&headers(&[" ;; "]), &all), Forwarded::Nothing);
}

#[test]
fn more_cookies_than_fit_on_the_stack_are_sorted_too() {
    let names: Vec<String> = (0..100).rev().map(|at| format!("c{at:03}={at}")).collect();
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, HeaderValue::from_str(&names.join("; ")).unwrap());
    let mut expected = names;
    expected.sort_unstable();
    assert_eq!(filtered_cookies(&headers, &Selection::All).unwrap().to_str().unwrap(), expected.join("; "));
}
