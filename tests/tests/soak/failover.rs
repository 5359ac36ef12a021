//! An origin dies under load and comes back: no viewer of a GET notices, and no POST reaches an origin twice.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use edgeweir_tests::edge::HOST;
use edgeweir_tests::origin::{Origin, Received, Reply, Step};
use edgeweir_tests::raw::{Raw, request_bytes};

use crate::load::{Times, steady};
use crate::site::Site;

fn config(a: &str, b: &str) -> String {
    format!(
        "[log]\naccess = \"off\"\nevents = \"off\"\n\
         [origins.a]\nurl = \"http://{a}\"\neject_after = 3\neject_for = \"1s\"\n\
         [origins.b]\nurl = \"http://{b}\"\n\
         [origins.many]\nurl = \"http://app.test\"\naddresses = [\"{a}\", \"{b}\"]\neject_after = 3\neject_for = \"1s\"\n\
         [origin_groups.both]\nmembers = [\"a\", \"b\"]\n\
         [distributions.site]\nhosts = [\"{HOST}\"]\norigin = \"both\"\n\
         [[distributions.site.behaviors]]\npath = \"/many/*\"\norigin = \"many\"\ncache_policy = \"CachingDisabled\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"CachingDisabled\"\n"
    )
}

/// An answer that takes a moment, so that requests are at work when their origin dies.
fn answer(name: &'static str) -> impl Fn(&Received) -> Reply + Send + Sync + 'static {
    move |_| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
        Reply::script([Step::Pause(Duration::from_millis(5)), Step::Send(head.into())])
    }
}

/// GETs at a steady rate, half of them to a group and half to an origin with two addresses, while one origin dies and comes
/// back so many times.
async fn gets(rate: u32, deaths: u32, each: Duration) -> (Times, Times) {
    let (a, b) = (Origin::start(answer("a")).await, Origin::start(answer("b")).await);
    let address = a.address();
    let mut site = Site::new();
    site.serve(&config(&address, &b.address())).await;
    let time = each * (2 * deaths + 1);
    let to = site.address;
    let group = tokio::spawn(steady(to, "/group", (rate / 2, 20), time, 200));
    let many = tokio::spawn(steady(to, "/many/t", (rate / 2, 20), time, 200));
    let mut living = Some(a);
    for _ in 0..deaths {
        tokio::time::sleep(each).await;
        drop(living.take());
        tokio::time::sleep(each).await;
        living = Some(Origin::start_at(&address, answer("a")).await);
    }
    let (group, many) = (group.await.expect("no panic"), many.await.expect("no panic"));
    let came_back = living.as_ref().map_or(0, Origin::count);
    println!(
        "{rate} GETs/s for {time:?}, {deaths} deaths: group {} answers, {} wrong, {} lost, p99 {:?}, max {:?}; \
         two addresses {} answers, {} wrong, {} lost, p99 {:?}, max {:?}; {came_back} at the one that came back",
        group.all.len(),
        group.wrong,
        group.lost,
        group.at(990),
        group.at(1000),
        many.all.len(),
        many.wrong,
        many.lost,
        many.at(990),
        many.at(1000),
    );
    assert!(site.metric("edgeweir_origin_failovers_total", &["group=\"both\""]).await > 0);
    assert!(came_back > 0, "the origin gets requests again");
    (group, many)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_viewer_of_a_get_notices_that_an_origin_dies() {
    let (group, many) = gets(200, 1, Duration::from_millis(1500)).await;
    assert_eq!((group.wrong, group.lost, many.wrong, many.lost), (0, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute; `make soak` runs it"]
async fn no_viewer_notices_ten_deaths_under_500_requests_a_second() {
    let (group, many) = gets(500, 10, Duration::from_secs(3)).await;
    assert_eq!((group.wrong, group.lost, many.wrong, many.lost), (0, 0, 0, 0));
}

/// Reads the whole of each request, and resets every third in place of an answer.
async fn resetting() -> Origin {
    let count = AtomicUsize::new(0);
    Origin::start(move |_| match count.fetch_add(1, Ordering::SeqCst) % 3 {
        2 => Reply::script([Step::Reset]),
        _ => Reply::ok("paid"),
    })
    .await
}

async fn payer(address: SocketAddr, target: &'static str, payer: usize, stop: Arc<AtomicBool>) -> (usize, usize) {
    let mut raw = Raw::connect(address).await;
    let (mut paid, mut failed) = (0, 0);
    while !stop.load(Ordering::SeqCst) {
        let body = format!("{target} {payer} {}", paid + failed);
        let answer = match raw.try_send(&request_bytes("POST", HOST, target, &[], body.as_bytes())).await {
            Ok(()) => raw.try_response_to("POST").await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(response) if response.status == 200 => paid += 1,
            _ => {
                failed += 1;
                raw = Raw::connect(address).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (paid, failed)
}

async fn posts(payers: usize, time: Duration) {
    let (a, b) = (resetting().await, resetting().await);
    let mut site = Site::new();
    site.serve(&config(&a.address(), &b.address())).await;
    let stop = Arc::new(AtomicBool::new(false));
    let start = |payer_no: usize| {
        let target = if payer_no.is_multiple_of(2) { "/group" } else { "/many/t" };
        tokio::spawn(payer(site.address, target, payer_no, Arc::clone(&stop)))
    };
    let running: Vec<_> = (0..payers).map(start).collect();
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::SeqCst);
    let (mut paid, mut failed) = (0, 0);
    for one in running {
        let (p, f) = one.await.expect("no panic");
        (paid, failed) = (paid + p, failed + f);
    }
    let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
    for request in [a.requests(), b.requests()].concat() {
        *seen.entry(request.body.bytes).or_default() += 1;
    }
    let twice = seen.values().filter(|count| **count > 1).count();
    println!(
        "{} POSTs: {paid} paid, {failed} failed, {} at the origins, {twice} of them twice",
        paid + failed,
        seen.len()
    );
    assert_eq!(twice, 0, "POSTs that were sent twice");
    assert!(paid > 0 && failed > 0);
    assert!(seen.len() >= paid);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_post_is_sent_twice() {
    posts(8, Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "half a minute; `make soak` runs it"]
async fn no_post_is_sent_twice_in_half_a_minute() {
    posts(20, Duration::from_secs(30)).await;
}
