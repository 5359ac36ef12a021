//! Settings that a hook checks before any request.

use edgeweir_hookhost::{CheckFault, HookFault, Stage, TrapKind};

use crate::support::{LIMITS, engine, load, wasm};

fn check(settings: &str) -> Result<(), CheckFault> {
    load("checked").check_settings("site", "/a*", Stage::ViewerRequest, settings, None)
}

fn problems(settings: &str) -> Vec<(String, String)> {
    match check(settings) {
        Err(CheckFault::Refused(problems)) => {
            problems.iter().map(|problem| (problem.path.to_string(), problem.message.to_string())).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn fault(settings: &str) -> HookFault {
    match check(settings) {
        Err(CheckFault::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn good_settings_and_hooks_that_do_not_look() {
    check(r#"{"limits":[1,2]}"#).unwrap();
    check("{}").unwrap();
    load("no-op").check_settings("site", "*", Stage::ViewerRequest, "this is not JSON", None).unwrap();
}

#[test]
fn problems_have_a_path_and_a_message() {
    let zero = |path: &str| (path.to_owned(), "must not be 0".to_owned());
    assert_eq!(problems(r#"{"limits":[0,1,0]}"#), [zero("/limits/0"), zero("/limits/2")]);
    let misfit = "unknown field `limit`, expected one of `mode`, `limits`, `secret`";
    assert_eq!(problems(r#"{"limit":1}"#), [("/limit".to_owned(), misfit.to_owned())]);
    assert_eq!(problems(r#"{"mode":"none"}"#), [(String::new(), "the hook gives no reason".to_owned())]);
    let told = problems(r#"{"mode":"tell","secret":"x"}"#);
    assert_eq!(told, [("/secret".to_owned(), "the secret is x [0m".to_owned())], "no control characters");
    let many = format!(r#"{{"limits":[{}0]}}"#, "0,".repeat(99));
    assert_eq!(problems(&many).len(), 32);
}

#[test]
fn a_check_knows_the_stage_of_its_binding() {
    let hook = load("checked");
    for stage in Stage::ALL {
        let told = hook.check_settings("site", "*", stage, r#"{"mode":"stage"}"#, None);
        let Err(CheckFault::Refused(problems)) = told else { panic!("{told:?}") };
        assert_eq!(&*problems[0].message, stage.as_str());
    }
}

#[test]
fn the_sandbox_holds() {
    assert!(matches!(fault(r#"{"mode":"trap"}"#), HookFault::Trap { kind: TrapKind::Unreachable, .. }));
    assert!(matches!(fault(r#"{"mode":"hoard"}"#), HookFault::OutOfMemory { .. }));
    let fault_of_panic = fault(r#"{"mode":"trap"}"#).to_string();
    let words: Vec<&str> = fault_of_panic.lines().take(3).collect();
    assert!(words[0].contains("panicked at") && words[0].contains("checked.rs:"), "{fault_of_panic}");
    assert_eq!((words[1], words[2]), ("as the settings say", "wasm trap: wasm `unreachable` instruction executed"));
    let fault_of_request = fault(r#"{"mode":"request"}"#);
    assert!(matches!(fault_of_request, HookFault::Trap { kind: TrapKind::HostCall, .. }));
    assert!(fault_of_request.to_string().contains("there is no request while settings are checked"));
}

#[test]
fn a_check_that_does_not_end_is_ended() {
    let (engine, _) = engine(1);
    let limits = edgeweir_hookhost::HookLimits { timeout: std::time::Duration::from_millis(1), ..LIMITS };
    let hook = engine.load("checked", &wasm("checked"), limits).unwrap();
    let ended = hook.check_settings("site", "*", Stage::ViewerRequest, r#"{"mode":"spin"}"#, None);
    assert!(matches!(ended, Err(CheckFault::Fault(HookFault::Timeout { .. }))), "{ended:?}");
}

#[tokio::test]
async fn also_from_within_a_runtime() {
    check("{}").unwrap();
}

#[test]
fn log_lines_of_a_check_come_through() {
    let (engine, services) = engine(1);
    let hook = engine.load("checked", &wasm("checked"), LIMITS).unwrap();
    hook.check_settings("site", "*", Stage::ViewerRequest, "{}", None).unwrap();
    let lines = services.lines.lock().unwrap();
    assert_eq!((lines[0].1.as_str(), lines[0].3.as_str()), ("settings-check", "settings looked at"));
}
