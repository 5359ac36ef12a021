//! Several edges with one redis-server: shared quotas and keys, divided rates, and what happens without the server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::Origin;
use edgeweir_tests::process::admin_with;
use edgeweir_tests::redis::Redis;
use serde_json::{Value, json};

use crate::support::{KEY, keyed_site};

fn config(plan: &str, state: &str) -> String {
    let server = "[state]\nbackend = \"redis\"\nurl = \"{redis}\"";
    format!("{server}\n{state}\n{}", keyed_site("{origin}", plan))
}

async fn edge(config: &str, origin: &Origin, redis: &Redis) -> TestEdge {
    Setup::new(config).set("origin", &origin.address()).set("redis", &redis.url()).start().await
}

async fn status(edge: &TestEdge, key: &str) -> u16 {
    edge.get_with("/t", &[("X-Api-Key", key)]).await.status
}

/// Asks until the quota refuses; gives how many got through.
async fn drain(edge: &TestEdge) -> usize {
    let mut admitted = 0;
    for _ in 0..100_000 {
        match status(edge, KEY).await {
            200 => admitted += 1,
            429 => return admitted,
            other => panic!("{other}"),
        }
    }
    panic!("the quota has no end");
}

/// Waits until something is so, for ten seconds.
async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    for _ in 0..200 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not in time: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_edges_share_a_quota_exactly() {
    let (origin, redis) = (Origin::hello().await, Redis::start().await);
    let config = config("quota = { limit = 600, period = \"MONTH\", lease = 20 }", "");
    let mut edges = Vec::new();
    for _ in 0..3 {
        edges.push(Arc::new(edge(&config, &origin, &redis).await));
    }
    let viewers: Vec<_> = (0..12)
        .map(|nth| {
            let edge = Arc::clone(&edges[nth % 3]);
            tokio::spawn(async move { drain(&edge).await })
        })
        .collect();
    let mut sum = 0;
    for viewer in viewers {
        sum += viewer.await.expect("a viewer");
    }
    // What the edges have left comes back when they stop.
    assert!(sum <= 600 && sum + 60 >= 600, "{sum}");
    for edge in edges.drain(1..) {
        assert!(Arc::into_inner(edge).expect("nobody else has it").shutdown().await);
    }
    // A limit that was reached is asked for again.
    let last = edges.pop().expect("one is left");
    until("what came back is found", async || {
        sum += drain(&last).await;
        sum == 600
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_shared_within_a_second() {
    let (origin, redis) = (Origin::hello().await, Redis::start().await);
    let config = config("quota = { limit = 600, period = \"MONTH\" }", "");
    let (one, two) = (edge(&config, &origin, &redis).await, edge(&config, &origin, &redis).await);
    let call = async |edge: &TestEdge, method: &str, path: &str, body: Value| -> Value {
        let answer = admin_with(&edge.admin_socket(), method, path, body.to_string().as_bytes()).await;
        assert!(answer.status < 300, "{}", answer.text());
        serde_json::from_str(&answer.text()).expect("JSON")
    };
    let made = call(&one, "POST", "/v1/keys", json!({ "name": "acme", "plans": ["basic"] })).await;
    let (id, value) = (made["id"].as_str().expect("an id"), made["value"].as_str().expect("a value"));
    assert_eq!(status(&one, value).await, 200);
    let start = Instant::now();
    until("the other edge knows it", async || status(&two, value).await == 200).await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    // Rotated on one, disabled on the other.
    let rotated = call(&two, "POST", &format!("/v1/keys/{id}/rotate"), json!({ "overlap_seconds": 0 })).await;
    let new = rotated["value"].as_str().expect("a value");
    assert_eq!((status(&two, value).await, status(&two, new).await), (403, 200));
    until("the first edge knows it", async || status(&one, new).await == 200 && status(&one, value).await == 403).await;
    call(&one, "PATCH", &format!("/v1/keys/{id}"), json!({ "enabled": false })).await;
    until("it is disabled everywhere", async || status(&two, new).await == 403).await;
    // A value is one key's, whoever gives it.
    let wish = json!({ "name": "x", "value": "a-value-of-my-own-0123456789" });
    call(&one, "POST", "/v1/keys", wish.clone()).await;
    let answer = admin_with(&two.admin_socket(), "POST", "/v1/keys", wish.to_string().as_bytes()).await;
    assert_eq!(answer.status, 409, "{}", answer.text());
    call(&two, "DELETE", &format!("/v1/keys/{id}"), Value::Null).await;
    let list = call(&one, "GET", "/v1/keys", Value::Null).await;
    assert_eq!(list["keys"].as_array().map(Vec::len), Some(2), "{list}");
    let usage = one.admin("GET", "/v1/usage?format=csv").await.text();
    assert!(usage.contains(&format!(",basic,{id},")) && !usage.contains(value), "{usage}");
    // The next edge knows all of them from its start.
    let three = edge(&config, &origin, &redis).await;
    assert_eq!(status(&three, "a-value-of-my-own-0123456789").await, 403, "it has no plan");
    assert!(three.metric("edgeweir_state_keys", &[]).await > 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_key_by_two_edges_do_not_undo_each_other() {
    let (origin, redis) = (Origin::hello().await, Redis::start().await);
    let config = config("quota = { limit = 600, period = \"MONTH\" }", "");
    let (one, two) = (edge(&config, &origin, &redis).await, edge(&config, &origin, &redis).await);
    let wish = json!({ "name": "acme", "plans": ["basic"] }).to_string();
    let made = admin_with(&one.admin_socket(), "POST", "/v1/keys", wish.as_bytes()).await;
    let made: Value = serde_json::from_str(&made.text()).expect("JSON");
    let path = format!("/v1/keys/{}", made["id"].as_str().expect("an id"));
    // As whoever is told to try again does.
    let change = async |edge: &TestEdge, body: Value| {
        for _ in 0..100 {
            match admin_with(&edge.admin_socket(), "PATCH", &path, body.to_string().as_bytes()).await {
                answer if answer.status == 409 => assert!(answer.text().contains("try again"), "{}", answer.text()),
                answer => return assert_eq!(answer.status, 200, "{}", answer.text()),
            }
        }
        panic!("never done: {body}");
    };
    for round in 0..40 {
        let (enabled, name) = (round % 2 == 1, format!("acme {round}"));
        tokio::join!(change(&one, json!({ "enabled": enabled })), change(&two, json!({ "name": name })));
        let key: Value = serde_json::from_str(&one.admin("GET", &path).await.text()).expect("JSON");
        assert_eq!((&key["enabled"], &key["name"]), (&json!(enabled), &json!(name)), "{round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_server_the_policy_counts_and_then_it_is_exact_again() {
    for (policy, meanwhile) in [("closed", 503), ("open", 200)] {
        let (origin, mut redis) = (Origin::hello().await, Redis::start().await);
        let plan = "quota = { limit = 60, period = \"MONTH\", lease = 4 }";
        let state = format!("on_store_failure = \"{policy}\"\nwait = \"2s\"");
        let edge = edge(&config(plan, &state), &origin, &redis).await;
        for _ in 0..10 {
            assert_eq!(status(&edge, KEY).await, 200);
        }
        redis.kill();
        // The lease first, then the policy.
        let (mut leased, mut without) = (0, 0);
        for _ in 0..15 {
            let start = Instant::now();
            match status(&edge, KEY).await {
                200 if without == 0 && leased < 4 => leased += 1,
                other if other == meanwhile => without += 1,
                other => panic!("{policy}: {other}"),
            }
            assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        }
        assert!(edge.admin("GET", "/readyz").await.text().contains("state store: "));
        redis.run().await;
        until("it is back", async || edge.metric("edgeweir_state_up", &[]).await > 0.5).await;
        assert_eq!(edge.admin("GET", "/readyz").await.text(), "ready\n");
        let before = 10 + leased + if meanwhile == 200 { without } else { 0 };
        let sum = before + drain(&edge).await;
        // A lease whose answer the kill cut off is lost, as after a crash.
        assert!(sum <= 60 && sum + 4 >= 60, "{policy}: {sum}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgets_is_named() {
    let (origin, mut redis) = (Origin::hello().await, Redis::forgetful().await);
    let edge = edge(&config("quota = { limit = 60, period = \"MONTH\", lease = 4 }", ""), &origin, &redis).await;
    assert_eq!(status(&edge, KEY).await, 200);
    let ready = async || edge.admin("GET", "/readyz").await.text();
    assert!(ready().await.contains("no append-only file"), "{}", ready().await);
    let wish = json!({ "name": "acme", "plans": ["basic"] }).to_string();
    let made = admin_with(&edge.admin_socket(), "POST", "/v1/keys", wish.as_bytes()).await.text();
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let value = made["value"].as_str().expect("a value");
    assert_eq!(status(&edge, value).await, 200);
    redis.kill();
    redis.run().await;
    until("the loss is named", async || {
        status(&edge, KEY).await;
        ready().await.contains("has lost what it knew")
    })
    .await;
    assert_eq!(status(&edge, value).await, 200, "a key that was known is known still");
    redis.say("CONFIG SET maxmemory 100mb").await;
    redis.say("CONFIG SET maxmemory-policy allkeys-lru").await;
    redis.kill();
    redis.run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_emptied_while_it_runs_takes_no_key() {
    let (origin, redis) = (Origin::hello().await, Redis::start().await);
    let config = config("quota = { limit = 60, period = \"MONTH\", lease = 4 }", "");
    let (one, two) = (edge(&config, &origin, &redis).await, edge(&config, &origin, &redis).await);
    let make = async |name: &str| -> (String, String) {
        let wish = json!({ "name": name, "plans": ["basic"] }).to_string();
        let made = admin_with(&one.admin_socket(), "POST", "/v1/keys", wish.as_bytes()).await.text();
        let made: Value = serde_json::from_str(&made).expect("JSON");
        (made["id"].as_str().expect("an id").to_owned(), made["value"].as_str().expect("a value").to_owned())
    };
    let (_, old) = make("old").await;
    until("both know it", async || status(&one, &old).await == 200 && status(&two, &old).await == 200).await;
    redis.say("FLUSHALL").await;
    for edge in [&one, &two] {
        until("the loss is named", async || {
            edge.admin("GET", "/readyz").await.text().contains("has lost what it knew")
        })
        .await;
        assert_eq!(status(edge, &old).await, 200, "a key that was known is known still");
    }
    let (id, new) = make("new").await;
    until("both know it", async || status(&one, &new).await == 200 && status(&two, &new).await == 200).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for edge in [&one, &two] {
        assert_eq!((status(edge, &old).await, status(edge, &new).await), (200, 200));
        assert!(edge.admin("GET", "/readyz").await.text().contains("has lost what it knew"), "it stays named");
    }
    let gone = admin_with(&two.admin_socket(), "DELETE", &format!("/v1/keys/{id}"), b"").await;
    assert_eq!(gone.status, 200, "{}", gone.text());
    until("it is gone", async || status(&one, &new).await == 403).await;
    assert_eq!(status(&one, &old).await, 200);
    // An edge that starts now has what the server has.
    assert_eq!(status(&edge(&config, &origin, &redis).await, &old).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_ahead_harms_no_other_day() {
    let (origin, redis) = (Origin::hello().await, Redis::start().await);
    let edge = edge(&config("quota = { limit = 6, period = \"DAY\", lease = 2 }", ""), &origin, &redis).await;
    let day = Duration::from_secs(86_400);
    assert_eq!(status(&edge, KEY).await, 200);
    // Wrong for longer than counts are kept.
    for wrong in 0..12 {
        edge.clock().be_ahead(day * (20_000 + wrong));
        assert_eq!(status(&edge, KEY).await, 200, "{wrong}");
    }
    edge.clock().be_ahead(Duration::ZERO);
    assert_eq!(status(&edge, KEY).await, 429, "nobody knows any more what was leased today");
    for days in 1..12 {
        edge.clock().be_ahead(day * days);
        assert_eq!(drain(&edge).await, 6, "{days}");
    }
    for back in [11, 9, 10, 20_011] {
        edge.clock().be_ahead(day * back);
        let more = drain(&edge).await;
        assert!(if back < 20_000 { more == 0 } else { more <= 5 }, "{back}: {more}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_are_divided_between_the_edges_that_live() {
    let (origin, redis) = (Origin::hello().await, Redis::start().await);
    let config = config("throttle = { rate = 0.001, burst = 40 }", "");
    let one = edge(&config, &origin, &redis).await;
    let two = edge(&config, &origin, &redis).await;
    let number = async |edge: &TestEdge| edge.metric("edgeweir_snapshot_number", &[]).await;
    until("both have divided", async || number(&one).await > 1.5).await;
    let mut admitted = [0, 0];
    for (edge, admitted) in [&one, &two].into_iter().zip(&mut admitted) {
        for _ in 0..50 {
            *admitted += usize::from(status(edge, KEY).await == 200);
        }
    }
    assert_eq!(admitted, [20, 20]);
    // One goes: the other one has it all again.
    let before = number(&two).await;
    one.shutdown().await;
    until("it has it all", async || number(&two).await > before + 0.5).await;
    drop(two);
}
