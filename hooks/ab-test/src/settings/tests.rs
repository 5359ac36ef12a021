use super::*;

const TWO: &str =
    r#"{"cookie":"ab","variants":[{"name":"a","weight":3},{"name":"off","weight":0},{"name":"b","weight":1}]}"#;

fn settings(json: &str) -> Settings {
    Settings::parse(json).expect("good settings")
}

#[test]
fn viewers_are_split_by_weight() {
    let settings = settings(TWO);
    let drawn: Vec<&str> = (0..8).map(|random| settings.draw(random).expect("a variant").name.as_str()).collect();
    assert_eq!(drawn, ["a", "a", "a", "b", "a", "a", "a", "b"]);
    assert!(settings.draw(u64::MAX).is_ok());
}

#[test]
fn a_known_name_keeps_its_variant() {
    let settings = settings(TWO);
    let name = |cookie: &str| settings.variant(cookie).map(|variant| variant.name.as_str());
    assert_eq!(name("b"), Some("b"));
    assert_eq!(name("off"), Some("off"), "weight 0 only draws nobody new");
    assert_eq!(name("c"), None);
    assert_eq!(name("A"), None);
    assert_eq!(name(""), None);
}

#[test]
fn the_cookie_has_its_attributes() {
    let with = |rest: &str, https: bool| {
        let json = format!(r#"{{"cookie":"ab","variants":[{{"name":"a","weight":1}}]{rest}}}"#);
        let settings = settings(&json);
        settings.set_cookie(settings.draw(0).expect("a variant"), https)
    };
    assert_eq!(with("", false), "ab=a; Max-Age=2592000; Path=/; SameSite=Lax");
    assert_eq!(with("", true), "ab=a; Max-Age=2592000; Path=/; SameSite=Lax; Secure");
    assert_eq!(
        with(r#","max_age":60,"path":"/shop","same_site":"strict","secure":false"#, true),
        "ab=a; Max-Age=60; Path=/shop; SameSite=Strict"
    );
    assert_eq!(
        with(r#","same_site":"none","secure":true"#, false),
        "ab=a; Max-Age=2592000; Path=/; SameSite=None; Secure"
    );
}

#[test]
fn a_prefix_is_not_doubled() {
    assert_eq!(prefixed("/b", "/shop").as_deref(), Some("/b/shop"));
    assert_eq!(prefixed("/b", "/b/shop"), None);
    assert_eq!(prefixed("/b", "/books").as_deref(), Some("/b/books"));
}

#[test]
fn wrong_settings_are_named() {
    let variants = r#""variants":[{"name":"a","weight":1}]"#;
    let of = |variants: &str| format!(r#"{{"cookie":"ab","variants":[{variants}]}}"#);
    let with = |rest: &str| format!(r#"{{"cookie":"ab",{variants},{rest}}}"#);
    let starts = [
        (format!("{{{variants}}}"), "settings: missing field `cookie`"),
        (format!(r#"{{"cookie":"a b",{variants}}}"#), "settings: cookie: `a b` is no name: 1 to 64 letters"),
        (of(""), "settings: variants: 0 variants: give 1 to 32"),
        (of(r#"{"name":"a;","weight":1}"#), "settings: variants[0]: `a;` is no name"),
        (of(r#"{"name":"a","weight":1},{"name":"a","weight":1}"#), "settings: variants[1]: there is a variant `a`"),
        (of(r#"{"name":"a","weight":0}"#), "settings: variants: all weights are 0"),
        (of(r#"{"name":"a"}"#), "settings: missing field `weight`"),
        (of(r#"{"name":"a","weight":1,"path_prefix":"b"}"#), "settings: variants[0]: path_prefix `b` must start"),
        (of(r#"{"name":"a","weight":1,"path_prefix":"/b/"}"#), "settings: variants[0]: path_prefix `/b/` must start"),
        (with(r#""header":"x y""#), "settings: header: `x y` is no header name"),
        (with(r#""max_age":99999999"#), "settings: max_age: 99999999 seconds, at most 34560000"),
        (with(r#""path":"/a;b""#), "settings: path: `/a;b` is no path"),
        (with(r#""same_site":"none""#), "settings: same_site: `none` needs `secure = true`"),
        (with(r#""same_site":"Lax""#), "settings: unknown variant `Lax`"),
        (with(r#""sticky":true"#), "settings: unknown field `sticky`"),
    ];
    for (json, start) in starts {
        let error = Settings::parse(&json).expect_err(&json);
        assert!(error.message().starts_with(start), "{json}: {error}");
    }
}
