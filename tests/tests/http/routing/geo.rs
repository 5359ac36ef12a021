//! Geo restriction (CloudFront: "Restrict the geographic distribution of your content"), and geo facts in the cache key.

use edgeweir_tests::edge::Setup;
use edgeweir_tests::origin::Origin;
use edgeweir_tests::reply::Reply;
use serde_json::json;

use super::{DATABASE, behind_a_proxy};

const US: (&str, &str) = ("X-Forwarded-For", "8.8.8.8");
const CH: (&str, &str) = ("X-Forwarded-For", "195.186.1.111");
const FR: (&str, &str) = ("X-Forwarded-For", "80.12.0.1");
const NOWHERE: (&str, &str) = ("X-Forwarded-For", "192.0.2.1");

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_distribution_and_behavior() {
    let origin = Origin::mirror().await;
    let site = r#"
        geo_restriction = { allow = { countries = ["CH", "FR"], cidrs = ["192.0.2.128/25"] } }
        gateway_responses.WAF_FILTERED = { status = 451, content_type = "text/html", body = "<p>$context.identity.sourceIp</p>" }
        [[distributions.site.behaviors]]
        path = "/open/*"
        geo_restriction = {}
        [[distributions.site.behaviors]]
        path = "/not-french/*"
        geo_restriction = { deny = { countries = ["FR"] } }
        [[distributions.site.behaviors]]
        path = "*"
        api_key_required = true
    "#;
    let edge = behind_a_proxy(&origin, site).await;
    // Before keys: 403 for want of a key is not the geo restriction's answer.
    for (viewer, status) in [(CH, 403), (FR, 403), (US, 451), (NOWHERE, 451), (("X-Forwarded-For", "192.0.2.200"), 403)]
    {
        assert_eq!(edge.get_with("/x", &[viewer]).await.status, status, "{viewer:?}");
    }
    let blocked = edge.get_with("/x", &[US]).await;
    assert_eq!((blocked.text().as_str(), blocked.header("content-type")), ("<p>8.8.8.8</p>", Some("text/html")));
    for (path, viewer, status) in [
        ("/open/x", US, 200),
        ("/open/x", NOWHERE, 200),
        ("/not-french/x", FR, 451),
        ("/not-french/x", US, 200),
        ("/not-french/x", NOWHERE, 200),
    ] {
        assert_eq!(edge.get_with(path, &[viewer]).await.status, status, "{path} {viewer:?}");
    }
    let lines = edge.log_lines(11).await;
    assert_eq!(lines.iter().filter(|line| line["fault"] == "geo-blocked").count(), 4);
    assert!(edge.metric("edgeweir_faults_total", &["geo-blocked"]).await >= 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoofed_address_does_not_help() {
    let origin = Origin::mirror().await;
    let site = "geo_restriction = { allow = { countries = [\"CH\"] } }";
    let edge = behind_a_proxy(&origin, site).await;
    // What the proxy has seen is the last; what is left of it, the viewer wrote.
    let lies = [
        ("X-Forwarded-For", "195.186.1.111, 8.8.8.8"),
        ("CloudFront-Viewer-Country", "CH"),
        ("X-Real-IP", "195.186.1.111"),
    ];
    assert_eq!(edge.get_with("/x", &lies).await.status, 403);
    let lines = [("X-Forwarded-For", "195.186.1.111"), ("X-Forwarded-For", "8.8.8.8")];
    assert_eq!(edge.get_with("/x", &lines).await.status, 403);
    assert_eq!(edge.get_with("/x", &[("X-Forwarded-For", "8.8.8.8, 195.186.1.111")]).await.status, 200);
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn cached_answers_are_not_shown_where_they_may_not_be() {
    let origin = Origin::start(|_| Reply::new(200, &[("cache-control", "max-age=60")], "body")).await;
    let edge = behind_a_proxy(&origin, "geo_restriction = { deny = { countries = [\"US\"] } }").await;
    assert_eq!(edge.get_with("/x", &[CH]).await.status, 200);
    assert_eq!(edge.get_with("/x", &[US]).await.status, 403);
    assert_eq!(edge.get_with("/x", &[FR]).await.header("age"), Some("0"));
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_replaced_on_disk_and_a_bad_one_is_not_taken() {
    let origin = Origin::mirror().await;
    let config = r#"
        trusted_proxies = ["127.0.0.1/32"]
        [geo]
        databases = ["{dir}/geo.mmdb"]
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        geo_restriction = { allow = { countries = ["CH"] } }
    "#;
    let missing = Setup::new(config).set("origin", &origin.address()).try_start().await.err().expect("no database");
    assert!(missing.contains("cannot read the geo database") && missing.contains("geo.mmdb"), "{missing}");
    let setup = Setup::new(config).set("origin", &origin.address());
    let file = setup.folder().join("geo.mmdb");
    std::fs::write(&file, "no database").expect("a file");
    let corrupt = setup.try_start().await.err().expect("a corrupt database");
    assert!(corrupt.contains("is not a geo database"), "{corrupt}");

    let setup = Setup::new(config).set("origin", &origin.address());
    let file = setup.folder().join("geo.mmdb");
    let good = std::fs::read(DATABASE).expect("the demo's database");
    std::fs::write(&file, &good).expect("a file");
    let edge = setup.start().await;
    let status = async |viewer| edge.get_with("/x", &[viewer]).await.status;
    assert_eq!((status(CH).await, status(US).await), (200, 403));
    // Half of it, as a copy that broke off leaves it: the old one stays, also over a reload.
    std::fs::write(&file, &good[..good.len() / 2]).expect("a file");
    let failures = async || edge.metric("edgeweir_geo_database_loads_total", &["failed"]).await;
    until("the bad file was looked at", async || failures().await >= 1.0).await;
    assert_eq!((status(CH).await, status(US).await), (200, 403));
    edge.reload(config).await.expect("the old database is good");
    assert_eq!((status(CH).await, status(US).await), (200, 403));
    // One in which no country is known.
    let other = swap_country(&good);
    let new = file.with_extension("new");
    std::fs::write(&new, &other).expect("a file");
    std::fs::rename(&new, &file).expect("a rename");
    until("the new file is in force", async || status(CH).await == 403).await;
    std::fs::remove_file(&file).expect("a file");
    edge.reload(config).await.expect("the last database stays");
    assert_eq!(status(CH).await, 403);
}

/// Asks again and again until the answer is yes.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..100 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("waited in vain: {what}");
}

/// The database with each `CH` made another code.
fn swap_country(database: &[u8]) -> Vec<u8> {
    let mut other = database.to_vec();
    let places: Vec<usize> = (0..other.len() - 3).filter(|at| other[*at..].starts_with(b"\x42CH")).collect();
    assert!(!places.is_empty(), "the demo's database has Switzerland");
    for at in places {
        other[at + 1..at + 3].copy_from_slice(b"XX");
    }
    other
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_in_the_key_of_a_policy_are_told_to_the_origin() {
    let origin = Origin::start(|request| {
        let told = ["cloudfront-viewer-country", "cloudfront-is-mobile-viewer", "cloudfront-is-desktop-viewer"];
        let told = told.map(|name| request.header(name).unwrap_or("-").to_owned()).join(" ");
        Reply::new(200, &[("cache-control", "max-age=60")], told)
    })
    .await;
    let site = "[[distributions.site.behaviors]]\ncache_policy = \"located\"\nviewer_headers = []\n\
         [cache_policies.located]\nheaders = [\"CloudFront-Viewer-Country\", \"CloudFront-Is-Mobile-Viewer\"]\n";
    let edge = behind_a_proxy(&origin, site).await;
    let iphone = (
        "User-Agent",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1",
    );
    let firefox = ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0");
    for _ in 0..2 {
        assert_eq!(edge.get_with("/x", &[US, iphone]).await.text(), "US true -");
        assert_eq!(edge.get_with("/x", &[US, firefox]).await.text(), "US false -");
        assert_eq!(edge.get_with("/x", &[CH, firefox]).await.text(), "CH false -");
        assert_eq!(edge.get_with("/x", &[NOWHERE, ("CloudFront-Is-Mobile-Viewer", "true")]).await.text(), "- false -");
    }
    assert_eq!(origin.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_databases_complete_each_other() {
    let origin = Origin::mirror().await;
    let config = r#"
        geo.databases = ["{dir}/asn.mmdb", "{dir}/city.mmdb", "{dir}/country.mmdb"]
        [origins.main]
        url = "http://{origin}"
        [distributions.site]
        hosts = ["site.test"]
        origin = "main"
        [[distributions.site.behaviors]]
        path = "/asn/*"
        geo_restriction = { deny = { asns = [64500] } }
        [[distributions.site.behaviors]]
        path = "/continent/*"
        geo_restriction = { allow = { continents = ["EU"] } }
        [[distributions.site.behaviors]]
        viewer_headers = [
            "CloudFront-Viewer-ASN", "CloudFront-Viewer-City", "CloudFront-Viewer-Country", "CloudFront-Viewer-Country-Name",
            "CloudFront-Viewer-Country-Region", "CloudFront-Viewer-Country-Region-Name", "CloudFront-Viewer-Latitude",
            "CloudFront-Viewer-Longitude", "CloudFront-Viewer-Metro-Code", "CloudFront-Viewer-Postal-Code",
            "CloudFront-Viewer-Time-Zone",
        ]
    "#;
    let setup = Setup::new(config).set("origin", &origin.address());
    for (name, kind, record) in [
        ("asn", "GeoLite2-ASN", json!({ "autonomous_system_number": 64500, "autonomous_system_organization": "Test" })),
        (
            "city",
            "DBIP-City-Lite",
            json!({
                "city": { "names": { "en": "Zürich" } },
                "continent": { "code": "EU", "names": { "en": "Europe" } },
                "country": { "iso_code": "CH", "is_in_european_union": 0, "names": { "en": "Switzerland" } },
                "location": { "latitude": 47.3769, "longitude": 8.5417, "time_zone": "Europe/Zurich" },
                "subdivisions": [{ "names": { "en": "Zurich" } }],
            }),
        ),
        (
            "country",
            "GeoIP2-Country",
            json!({ "country": { "iso_code": "FR", "names": { "en": "France" } }, "subdivisions": [{ "iso_code": "ZH" }],
                "postal": { "code": "8000" } }),
        ),
    ] {
        let bytes = edgeweir_tests::mmdb::database(kind, &record);
        std::fs::write(setup.folder().join(format!("{name}.mmdb")), bytes).expect("a file");
    }
    let edge = setup.start().await;
    assert_eq!(edge.get("/x").await.status, 200);
    let received = origin.only_request();
    for (name, value) in [
        ("asn", Some("64500")),
        ("city", Some("Z%C3%BCrich")),
        ("country", Some("CH")),
        ("country-name", Some("Switzerland")),
        ("country-region", Some("ZH")),
        ("country-region-name", Some("Zurich")),
        ("latitude", Some("47.37690")),
        ("longitude", Some("8.54170")),
        ("metro-code", None),
        ("postal-code", Some("8000")),
        ("time-zone", Some("Europe/Zurich")),
    ] {
        assert_eq!(received.header(&format!("cloudfront-viewer-{name}")), value, "{name}");
    }
    assert_eq!((edge.get("/asn/x").await.status, edge.get("/continent/x").await.status), (403, 200));
}
