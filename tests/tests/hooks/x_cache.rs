//! `X-Cache` in CloudFront's words, of what hooks answer and of what they do wrong (Lambda@Edge: "Determine the type of error").

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::hostile;
use edgeweir_tests::origin::Origin;
use edgeweir_tests::raw::Response;

use crate::support::{bound, config, script};

async fn start(guest: &str, stage: &str, binding: &str, of_hook: &str, origin: &str) -> TestEdge {
    let text = config(&[guest], &bound(stage, binding))
        .replace(&format!("[hooks.{guest}]\n"), &format!("[hooks.{guest}]\n{of_hook}\n"));
    let text = format!("{text}cache_policy = \"told\"\n[cache_policies.told]\nx_cache = true\n");
    Setup::new(&text).set("origin", origin).start().await
}

fn said(response: &Response) -> Option<&str> {
    response.header("x-cache")?.strip_suffix(" from cloudfront")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_names_what_a_hook_did_wrong() {
    let origin = Origin::hello().await;
    for (guest, of_hook, status, word) in [
        ("bad-header", "", 502, "LambdaValidationError"),
        ("big-response", "", 502, "LambdaValidationError"),
        ("trap", "", 503, "LambdaExecutionError"),
        ("error", "", 503, "LambdaExecutionError"),
        ("spin", "timeout = \"100ms\"", 503, "LambdaExecutionError"),
    ] {
        let edge = start(guest, "viewer-request", &format!("\"{guest}\""), of_hook, &origin.address()).await;
        let answer = edge.get("/t").await;
        assert_eq!((answer.status, said(&answer)), (status, Some(word)), "{guest}");
    }
    for stage in ["origin-request", "origin-response", "viewer-response"] {
        let edge = start("script", stage, &script(&["set connection close"]), "", &origin.address()).await;
        for turn in ["first", "second"] {
            let answer = edge.get("/t").await;
            assert_eq!((answer.status, said(&answer)), (502, Some("LambdaValidationError")), "{stage}, {turn}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_names_a_full_house() {
    let origin = Origin::hello().await;
    let of_hook = "timeout = \"300ms\"\nmax_concurrent = 1";
    let edge = start("spin", "viewer-request", "\"spin\"", of_hook, &origin.address()).await;
    let answers = futures_util::future::join_all((0..6).map(|_| edge.get("/t"))).await;
    let words: Vec<_> = answers.iter().filter_map(said).collect();
    assert!(words.contains(&"LambdaLimitExceeded"), "{words:?}");
    assert!(words.iter().all(|word| matches!(*word, "LambdaLimitExceeded" | "LambdaExecutionError")), "{words:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_answers_of_hooks_from_those_of_the_edge() {
    let origin = Origin::hello().await;
    for stage in ["viewer-request", "origin-request"] {
        let edge = start("script", stage, &script(&["respond 200 made"]), "", &origin.address()).await;
        assert_eq!(said(&edge.get("/t").await), Some("LambdaGeneratedResponse"), "{stage}");
    }
    let down = hostile::refused().await;
    let edge = start("script", "viewer-request", &script(&["set x-a 1"]), "", &down).await;
    let answer = edge.get("/t").await;
    assert_eq!((answer.status, said(&answer)), (502, Some("Error")), "no hook's doing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_that_the_edge_answers_is_no_hooks_doing() {
    let origin = Origin::hello().await;
    let binding = "\"no-op\"";
    let text = config(&["no-op"], &bound("viewer-request", binding));
    let text = format!(
        "{text}cache_policy = \"told\"\ncors = {{ origins = [\"*\"] }}\n[cache_policies.told]\nx_cache = true\n"
    );
    let edge = Setup::new(&text).set("origin", &origin.address()).start().await;
    let fields = [("origin", "https://app.test"), ("access-control-request-method", "GET")];
    let answer = edge.request("OPTIONS", "/t", &fields, b"").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("*")));
    assert_eq!(answer.header("x-cache"), None);
    assert_eq!(said(&edge.get_with("/t", &fields).await), Some("Miss"));
}
