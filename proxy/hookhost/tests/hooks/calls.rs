//! What hooks see, what comes back, and that the call survives whatever happens.

use std::sync::Arc;

use edgeweir_hookhost::{
    Fact, HeaderEdit, HookFault, OriginFacts, RequestEdit, RequestVerdict, ResponseEdit, Stage, TrapKind,
};

use crate::support::{LIMITS, Request, call, engine, load, request, response_call, wasm};

fn unchanged(request: &Request) {
    assert_eq!(request.path, "/a%20b");
    assert_eq!(request.query.as_deref(), Some("q=x%20y&r"));
    assert_eq!(request.headers.len(), 6);
}

#[tokio::test]
async fn a_no_op_changes_nothing() {
    let hook = load("no-op");
    assert_eq!((hook.name(), hook.stages()), ("no-op", [Stage::ViewerRequest].as_slice()));
    let done = hook.viewer_request(call("")).await;
    assert_eq!(done.verdict.unwrap(), RequestVerdict::Next(vec![]));
    assert!(done.report.reads.is_none());
    assert!(!done.report.duration.is_zero());
    unchanged(&request(done.call));
}

#[tokio::test]
async fn a_trap_gives_the_request_back() {
    let done = load("trap").viewer_request(call("")).await;
    let fault = done.verdict.unwrap_err();
    assert!(matches!(fault, HookFault::Trap { kind: TrapKind::Unreachable, .. }), "{fault}");
    assert_eq!((fault.status(), fault.label()), (503, "trap"));
    // The cause first, then the functions as the source names them, without how Rust panics.
    let words = fault.to_string();
    let start = "hook trapped: unreachable: wasm trap: wasm `unreachable` instruction executed\n\
                 functions of the hook at that moment, each called by the next:\n  in trap::";
    assert!(words.starts_with(start) && !words.contains("panicking"), "{words}");
    unchanged(&request(done.call));
}

#[tokio::test]
async fn a_deep_stack_is_a_trap() {
    let hook = load("stack-overflow");
    for _ in 0..3 {
        let done = hook.viewer_request(call("")).await;
        let fault = done.verdict.unwrap_err();
        // With a stack of 64 KiB in linear memory the guest's own stack ends first: below address 0.
        let kind = match fault {
            HookFault::Trap { kind, .. } => kind,
            other => panic!("{other}"),
        };
        assert!(matches!(kind, TrapKind::StackOverflow | TrapKind::OutOfBounds), "{kind:?}");
        unchanged(&request(done.call));
    }
}

#[tokio::test]
async fn an_error_is_a_fault_with_its_message() {
    let done = load("error").viewer_request(call("")).await;
    let fault = done.verdict.unwrap_err();
    assert_eq!(fault.to_string(), "hook failed: no luck today");
    assert_eq!((fault.status(), fault.label()), (503, "failed"));
}

#[tokio::test]
async fn the_response_is_not_there_at_a_request_stage() {
    let done = load("response-at-request").viewer_request(response_call("")).await;
    let fault = done.verdict.unwrap_err();
    assert!(matches!(fault, HookFault::Trap { kind: TrapKind::HostCall, .. }), "{fault}");
    assert!(fault.to_string().contains("there is no response at this stage"), "{fault}");
    assert!(done.call.response.is_some());
}

#[tokio::test]
async fn a_stage_without_export_is_a_fault() {
    let done = load("no-op").origin_request(call("")).await;
    assert!(matches!(done.verdict, Err(HookFault::MissingStage(Stage::OriginRequest))));
    unchanged(&request(done.call));
}

#[tokio::test]
async fn every_fact_is_readable() {
    let mut call = call("{\"a\":1}");
    call.note = Some("earlier".into());
    call.origin = Some(Arc::new(OriginFacts::named("main")));
    let done = load("echo-facts").viewer_request(call).await;
    let RequestVerdict::Respond(response) = done.verdict.unwrap() else { panic!("no response") };
    let text = String::from_utf8(response.body.to_vec()).unwrap();
    let expected = r#"method="GET"
scheme="https"
authority="www.example:8443"
path="/a%20b"
query=Some("q=x%20y&r")
header-names=["x-many", "cookie", "accept"]
header x-many="one"
header x-many="two"
header cookie="b=2; a=1"
header accept="*/*"
X-Many=["one", "two"]
connection=[]
cookie a=Some("1")
param q=Some("x y")
address="192.0.2.1"
port=Some(4711)
http-version="2.0"
tls-version=Some("TLSv1.3")
country=Some("CH")
continent=None
region=None
city=None
asn=Some(64496)
time-zone=None
coordinates=Some((46.95, 7.45))
device="unknown"
distribution="site"
behavior="/a*"
origin=Some("main")
stage="viewer-request"
request-id="id-1"
settings="{\"a\":1}"
note=Some("earlier")
"#;
    assert_eq!(text, expected);
}

#[tokio::test]
async fn reads_are_recorded_when_asked() {
    let mut recorded = call("");
    recorded.record_reads = true;
    let reads = load("header-edit").viewer_request(recorded).await.report.reads.unwrap();
    assert_eq!(reads.headers, ["accept", "user-agent", "accept-language"].map(Box::from));
    assert!(reads.has(Fact::Country) && !reads.has(Fact::City) && !reads.has(Fact::AllHeaders));
    let mut recorded = call("");
    recorded.record_reads = true;
    let reads = load("echo-facts").viewer_request(recorded).await.report.reads.unwrap();
    assert!(reads.has(Fact::AllHeaders) && reads.has(Fact::Coordinates) && reads.has(Fact::Note));
    assert_eq!((reads.cookies, reads.query_params), (vec!["a".into()], vec!["q".into()]));
}

#[tokio::test]
async fn all_four_stages_of_one_hook() {
    let hook = load("all-stages");
    assert_eq!(hook.stages(), Stage::ALL);
    let mark = |stage: Stage| HeaderEdit::Append("x-stage".parse().unwrap(), stage.as_str().parse().unwrap());
    let RequestVerdict::Next(edits) = hook.viewer_request(call("")).await.verdict.unwrap() else { panic!("response") };
    assert_eq!(
        edits[..],
        [RequestEdit::Header(mark(Stage::ViewerRequest)), RequestEdit::Note("from viewer-request".into())]
    );
    let RequestVerdict::Next(edits) = hook.origin_request(call("")).await.verdict.unwrap() else { panic!("response") };
    assert_eq!(edits[..], [RequestEdit::Header(mark(Stage::OriginRequest))]);
    let edits = hook.origin_response(response_call("")).await.verdict.unwrap();
    assert_eq!(edits, [ResponseEdit::Header(mark(Stage::OriginResponse))]);
    let edits = hook.viewer_response(response_call("")).await.verdict.unwrap();
    let seen = HeaderEdit::Set("x-seen".parse().unwrap(), "203 Some(\"hit\")".parse().unwrap());
    assert_eq!(edits, [ResponseEdit::Header(mark(Stage::ViewerResponse)), ResponseEdit::Header(seen)]);
}

#[tokio::test]
async fn a_response_stage_without_a_response_is_a_trap_not_a_panic() {
    let done = load("all-stages").viewer_response(call("")).await;
    assert!(matches!(done.verdict, Err(HookFault::Trap { kind: TrapKind::HostCall, .. })));
}

#[tokio::test]
async fn hooks_outlive_their_engine_handle() {
    let (engine, _) = engine(2);
    let hook = engine.load("no-op", &wasm("no-op"), LIMITS).unwrap();
    drop(engine);
    assert!(hook.viewer_request(call("")).await.verdict.is_ok());
}
