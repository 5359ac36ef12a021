//! Groups and hooks: chosen by name, and each hook runs once.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::hostile;
use edgeweir_tests::origin::{Origin, Reply};

use super::config;

async fn hooked(stage: &str, lines: &str, default: &str, a: &str, b: &str) -> TestEdge {
    let rest = format!(
        "[hooks.script]\nfile = \"{{guest:script}}\"\n[[distributions.site.behaviors]]\npath = \"*\"\n\
         hooks = {{ {stage} = [{{ hook = \"script\", settings = {{ script = {lines:?} }} }}] }}\n"
    );
    let text = config("", "", &rest).replace("origin = \"both\"", &format!("origin = \"{default}\""));
    Setup::new(&text).set("a", a).set("b", b).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_request_hooks_run_once_and_their_edits_are_for_each_member() {
    let (a, b) = (hostile::always(Reply::new(503, &[], "")).await, Origin::mirror().await);
    let edge = hooked("origin-request", "set x-edit 1\npath /edited", "both", &a.address(), &b.address()).await;
    assert_eq!(edge.get("/t").await.status, 200);
    for request in [a.only_request(), b.only_request()] {
        assert_eq!((request.target(), request.header_all("x-edit")), ("/edited", vec!["1"]));
    }
    let line = edge.log_lines(1).await.remove(0);
    assert_eq!(line["hooks"].as_array().map(Vec::len), Some(1), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_response_hooks_see_only_the_answer_that_is_taken() {
    let (a, b) = (hostile::always(Reply::new(503, &[("x-from", "a")], "")).await, Origin::hello().await);
    let edge = hooked("origin-response", "append x-hook 1", "both", &a.address(), &b.address()).await;
    let response = edge.get("/t").await;
    assert_eq!((response.status, response.header_all("x-hook")), (200, vec!["1"]));
    assert_eq!(response.header("x-from"), None);
    assert_eq!(edge.log_lines(1).await[0]["hooks"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_choose_a_group_by_name() {
    for stage in ["viewer-request", "origin-request"] {
        let (a, b) = (hostile::always(Reply::new(503, &[], "")).await, Origin::hello().await);
        let edge = hooked(stage, "origin both", "a", &a.address(), &b.address()).await;
        assert_eq!(edge.get("/t").await.text(), "hello", "{stage}");
        assert_eq!(edge.log_lines(1).await[0]["origin_group"], "both", "{stage}");
        // And one origin out of a group.
        let edge = hooked(stage, "origin a", "both", &a.address(), &b.address()).await;
        assert_eq!(edge.get("/t").await.status, 503, "{stage}");
        assert!(edge.log_lines(1).await[0].get("origin_group").is_none(), "{stage}");
    }
}
