//! What is told of a hook's bytes, also of those that are not taken.

use edgeweir_hookhost::{Kind, Stage, inspect};
use wit_component::ComponentEncoder;

use crate::support::wasm;

#[test]
fn modules_and_the_components_of_them_say_the_same() {
    let module = wasm("all-stages");
    let component = ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
    let (core, whole) = (inspect(&module), inspect(&component));
    assert_eq!((core.kind, whole.kind), (Kind::Module, Kind::Component));
    for found in [&core, &whole] {
        assert_eq!(found.stages, Stage::ALL);
        assert_eq!((found.contract.as_deref(), found.memory), (Some("0.1.0"), Some(128 << 10)));
    }
    assert_eq!((core.size, whole.size), (module.len(), component.len()));
    assert_ne!(core.sha256, whole.sha256);
}

#[test]
fn what_a_refused_hook_imports_is_told() {
    let found = inspect(&wasm("needs-fetch"));
    assert!(found.imports.contains(&"edgeweir:hook/fetch@0.1.0".to_owned()), "{:?}", found.imports);
    let found = inspect(&wasm("newer-contract"));
    assert_ne!(found.contract, None);
    let found = inspect(&wasm("no-stage"));
    assert_eq!(found.stages, []);
}
