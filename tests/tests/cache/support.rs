//! What the cache tests share.

use edgeweir_tests::edge::{HOST, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};
use edgeweir_tests::raw::Response;

/// An origin that answers everything with these fields and a body that counts its requests: `1`, `2` …
pub(crate) async fn counting(headers: &'static [(&'static str, &'static str)]) -> Origin {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Origin::start(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        Reply::new(200, headers, number.to_string())
    })
    .await
}

/// An edge whose only behavior has a cache policy with these keys.
pub(crate) async fn with_policy(origin: &Origin, policy: &str) -> TestEdge {
    let config = format!(
        "[origins.main]\nurl = \"http://{{origin}}\"\n[cache_policies.test]\n{policy}\n\
         [distributions.site]\nhosts = [\"{HOST}\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"test\"\n"
    );
    TestEdge::start(&config, &origin.address()).await
}

/// The words of `Cache-Status`: `hit`, `fwd=miss`, …
pub(crate) fn cache_status(response: &Response) -> Vec<String> {
    let lines = response.header_all("cache-status");
    assert_eq!(lines.len(), 1, "Cache-Status: {lines:?}");
    let mut words = lines[0].split(';').map(|word| word.trim().to_owned());
    assert_eq!(words.next().as_deref(), Some("edgeweir"));
    words.collect()
}

/// Whether the response came from the cache.
pub(crate) fn is_hit(response: &Response) -> bool {
    cache_status(response).iter().any(|word| word == "hit")
}

/// The value of `Age` in seconds.
pub(crate) fn age(response: &Response) -> Option<u64> {
    response.header("age").map(|age| age.parse().expect("Age is a number"))
}

/// How long a test waits for `max-age=1` to pass: lifetimes have no smaller unit.
pub(crate) const OVER_ONE_SECOND: std::time::Duration = std::time::Duration::from_millis(2100);

/// Lets what has a lifetime of one second become stale.
pub(crate) async fn let_expire() {
    tokio::time::sleep(OVER_ONE_SECOND).await;
}

/// Whether the words of `Cache-Status` have this one.
pub(crate) fn tells(response: &Response, word: &str) -> bool {
    cache_status(response).iter().any(|told| told == word)
}
