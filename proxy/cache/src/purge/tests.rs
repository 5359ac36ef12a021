use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::{KeyBuilder, MethodClass, Selection};

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
}

fn object(distribution: &str, host: Option<&str>, path_and_query: &str) -> Identity {
    let (path, query) = path_and_query.split_once('?').map_or((path_and_query, None), |(p, q)| (p, Some(q)));
    let mut key = KeyBuilder::new(distribution, MethodClass::Read);
    key.scheme("https").path(path.as_bytes()).query(query, &Selection::All);
    if let Some(host) = host {
        key.host(host);
    }
    Identity::of_key(key.as_bytes())
}

fn host(distribution: &str, host: &str, target: Target) -> Item {
    Item { scope: Scope::Host { distribution: distribution.to_owned(), host: host.to_owned() }, target }
}

fn within(distribution: &str, target: Target) -> Item {
    Item { scope: Scope::Distribution(distribution.to_owned()), target }
}

fn exact(text: &str) -> Target {
    Target::Exact(text.to_owned())
}

fn prefix(text: &str) -> Target {
    Target::Prefix(text.to_owned())
}

fn tag(text: &str) -> Target {
    Target::Tag(text.to_owned())
}

fn tags(value: &str) -> Tags {
    let name = HeaderName::from_static("cache-tag");
    let mut headers = http::HeaderMap::new();
    headers.insert(&name, HeaderValue::from_str(value).unwrap());
    Tags::of(&headers, &[name], [])
}

#[test]
fn each_target_takes_its_objects_and_no_others() {
    let (none, red) = (Tags::default(), tags("Red, round"));
    let shop = object("shop", Some("a.test:8443"), "/list/1?x=2");
    let shared = object("shop", None, "/list/1?x=2");
    for (item, own, shared_too) in [
        (host("shop", "a.test", exact("/list/1?x=2")), true, true),
        (host("shop", "A.test:80", exact("/list/1?x=2")), true, true),
        (host("shop", "b.test", exact("/list/1?x=2")), false, true),
        (host("blog", "a.test", exact("/list/1?x=2")), false, false),
        (within("shop", exact("/list/1?x=2")), true, true),
        (within("shop", exact("/list/1")), false, false),
        (within("shop", exact("/list/1?x=22")), false, false),
        (within("shop", prefix("/list/")), true, true),
        (within("shop", prefix("/list/1?x=2")), true, true),
        (within("shop", prefix("/list/1?x=22")), false, false),
        (within("shop", prefix("/List/")), false, false),
        (within("shop", prefix("")), true, true),
        (host("shop", "a.test", prefix("")), true, true),
        (host("shop", "b.test", prefix("/")), false, true),
        (Item { scope: Scope::Everything, target: prefix("") }, true, true),
        (Item { scope: Scope::Everything, target: tag("RED") }, true, true),
        (within("shop", tag(" round ")), true, true),
        (within("blog", tag("red")), false, false),
        (within("shop", tag("re")), false, false),
    ] {
        let probe = Probe::new(std::slice::from_ref(&item));
        assert_eq!(probe.matches(&shop, &red), own, "{item:?}");
        assert_eq!(probe.matches(&shared, &red), shared_too, "shared: {item:?}");
        if matches!(item.target, Target::Tag(_)) {
            assert!(!probe.matches(&shop, &none), "no tags: {item:?}");
        }
    }
}

#[test]
fn only_what_was_fetched_before_is_purged() {
    let (purges, none) = (Purges::default(), Tags::default());
    let page = object("shop", None, "/a");
    assert_eq!(purges.judge(&page, &none, 0), Judgement::Untouched(0));
    let first = purges.purge(&[within("shop", exact("/a"))], Mode::Hard, at(1));
    assert_eq!((first, purges.generation()), (1, 1));
    assert_eq!(purges.judge(&page, &none, 0), Judgement::Gone);
    assert_eq!(purges.judge(&page, &none, 1), Judgement::Untouched(1));
    assert_eq!(purges.judge(&object("shop", None, "/b"), &none, 0), Judgement::Untouched(1));
    let second = purges.purge(&[within("shop", exact("/a"))], Mode::Soft, at(2));
    assert_eq!(purges.judge(&page, &none, first), Judgement::Stale(at(2)));
    assert_eq!(purges.judge(&page, &none, 0), Judgement::Gone, "the hard one still counts");
    assert_eq!(purges.judge(&page, &none, second), Judgement::Untouched(2));
}

#[test]
fn a_full_log_purges_too_much_and_never_too_little() {
    let (purges, none) = (Purges::with_room(8), Tags::default());
    let page = |number: u64| object("shop", None, &format!("/{number}"));
    for number in 1..=100 {
        purges.purge(&[within("shop", exact(&format!("/{number}")))], Mode::Hard, at(number));
        assert!(purges.entries() <= 8);
        for purged in 1..=number {
            assert_eq!(purges.judge(&page(purged), &none, purged - 1), Judgement::Gone);
        }
        assert_eq!(purges.judge(&page(number), &none, number), Judgement::Untouched(number));
    }
    assert!(purges.folds() > 10);
    // What was compared with the log lately is not touched.
    assert_eq!(purges.judge(&page(500), &none, 98), Judgement::Untouched(100));
    assert_eq!(purges.judge(&page(500), &none, 1), Judgement::Gone);
}

#[test]
fn an_object_with_too_many_tags_goes_with_any() {
    let many = (0..1_000).map(|number| format!("t{number}")).collect::<Vec<_>>().join(",");
    let (few, many) = (tags("a b,c"), tags(&many));
    let purges = Purges::default();
    let page = object("shop", None, "/a");
    purges.purge(&[within("shop", exact("/x"))], Mode::Hard, at(1));
    assert_eq!(purges.judge(&page, &many, 0), Judgement::Untouched(1));
    purges.purge(&[within("shop", tag("t999"))], Mode::Hard, at(1));
    assert_eq!(purges.judge(&page, &many, 0), Judgement::Gone);
    assert_eq!(purges.judge(&page, &few, 0), Judgement::Untouched(2));
    assert!(many.weight() < 100);
}

proptest! {
    /// The log against a list of all purges, compared one by one.
    #[test]
    fn the_log_agrees_with_a_list(
        purged in prop::collection::vec((0u8..4, "(/[ab]{0,2}){1,3}", 0usize..2, any::<bool>()), 1..30),
        asked in prop::collection::vec(("(/[ab]{0,2}){1,3}", 0usize..2, 0u64..30), 1..20),
    ) {
        let names = ["shop", "blog"];
        let purges = Purges::default();
        let mut list = Vec::new();
        for (kind, text, which, hard) in purged {
            let target = match kind {
                0 => exact(&text),
                1 => prefix(&text),
                2 => tag(&text),
                _ => prefix(""),
            };
            let mode = if hard { Mode::Hard } else { Mode::Soft };
            let generation = purges.purge(&[within(names[which], target.clone())], mode, at(7));
            list.push((generation, which, target, mode));
        }
        let latest = purges.generation();
        for (text, which, since) in asked {
            let about = |target: &Target| match target {
                Target::Exact(found) => *found == text,
                Target::Prefix(found) => text.starts_with(found.as_str()),
                Target::Tag(found) => found == "/a/b",
            };
            let newer: Vec<Mode> = list
                .iter()
                .filter(|(generation, found, target, _)| *generation > since && *found == which && about(target))
                .map(|(_, _, _, mode)| *mode)
                .collect();
            let expected = if newer.contains(&Mode::Hard) {
                Judgement::Gone
            } else if newer.is_empty() {
                Judgement::Untouched(latest)
            } else {
                Judgement::Stale(at(7))
            };
            let found = purges.judge(&object(names[which], None, &text), &tags("/a/b"), since);
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn tags_of_a_304_join_those_of_the_object() {
    let joined = tags("a b").joined(&tags("b,c"));
    assert_eq!(joined, tags("a b c"));
    assert_eq!((tags("a").joined(&Tags::default()), Tags::default().joined(&tags("a"))), (tags("a"), tags("a")));
    let many: String = (0..300).map(|n| format!("t{n} ")).collect();
    assert!(tags("a").joined(&tags(&many)).too_many() && tags(&many).joined(&tags("a")).too_many());
}
