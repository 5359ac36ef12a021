//! A million calls of functions in JavaScript: none harms the next, and what a call says depends on its event alone.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use edgeweir_hookhost::{Call, EngineLimits, Grants, Hook, HookEngine, RequestVerdict, build_script};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::support::{Request, SCRIPT_LIMITS, Services, call, store};

const CALLS: usize = 1_000_000;
/// So many different events; each comes again and again.
const EVENTS: usize = 20_000;
const NOW: u64 = 1_790_000_000_000;
/// Signed with what the store has, good until 2100 (a case of `tests/functions/cloudfront/jwt-hmac`).
const GOOD_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDAsIm5iZiI6MX0.T-SZ0DugAy7dIG4PxyRG6bt7fR9FR6MhtbrR0G0c7vI";

const FUNCTIONS: [(&str, &str); 3] = [
    ("query.js", include_str!("../../../../tests/functions/cloudfront/normalize-query/function.js")),
    ("token.js", include_str!("../../../../tests/functions/cloudfront/jwt-hmac/function.js")),
    ("language.js", include_str!("../../../../tests/functions/lambda/language-redirect/index.js")),
];

fn text(random: &mut fastrand::Rng, most: usize) -> String {
    (0..random.usize(..=most)).map(|_| random.choice(*b"abcxyz019-_.~%25,;=/").map_or('a', char::from)).collect()
}

/// The event of this number: always the same.
fn event(number: usize, grants: &Arc<Grants>) -> Call {
    let random = &mut fastrand::Rng::with_seed(number as u64);
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("site.test"));
    for _ in 0..random.usize(..20) {
        let names = ["accept-language", "cookie", "x-a", "x-b", "user-agent", "accept", "referer"];
        let name = HeaderName::from_static(random.choice(names).unwrap());
        let value = match name.as_str() {
            "accept-language" => ["de", "en-GB,en;q=0.8", "fr-CH, fr;q=0.9, *;q=0.5", ""][random.usize(..4)].to_owned(),
            "cookie" => format!("{}={}; {}", text(random, 5), text(random, 20), text(random, 9)),
            _ => text(random, 60),
        };
        headers.append(name, HeaderValue::from_str(&value).unwrap());
    }
    let mut query = Vec::new();
    for _ in 0..random.usize(..12) {
        query.push(format!(
            "{}={}",
            random.choice(["a", "b", "utm_source", "fbclid", "page"]).unwrap(),
            text(random, 12)
        ));
    }
    match random.u8(..4) {
        0 => query.push(format!("jwt={GOOD_TOKEN}")),
        1 => query.push(format!("jwt={}.{}", text(random, 40), text(random, 40))),
        _ => {}
    }
    let path = if random.bool() { "/".to_owned() } else { format!("/{}", text(random, 30).replace('%', "")) };
    let request = Request { path, query: Some(query.join("&")), headers };
    Call { request: Box::new(request), grants: Some(Arc::clone(grants)), ..call("{}") }
}

/// What a call said, as a number.
fn said(verdict: &Result<RequestVerdict, edgeweir_hookhost::HookFault>) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{verdict:?}").hash(&mut hasher);
    hasher.finish()
}

fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test]
#[ignore = "takes minutes: `make soak SOAK=a_million_calls`"]
async fn a_million_calls_of_functions_are_like_the_first() {
    let services = Arc::new(Services::default());
    services.now.store(NOW, Ordering::SeqCst);
    let engine =
        HookEngine::new(EngineLimits { slots: 8, ..EngineLimits::default() }, None, Arc::clone(&services) as _)
            .unwrap();
    let hooks: Vec<Arc<Hook>> = FUNCTIONS
        .iter()
        .map(|(name, source)| {
            engine.load(name, &build_script(name, source.as_bytes()).unwrap().wasm, SCRIPT_LIMITS).unwrap()
        })
        .collect();
    let store = store([("jwt.secret", "secret-of-the-store")]);
    let grants = Arc::new(Grants { stores: vec![("only".into(), store)], ..Grants::default() });
    let random = &mut fastrand::Rng::new();
    let mut first = vec![[None; FUNCTIONS.len()]; EVENTS];
    let (mut again, mut answers, mut faults, mut settled) = (0_usize, 0_usize, 0_usize, 0);
    for turn in 0..CALLS {
        let (number, which) = (random.usize(..EVENTS), turn % FUNCTIONS.len());
        let verdict = hooks[which].viewer_request(event(number, &grants)).await.verdict;
        answers += usize::from(matches!(verdict, Ok(RequestVerdict::Respond(_))));
        faults += usize::from(verdict.is_err());
        let said = said(&verdict);
        match first[number][which].replace(said) {
            None => {}
            Some(before) => {
                assert_eq!(before, said, "call {turn}, event {number} of {}: {verdict:?}", FUNCTIONS[which].0);
                again += 1;
            }
        }
        if turn % 10_000 == 0 {
            services.lines.lock().unwrap().clear();
        }
        if turn == CALLS / 10 {
            settled = resident();
        }
    }
    let grown = resident().saturating_sub(settled);
    println!(
        "{CALLS} calls: {answers} answers, {faults} faults, {again} compared with the first of their event; {} MB resident, \
         {} KB more than after a tenth",
        settled >> 20,
        grown >> 10
    );
    assert!(again > CALLS * 9 / 10 && answers > CALLS / 20, "the events are what they should be");
    assert!(grown < 8 << 20, "{grown} bytes");
}
