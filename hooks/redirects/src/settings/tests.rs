use super::*;

const DEMO: &str = r#"{"keep_query":false,"prefixes":[{"from":"/blog/","status":302,"to":"https://blog.test/archive"},{"from":"/shop","to":"/store/"}],"status":308,"table":"/blog/best /winner\n/gone https://x.test/y 307\n"}"#;

fn found(path: &str) -> Option<(u16, String)> {
    let settings = Settings::parse(DEMO).expect("good settings");
    let found = settings.find(path).expect("a good line");
    found.map(|found| (found.status, found.location(None)))
}

fn to(status: u16, location: &str) -> Option<(u16, String)> {
    Some((status, location.to_owned()))
}

#[test]
fn the_table_comes_before_the_prefixes() {
    assert_eq!(found("/blog/best"), to(308, "/winner"));
    assert_eq!(found("/blog/second"), to(302, "https://blog.test/archive/second"));
    assert_eq!(found("/gone"), to(307, "https://x.test/y"));
}

#[test]
fn a_prefix_is_whole_segments() {
    assert_eq!(found("/blog"), to(302, "https://blog.test/archive"));
    assert_eq!(found("/blogger"), None);
    assert_eq!(found("/shop"), to(308, "/store/"));
    assert_eq!(found("/shop/a"), to(308, "/store/a"));
    assert_eq!(found("/"), None);
}

#[test]
fn spaces_and_an_absent_table_are_fine() {
    let settings = Settings::parse("{ \"table\" : \"/a /b\\n/c /d\" }").expect("good settings");
    assert!(settings.keep_query);
    let found = settings.find("/c").expect("a good line").expect("found");
    assert_eq!((found.status, found.location(Some("q"))), (301, "/d?q".to_owned()));
    assert!(Settings::parse("{}").expect("good settings").find("/").expect("no line").is_none());
}

#[test]
fn wrong_settings_are_named() {
    let prefix = |from: &str, to: &str| format!(r#"{{"prefixes":[{{"from":"{from}","to":"{to}"}}]}}"#);
    let starts = [
        (r#"{"status":303}"#.to_owned(), "settings: status: 303 is no redirect: choose 301, 302, 307 or 308"),
        (r#"{"tables":""}"#.to_owned(), "settings: unknown field `tables`"),
        (r#"{"prefixes":[{"table":"x"}]}"#.to_owned(), "settings: unknown field `table`"),
        (r#"{"table":7}"#.to_owned(), "settings: invalid type: integer"),
        (prefix("old", "/new"), "settings: prefixes[0].from: `old` is no path"),
        (prefix("/old?x", "/new"), "settings: prefixes[0].from: `/old?x` is no path"),
        (prefix("/old", "//evil.test"), "settings: prefixes[0].to: target `//evil.test` begins with `//`"),
        (prefix("/old", "/new?a"), "settings: prefixes[0].to: `/new?a` has a query"),
        (prefix("/old", "/old/er"), "settings: prefixes[0].to: `/old/er` is below `/old`"),
        (prefix("/", "/all"), "settings: prefixes[0].to: `/all` is below `/`"),
    ];
    for (json, start) in starts {
        let error = Settings::parse(&json).expect_err(&json);
        assert!(error.message().starts_with(start), "{json}: {error}");
    }
}
