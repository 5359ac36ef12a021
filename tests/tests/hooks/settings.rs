//! Settings that hooks check themselves: at the start, at a reload and in `edgeweir check`.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::Origin;

use crate::support::{bound, config};

fn checked(settings: &str) -> String {
    let binding = format!("{{ hook = \"checked\", settings = {settings} }}");
    config(&["checked"], &bound("viewer-request", &binding))
}

async fn refusal(text: &str) -> String {
    match Setup::new(text).set("origin", "127.0.0.1:9").env("PIN", "not-to-be-shown").try_start().await {
        Ok(_) => panic!("the edge started"),
        Err(words) => words,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_which_hook_where_and_what() {
    let words = refusal(&checked("{ limits = [1, 0] }")).await;
    let wanted = "hook `checked` at viewer-request of `*` in distribution `site` refuses its settings at `/limits/1`: \
                  must not be 0";
    assert_eq!(words, wanted);
    let words = refusal(&checked("{ limit = 1 }")).await;
    assert!(words.contains("refuses its settings at `/limit`: unknown field `limit`, expected one of"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_fails_is_a_refusal_and_not_a_crash() {
    for (mode, word) in
        [("trap", "as the settings say"), ("hoard", "memory"), ("request", "no request"), ("spin", "timed")]
    {
        let words = refusal(&checked(&format!("{{ mode = \"{mode}\" }}"))).await;
        assert!(
            words.contains("hook `checked`") && (words.contains(word) || words.contains("trapped")),
            "{mode}: {words}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_a_hook_repeats_is_not_shown() {
    let words = refusal(&checked("{ mode = \"tell\", secret = { env = \"PIN\" } }")).await;
    assert!(words.ends_with("refuses its settings at `/secret`: the secret is *** [0m"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_with_refused_settings_keeps_the_old_ones_and_shows_the_place() {
    let origin = Origin::hello().await;
    let edge = TestEdge::start(&checked("{ limits = [7] }"), &origin.address()).await;
    let words = edge.reload(&checked("{ limits = [7, 0] }")).await.expect_err("refused");
    assert!(words.contains("refuses its settings"), "{words}");
    edge.write_config(&checked("{ limits = [7, 0] }"));
    let answer = edge.admin("POST", "/v1/reload").await;
    let report: serde_json::Value = serde_json::from_str(&answer.text()).expect("JSON");
    let report = report["report"].as_str().unwrap_or_default();
    assert_eq!(answer.status, 422, "{report}");
    assert!(
        report.contains("error[settings]: hook `checked`") && report.contains("settings = { limits = [7, 0] }"),
        "{report}"
    );
    let caret = report.lines().find(|line| line.contains('^')).unwrap_or_default();
    assert_eq!(caret.matches('^').count(), 1, "under the one setting: {report}");
    assert_eq!(edge.get("/t").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_hooks_check_their_settings() {
    for (hook, settings, words) in [
        (
            "jwt-auth",
            "{ algorithm = \"HS256\", secret = \"short\" }",
            "at `/secret`: the secret for HS256 needs at least",
        ),
        ("jwt-auth", "{ algo = \"HS256\" }", "unknown field `algo`"),
        ("header-rewrite", "{ request = [{ op = \"set\", name = \"x\" }] }", "at `/request/0`: `value` is missing"),
        ("geo-route", "{ rules = [{ country = [\"CHE\"] }] }", "at `/rules/0/country/0`: `CHE` is no two-letter"),
    ] {
        let behavior = bound("viewer-request", &format!("{{ hook = \"{hook}\", settings = {settings} }}"));
        let text = format!("[hooks.{hook}]\nfile = \"{{hook:{hook}}}\"\n{}", config(&[], &behavior));
        let found = refusal(&text).await;
        assert!(found.contains(hook) && found.contains(words), "{found}");
    }
}
