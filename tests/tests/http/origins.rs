//! Origins: groups with failover, several addresses and their health, limits, TLS towards them.

mod addresses;
mod cached;
mod failover;
mod health;
mod hooked;
mod idle;
mod limits;
mod trust;

use edgeweir_tests::edge::{Setup, TestEdge};

/// Two origins `a` and `b` with short times, in a group that the distribution uses. `keys` are for both, `group` for the
/// group, and `rest` is put at the end.
fn config(keys: &str, group: &str, rest: &str) -> String {
    let times = "connect_timeout = \"500ms\"\nread_timeout = \"500ms\"\nwrite_timeout = \"500ms\"";
    format!(
        "[origins.a]\nurl = \"http://{{a}}\"\n{times}\n{keys}\n[origins.b]\nurl = \"http://{{b}}\"\n{times}\n{keys}\n\
         [origin_groups.both]\nmembers = [\"a\", \"b\"]\n{group}\n\
         [distributions.site]\nhosts = [\"site.test\"]\norigin = \"both\"\n{rest}"
    )
}

/// An edge before a group of two.
async fn two(a: &str, b: &str) -> TestEdge {
    two_with(&config("", "", ""), a, b).await
}

async fn two_with(config: &str, a: &str, b: &str) -> TestEdge {
    Setup::new(config).set("a", a).set("b", b).start().await
}
