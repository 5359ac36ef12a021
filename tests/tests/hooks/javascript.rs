//! Hooks in JavaScript on a real edge: the config names the source.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Reply};

const SITE: &str = include_str!("javascript/site.js");

fn config(file: &str) -> String {
    format!(
        "[key_value_stores.flags]\nentries = {{ flag = \"on\" }}\n\
         [origins.main]\nurl = \"http://{{origin}}\"\n[origins.backup]\nurl = \"http://{{backup}}\"\n\
         [hooks.site]\nfile = \"{{dir}}/{file}\"\n\
         [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\n\
         hooks = {{ viewer-request = [{{ hook = \"site\", key_value_stores = [\"flags\"] }}], \
         viewer-response = [{{ hook = \"site\", key_value_stores = [\"flags\"] }}] }}\n"
    )
}

async fn edge(origin: &Origin, backup: &Origin) -> TestEdge {
    let setup = Setup::new(&config("site.js"));
    std::fs::write(setup.folder().join("site.js"), SITE).expect("a writable folder");
    setup.set("origin", &origin.address()).set("backup", &backup.address()).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloudfront_function_runs_from_its_source() {
    let origin = Origin::mirror().await;
    let backup = Origin::start(|_| Reply::new(200, &[], "backup")).await;
    let edge = edge(&origin, &backup).await;

    let response = edge.get("/docs/?utm_source=x&a=1").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("strict-transport-security"), Some("max-age=63072000"));
    assert!(response.header("x-request").is_some_and(|id| !id.is_empty()));
    assert_eq!(origin.only_request().target(), "/docs/index.html?a=1");

    let response = edge.get_with("/country", &[("x-country", "CH")]).await;
    assert_eq!((response.status, response.header("location")), (302, Some("https://site.test/ch/")));
    assert_eq!(
        response.header("strict-transport-security"),
        None,
        "answers of viewer-request hooks skip viewer-response"
    );
    assert_eq!(edge.get("/flag").await.text(), "on");
    assert_eq!(edge.get("/backup").await.text(), "backup");

    // As with CloudFront: 503 for what the function does, 502 for what it returns.
    assert_eq!(edge.get("/throw").await.status, 503);
    assert_eq!(edge.get("/wrong").await.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_does_not_build_refuses_the_config_with_its_place() {
    let setup = Setup::new(&config("broken.js"));
    std::fs::write(setup.folder().join("broken.js"), "function handler(event) {\n  return even t;\n}\n")
        .expect("written");
    let Err(words) = setup.set("origin", "127.0.0.1:9").set("backup", "127.0.0.1:9").try_start().await else {
        panic!("the edge started")
    };
    assert!(words.contains("hook `site`") && words.contains("broken.js:2:15: SyntaxError"), "{words}");
}
