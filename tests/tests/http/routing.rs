//! Which behavior a request comes to, who is let in, and how the edge knows who asks.

mod fingerprints;
mod geo;
mod matching;
mod protocol;
mod proxies;

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::Origin;

/// A database with countries: 8.8.8.8 is in the US, 195.186.1.111 in CH, 80.12.0.1 in FR, 192.0.2.1 nowhere.
const DATABASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/examples/demo/country.mmdb");

/// An edge behind a trusted proxy (the test), with a geo database and one origin, `main`. The text begins with keys of the
/// distribution `site`.
async fn behind_a_proxy(origin: &Origin, site: &str) -> TestEdge {
    let text = format!(
        "trusted_proxies = [\"127.0.0.1/32\"]\n[geo]\ndatabases = [\"{{database}}\"]\n[origins.main]\nurl = \"http://{{origin}}\"\n\
         [distributions.site]\nhosts = [\"site.test\", \"*.site.test\"]\norigin = \"main\"\n{site}"
    );
    Setup::new(&text).set("database", DATABASE).set("origin", &origin.address()).start().await
}
