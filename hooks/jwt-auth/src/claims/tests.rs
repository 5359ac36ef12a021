use proptest::prelude::*;

use super::*;

const NOW: Duration = Duration::from_secs(1_000);

fn policy() -> Policy<'static> {
    Policy {
        keys: Vec::new(),
        jwks: None,
        issuer: None,
        audience: &[],
        scopes: &[],
        leeway: 0,
        require_exp: true,
        cookie: None,
        query: None,
        claims: Vec::new(),
        strip_authorization: false,
        share_cache: false,
        realm: "edge",
    }
}

fn claims(json: &str) -> Map<String, Value> {
    crate::json::object(json.as_bytes()).expect("an object")
}

fn problem(policy: &Policy<'_>, json: &str) -> Option<&'static str> {
    match check(policy, &claims(json), NOW) {
        Ok(()) => None,
        Err(Refusal::InvalidToken(problem)) => Some(problem),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn times_are_checked() {
    let cases = [
        (r#"{"exp":1001}"#, None),
        (r#"{"exp":1000.5}"#, None),
        (r#"{"exp":1000}"#, Some("the token has expired")),
        (r#"{"exp":-1}"#, Some("the token has expired")),
        (r#"{}"#, Some("the token has no expiry")),
        (r#"{"exp":"1001"}"#, Some("a time in the token is not a number")),
        (r#"{"exp":null}"#, Some("a time in the token is not a number")),
        (r#"{"exp":1001,"nbf":1000}"#, None),
        (r#"{"exp":1002,"nbf":1001}"#, Some("the token is not valid yet")),
        (r#"{"exp":1002,"iat":1001}"#, Some("the token is from the future")),
        (r#"{"exp":1002,"iat":[1]}"#, Some("a time in the token is not a number")),
        (r#"{"exp":1e300}"#, None),
    ];
    for (json, expected) in cases {
        assert_eq!(problem(&policy(), json), expected, "{json}");
    }
}

#[test]
fn clocks_may_differ_by_the_leeway() {
    let policy = Policy { leeway: 10, ..policy() };
    assert_eq!(problem(&policy, r#"{"exp":991,"nbf":1010,"iat":1010}"#), None);
    assert!(problem(&policy, r#"{"exp":990}"#).is_some());
    assert!(problem(&policy, r#"{"exp":2000,"nbf":1011}"#).is_some());
    assert!(problem(&policy, r#"{"exp":2000,"iat":1011}"#).is_some());
}

#[test]
fn the_expiry_may_be_optional() {
    let policy = Policy { require_exp: false, ..policy() };
    assert_eq!(problem(&policy, "{}"), None);
    assert!(problem(&policy, r#"{"exp":999}"#).is_some(), "but not ignored");
}

#[test]
fn issuer_and_audience_are_checked() {
    let audience = ["shop".to_owned(), "api".to_owned()];
    let policy = Policy { issuer: Some("https://id.example"), audience: &audience, require_exp: false, ..policy() };
    let issuer = Some("the token has another issuer");
    let other = Some("the token is for another audience");
    let cases = [
        (r#"{"iss":"https://id.example","aud":"api"}"#, None),
        (r#"{"iss":"https://id.example","aud":["x","shop"]}"#, None),
        (r#"{"iss":"https://id.example"}"#, other),
        (r#"{"iss":"https://id.example","aud":[]}"#, other),
        (r#"{"iss":"https://id.example","aud":["x",1]}"#, other),
        (r#"{"iss":"https://id.example","aud":"API"}"#, other),
        (r#"{"iss":"https://id.example/","aud":"api"}"#, issuer),
        (r#"{"iss":["https://id.example"],"aud":"api"}"#, issuer),
        (r#"{"aud":"api"}"#, issuer),
    ];
    for (json, expected) in cases {
        assert_eq!(problem(&policy, json), expected, "{json}");
    }
}

#[test]
fn one_of_the_scopes_is_enough() {
    let scopes = ["read:shop".to_owned(), "admin".to_owned()];
    let policy = Policy { scopes: &scopes, require_exp: false, ..policy() };
    let lacks = Err(Refusal::InsufficientScope);
    for (json, expected) in [
        (r#"{"scope":"openid read:shop"}"#, Ok(())),
        (r#"{"scp":["openid","admin"]}"#, Ok(())),
        (r#"{"scp":"admin"}"#, Ok(())),
        (r#"{"scope":"read:shops"}"#, lacks),
        (r#"{"scope":"","scp":"admin"}"#, lacks),
        (r#"{"scope":1}"#, lacks),
        ("{}", lacks),
    ] {
        assert_eq!(check(&policy, &claims(json), NOW), expected, "{json}");
    }
    let late = check(&policy, &claims(r#"{"scope":"admin","exp":1}"#), NOW);
    assert_eq!(late, Err(Refusal::InvalidToken("the token has expired")));
}

#[test]
fn claims_become_headers() {
    let policy = Policy {
        claims: vec![("admin", "x-admin"), ("roles", "x-roles"), ("sub", "x-user"), ("tenant", "x-tenant")],
        ..policy()
    };
    let passed = headers(&policy, &claims(r#"{"sub":"Zoë","roles":["a","b\n"],"admin":true,"tenant":null}"#));
    assert_eq!(
        passed.expect("no refusal"),
        [
            ("x-admin", Some("true".to_owned())),
            ("x-roles", Some(r#"["a","b\n"]"#.to_owned())),
            ("x-user", Some("Zoë".to_owned())),
            ("x-tenant", None),
        ]
    );
    let absent = headers(&policy, &claims("{}")).expect("no refusal");
    assert!(absent.iter().all(|(_, value)| value.is_none()) && absent.len() == 4, "each is removed");
}

#[test]
fn values_that_would_change_on_the_way_are_refused() {
    let policy = Policy { claims: vec![("sub", "x-user")], ..policy() };
    for json in [
        r#"{"sub":"a\r\nx-admin: 1"}"#,
        r#"{"sub":"a\u0000"}"#,
        r#"{"sub":"a\tb"}"#,
        r#"{"sub":" admin"}"#,
        r#"{"sub":"admin "}"#,
        r#"{"sub":"\u007f"}"#,
        r#"{"sub":"\u0085"}"#,
        r#"{"sub":["\u0085"]}"#,
    ] {
        let refusal = headers(&policy, &claims(json)).expect_err(json);
        assert_eq!(refusal, Refusal::InvalidToken("a claim cannot be passed on as a header"));
    }
}

proptest! {
    /// Whatever a claim is, what is passed on is a header value, and a string arrives as it was.
    #[test]
    fn what_is_passed_on_is_a_header_value(sub in ".{0,16}") {
        let policy = Policy { claims: vec![("sub", "x-user")], ..policy() };
        let mut claims = Map::new();
        claims.insert("sub".to_owned(), Value::String(sub.clone()));
        if let Ok(passed) = headers(&policy, &claims) {
            let value = passed[0].1.clone().expect("a value");
            prop_assert!(edgeweir_sdk::http::HeaderValue::from_str(&value).is_ok());
            prop_assert_eq!(value, sub);
        }
    }
}
