//! The requests that the demo proposes, each with what it shows.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// The API key in the demo's configuration; it guards nothing.
pub(super) const KEY: &str = "demo-key-0123456789abcdef";
/// Addresses that the demo's database knows: Swisscom and Orange.
const SWISS: &str = "195.186.1.111";
const FRENCH: &str = "80.12.0.1";

/// Where the demo runs.
#[derive(Debug)]
pub(super) struct Place {
    /// Scheme and address of the edge.
    pub(super) edge: String,
    pub(super) origin: SocketAddr,
    pub(super) admin: Option<SocketAddr>,
}

/// What the demo prints when it serves.
pub(super) fn page(place: &Place, token: &str) -> String {
    let mut page = format!(
        "\nThe edge serves {} in front of an origin on {} that answers with what it got.\n\
         Every request becomes a JSON line here. Ctrl-C ends the demo. Try in another terminal:\n",
        place.edge, place.origin
    );
    for (shows, line) in lines(place, token) {
        // Writing into a String cannot fail.
        let _infallible = write!(page, "\n# {shows}\n{line}\n");
    }
    page.push('\n');
    page
}

fn lines(place: &Place, token: &str) -> Vec<(&'static str, String)> {
    let edge = &place.edge;
    let mut lines = vec![
        (
            "Cache: the first answer is fetched (fwd=uri-miss), the second is a hit for up to a minute",
            format!("for i in 1 2; do curl -si {edge}/cached/hello | grep -i cache-status; done"),
        ),
        ("Hook jwt-auth: 401 without a token ...", format!("curl -i {edge}/private/hello")),
        (
            "... and 200 with one; the origin gets its subject as x-user: ada",
            format!("curl -i -H 'Authorization: Bearer {token}' {edge}/private/hello"),
        ),
        (
            "Hook geo-route: a Swiss viewer is sent to /de/geo/, a French one to /fr/geo/",
            format!(
                "for ip in {SWISS} {FRENCH}; do curl -s -H \"X-Forwarded-For: $ip\" {edge}/geo/hello | grep GET; done"
            ),
        ),
        (
            "Hook header-rewrite: x-rewritten on the way in, x-served-by on the way out",
            format!("curl -si -H 'X-Forwarded-For: {SWISS}' {edge}/rewrite/hello | grep -iE 'x-(rewritten|served-by)'"),
        ),
        ("API keys: 403 without one ...", format!("curl -i {edge}/api/hello")),
        (
            "... and with one, 200 twice and then 429: the plan allows 1 request a second, 2 at once",
            format!(
                "for i in 1 2 3; do curl -s -o /dev/null -w '%{{http_code}}\\n' -H 'x-api-key: {KEY}' {edge}/api/hello; done"
            ),
        ),
    ];
    if let Some(admin) = place.admin {
        lines.push(("Metrics", format!("curl -s http://{admin}/metrics | grep edgeweir_requests")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_has_its_line() {
        let place = Place {
            edge: "http://127.0.0.1:8080".to_owned(),
            origin: SocketAddr::from(([127, 0, 0, 1], 8081)),
            admin: Some(SocketAddr::from(([127, 0, 0, 1], 9090))),
        };
        let page = page(&place, "a.b.c");
        for part in [
            "http://127.0.0.1:8080/cached/hello",
            "Bearer a.b.c",
            "/geo/hello",
            "/rewrite/hello",
            "x-api-key: demo-key",
            "http://127.0.0.1:9090/metrics",
            "'%{http_code}\\n'",
        ] {
            assert!(page.contains(part), "no {part} in {page}");
        }
        assert_eq!(page.lines().filter(|line| line.contains("curl")).count(), 8);
    }
}
