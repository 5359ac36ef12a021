//! What the gate's tests share.

use std::time::Duration;

use edgeweir_tests::edge::TestEdge;
use edgeweir_tests::origin::{Origin, Received};
use edgeweir_tests::raw::Response;

/// An edge before an origin that sends requests back.
pub(crate) async fn mirrored() -> (TestEdge, Origin) {
    let origin = Origin::mirror().await;
    let edge = TestEdge::plain(&origin.address()).await;
    (edge, origin)
}

/// Sends each case on a connection of its own: the answer is one of the statuses, the connection is closed after it, and
/// the origin got nothing.
pub(crate) async fn all_refused(statuses: &[u16], cases: &[&[u8]]) {
    let (edge, origin) = mirrored().await;
    for case in cases {
        refused(&edge, &origin, statuses, case).await;
    }
    assert_still_serving(&edge).await;
}

/// One such case.
pub(crate) async fn refused(edge: &TestEdge, origin: &Origin, statuses: &[u16], case: &[u8]) -> Response {
    let shown = String::from_utf8_lossy(case.get(..case.len().min(200)).unwrap_or_default()).into_owned();
    let before = (origin.heads(), origin.broken());
    let mut raw = edge.connect().await;
    raw.send(case).await;
    let response = raw.response().await;
    assert!(statuses.contains(&response.status), "{} instead of {statuses:?} for {shown:?}", response.status);
    raw.assert_closed().await;
    assert_eq!((origin.heads(), origin.broken()), before, "the origin got something of {shown:?}");
    response
}

/// Sends one case that is let through and returns the answer and what the origin got.
pub(crate) async fn passed(edge: &TestEdge, origin: &Origin, case: impl AsRef<[u8]>) -> (Response, Received) {
    let shown = String::from_utf8_lossy(case.as_ref()).into_owned();
    let before = origin.count();
    let response = edge.exchange(case).await;
    assert_eq!(response.status, 200, "for {shown:?}: {}", response.text());
    let mut requests = origin.requests();
    assert_eq!(requests.len(), before + 1, "requests at the origin for {shown:?}");
    (response, requests.remove(before))
}

/// Sends one case that may be refused (with a 400 and a closed connection, the origin untouched) or let through.
pub(crate) async fn refused_or_passed(edge: &TestEdge, origin: &Origin, case: &str) -> Option<Received> {
    let before = (origin.heads(), origin.broken());
    let count = origin.count();
    let mut raw = edge.connect().await;
    raw.send(case).await;
    let response = raw.response().await;
    if response.status == 400 {
        raw.assert_closed().await;
        assert_eq!((origin.heads(), origin.broken()), before, "the origin got something of {case:?}");
        return None;
    }
    assert_eq!(response.status, 200, "for {case:?}");
    assert_eq!(origin.count(), count + 1, "for {case:?}");
    origin.requests().pop()
}

/// The edge answers an honest request.
pub(crate) async fn assert_still_serving(edge: &TestEdge) {
    assert_eq!(edge.get("/honest").await.status, 200, "an honest request after the others");
}

/// Waits until so many connections were counted: the last word is said before its connection is.
pub(crate) async fn until_refused(edge: &TestEdge, reason: &str, count: f64) {
    for _ in 0..100 {
        if edge.metric("edgeweir_refused_connections_total", &[reason]).await >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{count} connections for {reason}: {}", edge.metrics().await);
}
