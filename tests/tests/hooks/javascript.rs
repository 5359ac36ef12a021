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

const ORIGINS: &str = include_str!("javascript/origins.js");

/// A site whose function is `origins.js`, with `other` as the origin that it changes to.
fn changing(text: &str, other: &Origin) -> Setup {
    let setup = Setup::new(text);
    let source = ORIGINS.replace("PORT", other.address().rsplit(':').next().expect("a port"));
    std::fs::write(setup.folder().join("origins.js"), source).expect("a writable folder");
    setup
}

/// CloudFront Developer Guide, "Helper methods for origin modification".
#[tokio::test(flavor = "multi_thread")]
async fn a_function_changes_the_origin_within_what_the_binding_allows() {
    let main = Origin::mirror().await;
    let other = Origin::mirror().await;
    let failing = Origin::start(|_| Reply::new(503, &[], "failing")).await;
    let text = "[origins.main]\nurl = \"http://{origin}/base\"\nheaders = { x-secret = \"s\" }\n\
         [origins.failing]\nurl = \"http://{failing}\"\n\
         [origin_groups.both]\nmembers = [\"failing\", \"main\"]\nstatuses = [503]\n\
         [hooks.site]\nfile = \"{dir}/origins.js\"\n\
         [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\n\
         hooks = { viewer-request = [{ hook = \"site\", dynamic_origins = [\"127.0.0.1\"] }] }\n";
    let edge = changing(text, &other).set("origin", &main.address()).set("failing", &failing.address()).start().await;

    assert_eq!(edge.get("/other/a").await.status, 200);
    let asked = other.only_request();
    assert_eq!((asked.target(), asked.header("x-region"), asked.header("x-secret")), ("/eu/other/a", Some("eu"), None));
    assert_eq!(asked.header("host"), Some(other.address().as_str()));
    assert_eq!(main.heads(), 0);
    // What is left out stays: the host, and with it the headers.
    assert_eq!(edge.get("/path").await.status, 200);
    let asked = main.only_request();
    assert_eq!((asked.target(), asked.header("x-secret")), ("/v2/path", Some("s")));
    assert_eq!(edge.get("/group").await.status, 200);
    assert_eq!(
        (failing.heads(), main.requests().pop().expect("a request").target().to_owned()),
        (1, "/base/group".into())
    );
    for (path, status) in [("/evil", 503), ("/no-group", 502)] {
        assert_eq!(edge.get(path).await.status, status, "{path}");
    }
}

/// One URL from two origins is two objects.
#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_a_function_changed_is_in_the_key() {
    let cached = |body: &'static str| move |_: &_| Reply::new(200, &[("cache-control", "max-age=60")], body);
    let (main, other) = (Origin::start(cached("main")).await, Origin::start(cached("other")).await);
    let text = "[origins.main]\nurl = \"http://{origin}\"\n[hooks.site]\nfile = \"{dir}/origins.js\"\n\
         [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\n\
         hooks = { viewer-request = [{ hook = \"site\", dynamic_origins = [\"127.0.0.1\"] }] }\n";
    let edge = changing(text, &other).set("origin", &main.address()).start().await;
    for _ in 0..2 {
        assert_eq!(edge.get("/by-header").await.text(), "main");
        assert_eq!(edge.get_with("/by-header", &[("x-other", "1")]).await.text(), "other");
    }
    assert_eq!((main.heads(), other.heads()), (1, 1), "each once: the second time is a hit");
}

/// All four stages of a Lambda@Edge handler, with the body of a request and requests of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_lambda_at_edge_handler_runs_at_all_stages() {
    let main = Origin::mirror().await;
    let api = Origin::start(|request| Reply::ok(format!("{{\"target\":\"{}\"}}", request.target()))).await;
    let text = "[origins.main]\nurl = \"http://{origin}\"\n[origins.api]\nurl = \"http://{api}/v1\"\n\
         [hooks.handler]\nfile = \"{dir}/index.js\"\ntimeout = \"5s\"\n\
         [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\n\
         hooks = { viewer-request = [{ hook = \"handler\", fetch = [\"api\"], settings = { TOKEN = \"t\" } }], \
         origin-request = [{ hook = \"handler\", fetch = [], request_body = true, dynamic_origins = [\"127.0.0.1\"] }], \
         origin-response = [{ hook = \"handler\", fetch = [] }], viewer-response = [{ hook = \"handler\", fetch = [] }] }\n";
    let setup = Setup::new(text);
    let source = include_str!("javascript/lambda.js").replace("API", &api.address());
    std::fs::write(setup.folder().join("index.js"), source).expect("a writable folder");
    let edge = setup.set("origin", &main.address()).set("api", &api.address()).start().await;

    let response = edge.get("/page?b=2&a=1").await;
    assert_eq!(response.status, 200);
    assert_eq!((response.header("x-at-origin"), response.header("x-at-viewer")), (Some("GET"), Some("yes")));
    let asked = main.only_request();
    assert_eq!(
        (asked.target(), asked.header("x-token"), asked.header("x-from")),
        ("/page?a=1&b=2", Some("t"), Some("origin-request"))
    );

    // By the address of the origin, and by its name in the config.
    assert_eq!(edge.get("/fetch").await.text(), "/v1/a?b");
    assert_eq!(edge.get("/fetch-name").await.text(), "/v1/a?b");
    assert_eq!(edge.get("/fetch-other").await.status, 503);

    let answer =
        edge.request("POST", "/form", &[("content-type", "application/x-www-form-urlencoded")], b"a=1&b=x+y").await;
    assert_eq!(answer.status, 200);
    let posted = main.requests().pop().expect("a request");
    assert_eq!(
        (&posted.body.bytes[..], posted.header("content-length")),
        (&b"{\"a\":\"1\",\"b\":\"x y\"}"[..], Some("19"))
    );

    let missing = edge.get("/missing").await;
    assert_eq!((missing.status, missing.text().as_str()), (404, "made at origin-response"));
    for (path, status) in [("/throws", 503), ("/wrong", 502)] {
        assert_eq!(edge.get(path).await.status, status, "{path}");
    }
}

/// The headers that the configuration has for an origin may be secrets: a handler does not see them, nor lose them.
#[tokio::test(flavor = "multi_thread")]
async fn headers_of_origins_are_not_shown_to_handlers_and_stay() {
    let main = Origin::mirror().await;
    let text = "[origins.main]\nurl = \"http://{origin}\"\nheaders = { x-secret = \"s\", x-tier = \"config\" }\n\
         [hooks.handler]\nfile = \"{dir}/index.js\"\n\
         [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\n\
         hooks = { origin-request = [\"handler\"], origin-response = [\"handler\"] }\n";
    let setup = Setup::new(text);
    let source = "exports.handler = async ({ Records: [{ cf: { request, response } }] }) => {
            const shown = [{ value: String('x-secret' in request.headers) }];
            if (response) { response.headers['x-shown'] = shown; return response; }
            request.headers['x-shown'] = shown;
            request.headers['x-tier'] = [{ value: 'hook' }];
            if (request.uri === '/custom') request.origin.custom.customHeaders['x-cust'] = [{ value: 'c' }];
            if (request.uri === '/over') request.origin.custom.customHeaders['x-tier'] = [{ value: 'function' }];
            if (request.uri === '/via') request.origin.custom.customHeaders.via = [{ value: '1.1 x' }];
            return request;
        };";
    std::fs::write(setup.folder().join("index.js"), source).expect("a writable folder");
    let edge = setup.set("origin", &main.address()).start().await;
    for (path, tier, custom) in [("/", "config", None), ("/custom", "config", Some("c")), ("/over", "function", None)] {
        let answer = edge.get(path).await;
        assert_eq!((answer.status, answer.header("x-shown")), (200, Some("false")), "{path}");
        let asked = main.requests().pop().expect("a request");
        assert_eq!((asked.header("x-secret"), asked.header("x-shown")), (Some("s"), Some("false")), "{path}");
        assert_eq!((asked.header("x-tier"), asked.header("x-cust")), (Some(tier), custom), "{path}");
    }
    assert_eq!((edge.get("/via").await.status, main.heads()), (502, 3));
}
