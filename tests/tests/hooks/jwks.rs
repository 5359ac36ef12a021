//! Key sets: jwt-auth with the keys that a server publishes, which rotates them, dies and lies.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::jwt::{self, Es256};
use edgeweir_tests::origin::{Origin, Reply, Step};
use edgeweir_tests::wait::until;
use serde_json::{Value, json};

const KEYS: &str = "origin = \"idp\"\npath = \"/keys?v=1\"";
const SETTINGS: &str = "jwks = \"login\"";

fn config(set: &str, binding: &str, settings: &str, hook: &str) -> String {
    format!(
        r#"
        [origins.main]
        url = "http://{{origin}}"
        [origins.idp]
        url = "http://{{idp}}/tenant"
        headers = {{ x-edge = "1" }}
        [jwks.login]
        {set}
        [hooks.jwt-auth]
        file = "{{hook:jwt-auth}}"
        {hook}
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        path = "*"
        cache_policy = "CachingDisabled"
        [[distributions.site.behaviors.hooks.viewer-request]]
        hook = "jwt-auth"
        {binding}
        [distributions.site.behaviors.hooks.viewer-request.settings]
        {settings}
    "#
    )
}

/// A site behind jwt-auth, and the server whose keys it trusts.
struct Site {
    edge: TestEdge,
    idp: Origin,
    _origin: Origin,
}

/// With a hook that is patient: who waits for what is the subject of two tests only.
async fn site(set: &str, answer: Reply) -> Site {
    site_with(set, "timeout = \"10s\"", answer).await
}

async fn site_with(set: &str, hook: &str, answer: Reply) -> Site {
    let origin = Origin::hello().await;
    let idp = Origin::start(move |_| answer.clone()).await;
    let edge = Setup::new(&config(set, "jwks = [\"login\"]", SETTINGS, hook))
        .set("origin", &origin.address())
        .set("idp", &idp.address())
        .start()
        .await;
    Site { edge, idp, _origin: origin }
}

impl Site {
    async fn status(&self, token: &str) -> u16 {
        self.edge.get_with("/t", &[("Authorization", &format!("Bearer {token}"))]).await.status
    }

    /// How often the set was fetched with this result.
    async fn refreshes(&self, result: &str) -> u64 {
        let line = format!("edgeweir_jwks_refreshes_total{{key_set=\"login\",result=\"{result}\"}} ");
        let page = self.edge.metrics().await;
        page.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
    }
}

fn claims() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    json!({"sub": "alice", "exp": now + 40 * 86_400})
}

fn published(keys: &[Value]) -> Reply {
    with(&[("content-type", "application/jwk-set+json")], keys)
}

fn with(headers: &[(&str, &str)], keys: &[Value]) -> Reply {
    Reply::new(200, headers, json!({ "keys": keys }).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_published_key_pass_and_the_keys_are_fetched_once_for_all() {
    let key = Es256::new();
    let site = site(KEYS, published(&[key.jwk("a")])).await;
    let (good, other) = (key.token_of("a", &claims()), Es256::new().token_of("a", &claims()));
    let all = (0..40).map(|_| site.status(&good));
    let statuses = futures_util::future::join_all(all).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(site.status(&other).await, 401, "another key under the same id");
    assert_eq!(site.status(&jwt::unsigned(&claims())).await, 401);
    assert_eq!(site.status(&key.token(&claims())).await, 200, "the id is not a must");
    let asked = site.idp.only_request();
    assert_eq!((asked.method(), asked.target()), ("GET", "/tenant/keys?v=1"));
    assert_eq!((asked.header("x-edge"), asked.header("authorization")), (Some("1"), None));
    assert_eq!((site.refreshes("ok").await, site.refreshes("failed").await), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_fetched_when_a_token_names_it_but_not_more_often_than_allowed() {
    let (old, new) = (Es256::new(), Es256::new());
    let site = site(KEYS, published(&[old.jwk("old")])).await;
    assert_eq!(site.status(&old.token_of("old", &claims())).await, 200);
    let (first, second) = (old.jwk("old"), new.jwk("new"));
    site.idp.answer(move |_| published(&[first.clone(), second.clone()]));
    // Less than `min_refresh` after the first fetch: nobody is asked.
    let token = new.token_of("new", &claims());
    assert_eq!(site.status(&token).await, 401);
    assert_eq!(site.idp.count(), 1);
    site.edge.advance(Duration::from_secs(11));
    assert_eq!(site.status(&token).await, 200);
    assert_eq!(site.status(&old.token_of("old", &claims())).await, 200);
    // Whatever ids are made up: one question each ten seconds.
    for turn in 0..3_u64 {
        for at in 0..20 {
            assert_eq!(site.status(&new.token_of(&format!("made-up-{at}"), &claims())).await, 401);
        }
        assert_eq!(site.idp.count(), usize::try_from(2 + turn).expect("few"));
        site.edge.advance(Duration::from_secs(11));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_taken_back_opens_nothing_after_max_refresh() {
    let (bad, good) = (Es256::new(), Es256::new());
    let site = site(KEYS, published(&[bad.jwk("bad"), good.jwk("good")])).await;
    assert_eq!(site.status(&bad.token_of("bad", &claims())).await, 200);
    let left = good.jwk("good");
    site.idp.answer(move |_| published(std::slice::from_ref(&left)));
    site.edge.advance(Duration::from_secs(3601));
    // Nobody has to ask for that: the edge looks each second.
    until("the keys are fetched again", || site.idp.count() == 2).await;
    until_status(&site, &bad.token_of("bad", &claims()), 401).await;
    assert_eq!(site.status(&good.token_of("good", &claims())).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn max_age_counts_between_the_bounds() {
    let cases = [
        (&[("cache-control", "max-age=120, private")][..], 120),
        (&[("cache-control", "max-age=120"), ("age", "60")], 60),
        (&[("cache-control", "no-store")], 30),
        (&[("cache-control", "max-age=1")], 30),
        (&[("cache-control", "max-age=86400")], 600),
        (&[], 600),
    ];
    futures_util::future::join_all(cases.map(|(fields, seconds)| asked_again_after(fields, seconds))).await;
}

/// Keys that come with these fields are fetched again after so many seconds, not sooner.
async fn asked_again_after(fields: &'static [(&str, &str)], seconds: u64) {
    let set = format!("{KEYS}\nmin_refresh = \"30s\"\nmax_refresh = \"10m\"");
    let origin = Origin::hello().await;
    let key = Es256::new();
    let jwk = key.jwk("a");
    let idp = Origin::start(move |_| with(fields, std::slice::from_ref(&jwk))).await;
    let edge = Setup::new(&config(&set, "jwks = [\"login\"]", SETTINGS, "timeout = \"10s\""))
        .set("origin", &origin.address())
        .set("idp", &idp.address())
        .frozen()
        .start()
        .await;
    let site = Site { edge, idp, _origin: origin };
    until_status(&site, &key.token_of("a", &claims()), 200).await;
    site.edge.advance(Duration::from_secs(seconds - 1));
    // Two looks of the edge, which come each second whatever its clock says.
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert_eq!(site.idp.count(), 1, "{fields:?}: too early");
    site.edge.advance(Duration::from_secs(1));
    until("the keys are fetched again", || site.idp.count() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_keys_stay_while_the_server_is_down_and_not_for_ever() {
    let key = Es256::new();
    let site = site(&format!("{KEYS}\nmax_stale = \"2h\""), published(&[key.jwk("a")])).await;
    let token = key.token_of("a", &claims());
    assert_eq!(site.status(&token).await, 200);
    site.idp.answer(|_| Reply::new(503, &[], "down"));
    site.edge.advance(Duration::from_secs(3601));
    until("the server was asked in vain", || site.idp.count() >= 2).await;
    assert_eq!(site.status(&token).await, 200);
    site.edge.advance(Duration::from_secs(7200));
    assert_eq!(site.status(&token).await, 503, "that there are no keys is not the viewer's fault");
    assert!(site.refreshes("failed").await >= 1);
    // As soon as it is back, all is well.
    let jwk = key.jwk("a");
    site.idp.answer(move |_| published(std::slice::from_ref(&jwk)));
    site.edge.advance(Duration::from_secs(11));
    until_status(&site, &token, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_key_set_changes_nothing() {
    let key = Es256::new();
    let site = site(KEYS, published(&[key.jwk("a")])).await;
    let token = key.token_of("a", &claims());
    assert_eq!(site.status(&token).await, 200);
    let evil = Es256::new();
    let long = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(300 << 10));
    let jwk = evil.jwk("evil").to_string();
    let secret = json!({"keys": [{"kty": "oct", "kid": "evil", "k": jwt::base64url([7; 32])}]});
    let lies = [
        Reply::new(200, &[], "<html>sign in</html>"),
        Reply::new(200, &[], "{\"keys\":[]}"),
        Reply::new(200, &[], long),
        Reply::new(200, &[], secret.to_string()),
        Reply::new(500, &[], format!("{{\"keys\":[{jwk}]}}")),
        Reply::new(302, &[("location", "http://127.0.0.1:9/")], ""),
        Reply::new(404, &[], format!("{{\"keys\":[{jwk}]}}")),
        Reply::new(200, &[("content-encoding", "gzip")], "not gzip"),
        // Cut short.
        Reply::raw(format!("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{{\"keys\":[{jwk}]}}")).then_close(),
    ];
    for (at, lie) in lies.into_iter().enumerate() {
        site.idp.answer(move |_| lie.clone());
        site.edge.advance(Duration::from_secs(11));
        let before = site.refreshes("failed").await;
        assert_eq!(site.status(&evil.token_of("evil", &claims())).await, 401, "{at}");
        assert_eq!(site.refreshes("failed").await, before + 1, "{at}");
        assert_eq!(site.status(&token).await, 200, "{at}");
    }
    assert_eq!(site.refreshes("ok").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_waits_longer_than_its_hook_may() {
    let key = Es256::new();
    let body = json!({"keys": [key.jwk("a")]}).to_string();
    let slow = [vec![Step::Pause(Duration::from_millis(1500))], Reply::new(200, &[], body).0].concat();
    let slow = Reply::script(slow);
    let site = site_with(KEYS, "timeout = \"100ms\"", slow).await;
    let token = key.token_of("a", &claims());
    let start = Instant::now();
    let statuses = futures_util::future::join_all((0..10).map(|_| site.status(&token))).await;
    assert!(start.elapsed() < Duration::from_millis(1300), "{:?}", start.elapsed());
    assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
    // The fetch goes on without them, and was one for all.
    until_status(&site, &token, 200).await;
    assert_eq!(site.idp.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_stay_over_a_reload() {
    let key = Es256::new();
    let site = site(KEYS, published(&[key.jwk("a")])).await;
    let token = key.token_of("a", &claims());
    assert_eq!(site.status(&token).await, 200);
    site.idp.answer(|_| Reply::new(500, &[], ""));
    let changed = config(KEYS, "jwks = [\"login\"]", "jwks = \"login\"\nleeway = 10", "timeout = \"10s\"");
    site.edge.reload(&changed).await.expect("a good config");
    assert_eq!(site.status(&token).await, 200);
    // Another place is another set.
    let moved = changed.replace("/keys?v=1", "/keys?v=2");
    site.edge.reload(&moved).await.expect("a good config");
    assert_eq!(site.status(&token).await, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_from_a_file_are_read_again_when_it_changes() {
    let (first, second) = (Es256::new(), Es256::new());
    let origin = Origin::hello().await;
    let setup = Setup::new(&config("file = \"keys.json\"", "jwks = [\"login\"]", SETTINGS, ""))
        .set("origin", &origin.address())
        .set("idp", "127.0.0.1:9");
    let file = setup.folder().join("keys.json");
    let secret = "a secret of thirty-two bytes, and";
    let oct = json!({"kty": "oct", "kid": "hs", "k": jwt::base64url(secret)});
    let text = |keys: &[Value]| json!({ "keys": keys }).to_string();
    std::fs::write(&file, text(&[first.jwk("a"), oct])).expect("a file");
    let site = Site { edge: setup.start().await, idp: Origin::hello().await, _origin: origin };
    assert_eq!(site.status(&first.token_of("a", &claims())).await, 200);
    assert_eq!(site.status(&jwt::hs256(secret, &claims())).await, 200, "only the edge reads the file");
    std::fs::write(&file, "{").expect("a file");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(site.status(&first.token_of("a", &claims())).await, 200, "the old keys stay");
    std::fs::write(&file, text(&[second.jwk("b")])).expect("a file");
    until_status(&site, &second.token_of("b", &claims()), 200).await;
    assert_eq!(site.status(&first.token_of("a", &claims())).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_uses_of_key_sets_are_errors_of_the_config() {
    let origin = Origin::hello().await;
    let refused = async |text: &str| {
        let setup = Setup::new(text).set("origin", &origin.address()).set("idp", "127.0.0.1:9");
        match setup.try_start().await {
            Err(words) => words,
            Ok(_) => panic!("it started: {text}"),
        }
    };
    let words = refused(&config(KEYS, "", SETTINGS, "")).await;
    assert!(
        words.contains("/jwks`: the binding does not grant the key set `login`: add `jwks = [\"login\"]`"),
        "{words}"
    );
    let words = refused(&config("file = \"none.json\"", "jwks = [\"login\"]", SETTINGS, "")).await;
    assert!(words.contains("key set `login`: cannot read"), "{words}");
    let other = config(KEYS, "jwks = [\"login\"]", "greeting = 1", "").replace("{hook:jwt-auth}", "{guest:no-op}");
    let words = refused(&other).await;
    assert!(words.contains("is granted `jwks`, but does not import `jwks`"), "{words}");
}

/// Until a token gets this status.
async fn until_status(site: &Site, token: &str, wanted: u16) {
    for _ in 0..100 {
        if site.status(token).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never {wanted}: {}", site.status(token).await);
}
