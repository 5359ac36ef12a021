//! Fields for caches like this one: `CDN-Cache-Control` (RFC 9213) and `Surrogate-Control`.

use crate::support::{counting, is_hit, with_policy};

type Fields = &'static [(&'static str, &'static str)];

async fn reused(fields: Fields) -> bool {
    let origin = counting(fields).await;
    let edge = with_policy(&origin, "").await;
    edge.get("/t").await;
    is_hit(&edge.get("/t").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9213_2_cdn_cache_control_wins() {
    for (fields, wanted) in [
        (&[("cdn-cache-control", "max-age=60")][..], true),
        (&[("cdn-cache-control", "max-age=99999999999")], true),
        (&[("cdn-cache-control", "foobar, max-age=60")], true),
        (&[("cdn-cache-control", "max-age=60"), ("cache-control", "no-store")], true),
        (&[("cdn-cache-control", "max-age=60"), ("expires", "0")], true),
        (&[("cdn-cache-control", "max-age=60"), ("age", "7200")], false),
        (&[("cdn-cache-control", "max-age=0"), ("expires", "Fri, 31 Dec 2100 23:59:59 GMT")], false),
        (&[("cdn-cache-control", "private"), ("cache-control", "max-age=60")], false),
        (&[("cdn-cache-control", "no-cache"), ("cache-control", "max-age=60")], false),
        (&[("cdn-cache-control", "no-store"), ("cache-control", "max-age=60")], false),
        (&[("cdn-cache-control", "max-age=60, &&&&&"), ("cache-control", "no-store")], false),
        (&[("cdn-cache-control", "max-age=\"60\""), ("cache-control", "no-store")], false),
        (&[("cdn-cache-control", "max-age =60"), ("cache-control", "max-age=0")], false),
        (&[("cdn-cache-control", "&&&&&"), ("cache-control", "max-age=60")], true),
        (&[("surrogate-control", "max-age=60"), ("cache-control", "private")], true),
        (&[("surrogate-control", "MaX-aGe=60"), ("expires", "0")], true),
        (&[("surrogate-control", "no-store"), ("cache-control", "max-age=60")], false),
        (&[("surrogate-control", "max-age =60"), ("cache-control", "max-age=0")], false),
        (&[("surrogate-control", "max-age=60, private=\"x-secret\""), ("x-secret", "1")], false),
        (&[("surrogate-control", "max-age=60, no-cache=\"x-secret\""), ("x-secret", "1")], false),
        (&[("surrogate-control", "max-age=60"), ("cdn-cache-control", "no-store")], false),
    ] {
        assert_eq!(reused(fields).await, wanted, "{fields:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_get_targeted_fields_unless_the_policy_removes_them() {
    const FIELDS: Fields = &[("cdn-cache-control", "max-age=60"), ("surrogate-control", "max-age=60"), ("x-a", "1")];
    let origin = counting(FIELDS).await;
    for (policy, kept) in [("", true), ("targeted_fields = \"remove\"", false)] {
        let edge = with_policy(&origin, policy).await;
        for _ in 0..2 {
            let response = edge.get("/t").await;
            let got = [response.header("cdn-cache-control"), response.header("surrogate-control")];
            assert_eq!(got, if kept { [Some("max-age=60"); 2] } else { [None; 2] }, "{policy}");
        }
        let posted = edge.request("POST", "/t", &[], b"x").await;
        assert_eq!(posted.header("cdn-cache-control").is_some(), kept, "{policy}");
    }
}
