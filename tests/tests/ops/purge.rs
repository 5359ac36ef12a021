//! `edgeweir purge` on a running edge, and what a reload says of the cache's room.

use edgeweir_tests::edge::{PLAIN, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::process::run;

fn purge(edge: &TestEdge, words: &[&str]) -> (Option<i32>, String) {
    let socket = edge.admin_socket();
    let socket = socket.to_str().expect("a path in UTF-8");
    let output = run(&[&["purge", "--socket", socket], words].concat(), &[]);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_purges_and_prints_the_receipt() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=600")], "body")).await;
    let edge = TestEdge::plain(&origin.address()).await;
    for target in ["/a", "/b"] {
        edge.get(target).await;
    }
    let (code, text) = purge(&edge, &["/a*", "--dry-run"]);
    assert!(code == Some(0) && text.starts_with("would purge 1 objects, "), "{text}");
    let (code, text) = purge(&edge, &["http://site.test/a"]);
    assert!(code == Some(0) && text.starts_with("purged: generation 1; "), "{text}");
    let (code, text) = purge(&edge, &["--everything", "--soft", "--json"]);
    assert_eq!((code, text.trim()), (Some(0), "{\"generation\":2,\"mode\":\"soft\"}"));
    for target in ["/a", "/b"] {
        let told = edge.get(target).await.header("cache-status").map(str::to_owned);
        assert!(told.as_ref().is_some_and(|told| told.contains("gen=2")), "{told:?}");
    }
    for (words, expected) in [
        (&["http://other.test/a"][..], "not purged: no distribution has the host `other.test`"),
        (&[], "not purged: nothing to purge"),
        (&["/a", "--distribution", "shop"], "not purged: no distribution is called `shop`; there are `site`"),
    ] {
        let (code, text) = purge(&edge, words);
        assert!(code == Some(1) && text.contains(expected), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_says_that_the_room_needs_a_restart() {
    let origin = Origin::hello().await;
    let edge = TestEdge::plain(&origin.address()).await;
    let before = edge.metric("edgeweir_cache_capacity_bytes", &[]).await;
    edge.write_config(&format!("cache.capacity = \"16MiB\"\ncache.max_object = \"1MiB\"\n{PLAIN}"));
    let answer = edge.admin("POST", "/v1/reload").await;
    let text = answer.text();
    assert_eq!(answer.status, 200, "{text}");
    for what in ["cache.capacity changed", "cache.max_object changed"] {
        assert!(text.contains(&format!("\"needs_restart\":true,\"what\":\"{what}\"")), "{text}");
    }
    assert_eq!(edge.metric("edgeweir_cache_capacity_bytes", &[]).await, before, "what is in force");
}
