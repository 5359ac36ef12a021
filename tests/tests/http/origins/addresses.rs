//! Several addresses of one origin: who gets which request, and who is left out.

use std::sync::Arc;
use std::time::Duration;

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::gate::Gate;
use edgeweir_tests::hostile;
use edgeweir_tests::names::Names;
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::wait::until;

/// An edge before one origin with these addresses.
async fn at(addresses: &[&str], keys: &str) -> TestEdge {
    let text = format!(
        "[origins.main]\nurl = \"http://app.test:81/base\"\naddresses = {addresses:?}\nconnect_timeout = \"500ms\"\n\
         read_timeout = \"500ms\"\n{keys}\n[distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"CachingDisabled\"\n"
    );
    Setup::new(&text).frozen().start().await
}

async fn three() -> [Origin; 3] {
    [Origin::hello().await, Origin::hello().await, Origin::hello().await]
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_to_the_addresses_in_turn_under_the_name_of_the_url() {
    let origins = three().await;
    let addresses = origins.each_ref().map(Origin::address);
    let edge = at(&addresses.each_ref().map(String::as_str), "").await;
    for _ in 0..9 {
        assert_eq!(edge.get("/t").await.status, 200);
    }
    assert_eq!(origins.each_ref().map(Origin::count), [3, 3, 3]);
    let request = &origins[0].requests()[0];
    assert_eq!((request.target(), request.header("host")), ("/base/t", Some("app.test:81")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_with_the_fewest_requests_at_work_comes_next() {
    let (gate, slow, quick) = (Gate::new(), Origin::hello().await, Origin::hello().await);
    let hold = gate.clone();
    slow.answer(move |_| Reply::ok("slow").after(&hold));
    let addresses = [slow.address(), quick.address()];
    let edge = at(&addresses.each_ref().map(String::as_str), "balance = \"least_outstanding\"").await;
    let address = edge.address();
    let waiting = tokio::spawn(async move { edgeweir_tests::raw::get(address, "site.test", "/slow", &[]).await });
    until("the first one is asked", || slow.count() == 1).await;
    for _ in 0..6 {
        assert_eq!(edge.get("/t").await.text(), "hello");
    }
    assert_eq!((slow.count(), quick.count()), (1, 6));
    gate.open();
    assert_eq!(waiting.await.expect("no panic").text(), "slow");
    for _ in 0..40 {
        edge.get("/t").await;
    }
    assert_eq!(slow.count(), 21, "they are equals again: who has its answer is not at work");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_dead_costs_no_request_and_is_left_out() {
    let (dead, live) = (hostile::refused().await, Origin::hello().await);
    let edge = at(&[&dead, &live.address()], "eject_after = 2").await;
    for turn in 0..8 {
        let method = if turn % 2 == 0 { "GET" } else { "POST" };
        assert_eq!(edge.request(method, "/t", &[], b"").await.status, 200, "{turn}");
    }
    assert_eq!(live.count(), 8);
    let lines = edge.log_lines(8).await;
    let tried = lines.iter().filter(|line| line["origin_attempts"] == 2).count();
    assert_eq!(tried, 2, "after two failures in a row it is left out");
    assert_eq!(edge.metric("edgeweir_origin_address_up", &["origin=\"main\""]).await, 1.0, "one of two");
    edge.counted("edgeweir_origin_ejections_total", &["origin=\"main\""], 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_that_breaks_off_goes_to_another_address_and_a_post_is_sent_once() {
    let (bad, good) = (hostile::always(hostile::resets_at_once()).await, Origin::hello().await);
    let edge = at(&[&bad.address(), &good.address()], "eject_after = 0").await;
    for _ in 0..6 {
        assert_eq!(edge.get("/t").await.status, 200);
    }
    let sent = bad.count();
    assert!(sent >= 3, "{sent}");
    let mut failed = 0;
    for turn in 0..6 {
        let status = edge.request("POST", "/pay", &[], format!("{turn}").as_bytes()).await.status;
        failed += usize::from(status == 502);
    }
    let paid = |origin: &Origin| -> Vec<Vec<u8>> {
        origin
            .requests()
            .into_iter()
            .filter(|request| request.method() == "POST")
            .map(|request| request.body.bytes)
            .collect()
    };
    let mut all = [paid(&bad), paid(&good)].concat();
    assert_eq!((paid(&bad).len(), failed), (3, 3));
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 6, "each POST came to one origin, once");
    assert_eq!(paid(&bad).len() + paid(&good).len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_leave_an_address_out_but_never_the_last_one() {
    let (bad, good) = (hostile::always(Reply::new(500, &[], "")).await, Origin::hello().await);
    let edge = at(&[&bad.address(), &good.address()], "eject_after = 3").await;
    for _ in 0..20 {
        edge.get("/t").await;
    }
    assert_eq!(bad.count(), 3);
    good.answer(|_| Reply::new(500, &[], ""));
    for _ in 0..10 {
        assert_eq!(edge.get("/t").await.status, 500);
    }
    assert_eq!((bad.count(), good.count()), (3, 27), "the last one stays");
    bad.answer(|_| Reply::ok("fine"));
    edge.advance(Duration::from_secs(11));
    for _ in 0..4 {
        edge.get("/t").await;
    }
    assert!(bad.count() > 4, "it is back: {}", bad.count());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_out_that_an_address_is_still_silent_does_not_pay_for_it() {
    let (bad, good) = (hostile::always(hostile::resets_at_once()).await, Origin::hello().await);
    let edge = at(&[&bad.address(), &good.address()], "eject_after = 1").await;
    for _ in 0..4 {
        assert_eq!(edge.get("/t").await.status, 200);
    }
    assert_eq!(bad.count(), 1);
    bad.answer(|_| hostile::silent());
    edge.advance(Duration::from_secs(11));
    for _ in 0..4 {
        assert_eq!(edge.get("/t").await.status, 200);
    }
    assert_eq!(bad.count(), 2, "one request tried it, and was answered by the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_ipv6_literals_are_addresses_too() {
    let listener = std::net::TcpListener::bind("[::1]:0").expect("this machine has an IPv6 loopback");
    let port = listener.local_addr().expect("it is bound").port();
    let served = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for stream in listener.incoming().take(2) {
            let mut stream = stream.expect("a connection");
            let mut head = [0; 4096];
            let length = stream.read(&mut head).expect("a head");
            let text = String::from_utf8_lossy(&head[..length]).into_owned();
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len());
            stream.write_all(answer.as_bytes()).expect("it reads");
        }
    });
    let edge = at(&[&format!("[::1]:{port}")], "").await;
    assert!(edge.get("/t").await.text().contains("Host: app.test:81"), "by address");
    let edge = TestEdge::plain(&format!("[::1]:{port}")).await;
    assert!(edge.get("/t").await.text().to_lowercase().contains(&format!("host: [::1]:{port}")), "by URL");
    assert_eq!(edge.log_lines(1).await[0]["origin_address"], format!("[::1]:{port}"));
    served.join().expect("no panic");
    let origin = Origin::hello().await;
    let port = origin.address().rsplit(':').next().expect("a port").to_owned();
    let edge = at(&[&format!("localhost:{port}")], "").await;
    for _ in 0..4 {
        assert_eq!(edge.get("/t").await.status, 200, "whichever of its addresses comes first");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_addresses_after_a_reload() {
    let origins = three().await;
    let text = "[origins.main]\nurl = \"http://app.test\"\naddresses = ADDRESSES\n[distributions.site]\nhosts = [\"site.test\"]\n\
                origin = \"main\"\n[[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"CachingDisabled\"\n";
    let with = |list: &[String]| text.replace("ADDRESSES", &format!("{list:?}"));
    let edge = Setup::new(&with(&[origins[0].address()])).start().await;
    edge.get("/t").await;
    edge.reload(&with(&[origins[1].address(), origins[2].address()])).await.expect("a good config");
    for _ in 0..4 {
        edge.get("/t").await;
    }
    assert_eq!(origins.each_ref().map(Origin::count), [1, 2, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_address_of_a_name_is_taken_and_a_failed_look_up_keeps_the_last() {
    let [one, two, three] = three().await;
    let names = Arc::new(Names::default());
    names.set("app.test", &[&one.address()]);
    let text = "[origins.main]\nurl = \"http://app.test:81\"\nresolve_every = \"30s\"\n[distributions.site]\nhosts = [\"site.test\"]\n\
                origin = \"main\"\n[[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"CachingDisabled\"\n";
    let edge = Setup::new(text).names(&names).frozen().start().await;
    edge.get("/t").await;
    assert_eq!((one.count(), names.asked()), (1, 1));
    names.set("app.test", &[&two.address(), &three.address()]);
    edge.get("/t").await;
    assert_eq!((one.count(), names.asked()), (2, 1), "the answer still holds");
    let look_up = async |times: usize| {
        edge.advance(Duration::from_secs(31));
        edge.get("/t").await;
        until("it is looked up", || names.asked() == times).await;
        // The answer is put in place just after it.
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    look_up(2).await;
    assert_eq!(one.count(), 3, "who finds the answer old does not wait for a new one");
    for _ in 0..4 {
        edge.get("/t").await;
    }
    assert_eq!((one.count(), two.count(), three.count()), (3, 2, 2), "each address of the name");
    names.set("app.test", &[]);
    look_up(3).await;
    assert_eq!(edge.get("/t").await.status, 200, "the last answer is kept");
    assert_eq!(one.count(), 3);
    let line = edge.log_lines(1).await.remove(0);
    assert_eq!(line["origin_address"], one.address(), "{line}");
}
