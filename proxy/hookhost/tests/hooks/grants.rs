//! Key-value stores, secrets and counters as a hook sees them.

use std::sync::{Arc, Mutex};

use edgeweir_hookhost::{Call, Entries, Grant, Grants, HookFault, KeyValueStore, Pins, RequestVerdict};
use http::HeaderMap;

use crate::support::{LIMITS, Request, call, engine, load, wasm};

/// A store that tests change.
struct Store(Mutex<Arc<Entries>>);

impl Store {
    fn new(entries: &[(&str, &str)]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Self::entries_of(entries))))
    }

    fn entries_of(entries: &[(&str, &str)]) -> Arc<Entries> {
        Arc::new(entries.iter().map(|(key, value)| ((*key).into(), value.as_bytes().into())).collect())
    }

    fn set(&self, entries: &[(&str, &str)]) {
        *self.0.lock().unwrap() = Self::entries_of(entries);
    }
}

impl KeyValueStore for Store {
    fn entries(&self) -> Arc<Entries> {
        Arc::clone(&self.0.lock().unwrap())
    }
}

fn granted(store: &Arc<Store>) -> Arc<Grants> {
    let stores = vec![("flags".into(), Arc::<Store>::clone(store) as Arc<dyn KeyValueStore>)];
    Arc::new(Grants { stores, secrets: vec![("pin".into(), b"4711".as_slice().into())], ..Grants::default() })
}

fn asking(query: &str, grants: Option<Arc<Grants>>, pins: Pins) -> Call {
    let request = Request { path: "/".into(), query: Some(query.into()), headers: HeaderMap::new() };
    Call { request: Box::new(request), grants, pins, ..call("{}") }
}

async fn ask(query: &str, grants: Option<Arc<Grants>>, pins: Pins) -> (Result<String, HookFault>, Pins) {
    let done = load("grants").viewer_request(asking(query, grants, pins)).await;
    let answer = done.verdict.map(|verdict| match verdict {
        RequestVerdict::Respond(response) => String::from_utf8(response.body.to_vec()).unwrap(),
        RequestVerdict::Next(edits) => panic!("{edits:?}"),
    });
    (answer, done.call.pins)
}

#[test]
fn a_hook_needs_what_it_calls_and_nothing_else() {
    assert_eq!(load("grants").needs(), [Grant::KeyValue, Grant::Secrets]);
    assert_eq!(load("kv-stages").needs(), [Grant::KeyValue]);
    for guest in ["no-op", "counts", "echo-facts", "checked"] {
        assert_eq!(load(guest).needs(), [], "{guest}");
    }
}

#[tokio::test]
async fn values_and_what_is_not_there() {
    let store = Store::new(&[("dark", "on"), ("empty", ""), ("große", "ü"), ("big", &"x".repeat(1 << 20))]);
    let grants = granted(&store);
    for (query, answer) in [
        ("do=get&store=flags&key=dark", "Ok(Some(\"on\"))"),
        ("do=get&store=flags&key=empty", "Ok(Some(\"\"))"),
        ("do=get&store=flags&key=gro%C3%9Fe", "Ok(Some(\"ü\"))"),
        ("do=get&store=flags&key=none", "Ok(None)"),
        ("do=length&store=flags&key=big", "Some(1048576)"),
        ("do=exists&store=flags&key=dark", "Ok(true)"),
        ("do=exists&store=flags&key=none", "Ok(false)"),
        ("do=secret&name=pin", "4711"),
        ("do=debug&name=pin", "Some(Secret(***))"),
        ("do=secret&name=other", ""),
    ] {
        assert_eq!(ask(query, Some(Arc::clone(&grants)), Pins::default()).await.0.unwrap(), answer, "{query}");
    }
}

#[tokio::test]
async fn what_is_not_granted_is_not_given() {
    let grants = Some(granted(&Store::new(&[])));
    for grants in [grants, None] {
        for verb in ["get", "exists"] {
            let query = format!("do={verb}&store=other&key=a");
            let answer = ask(&query, grants.clone(), Pins::default()).await.0.unwrap();
            assert!(answer.contains("does not grant the key-value store \\\"other\\\""), "{answer}");
        }
        let fault = ask("do=require&name=key", grants, Pins::default()).await.0.unwrap_err();
        assert_eq!(fault.to_string(), "hook failed: no secret `key`: add it to `secrets` of the hook's binding");
    }
}

#[tokio::test]
async fn a_request_keeps_the_state_that_it_saw_first() {
    let store = Store::new(&[("state", "one")]);
    let grants = granted(&store);
    let query = "do=get&store=flags&key=state";
    let (first, pins) = ask(query, Some(Arc::clone(&grants)), Pins::default()).await;
    store.set(&[("state", "two")]);
    let (second, _) = ask(query, Some(Arc::clone(&grants)), pins).await;
    let (other, _) = ask(query, Some(grants), Pins::default()).await;
    assert_eq!(
        (first.unwrap(), second.unwrap(), other.unwrap()),
        ("Ok(Some(\"one\"))".into(), "Ok(Some(\"one\"))".into(), "Ok(Some(\"two\"))".into())
    );
}

#[tokio::test]
async fn counts_reach_the_embedder_also_from_a_call_that_fails() {
    let (engine, services) = engine(2);
    let hook = engine.load("counts", &wasm("counts"), LIMITS).unwrap();
    assert!(hook.viewer_request(asking("name=logins&by=3", None, Pins::default())).await.verdict.is_ok());
    assert!(hook.viewer_request(asking("name=trapped&trap=1", None, Pins::default())).await.verdict.is_err());
    assert_eq!(*services.counts.0.lock().unwrap(), [("logins".to_owned(), 3), ("trapped".to_owned(), 1)]);
}

#[test]
fn debug_shows_names_only() {
    let store = Store::new(&[("dark", "on")]);
    assert_eq!(format!("{:?}", granted(&store)), "Grants { stores: [\"flags\"], secrets: [\"pin\"], .. }");
}
