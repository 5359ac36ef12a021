//! Data that a hook carries, end to end: a version has its own, before and after a reload.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::wasm;
use wasm_encoder::{CustomSection, Section as _};

use crate::support::bound;

fn config() -> String {
    format!(
        "[origins.main]\nurl = \"http://127.0.0.1:9\"\n\
         [hooks.data]\nfile = \"{{dir}}/data.wasm\"\n[distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n{}",
        bound("viewer-request", "\"data\"")
    )
}

async fn answer(edge: &TestEdge, query: &str) -> String {
    let response = edge.get(&format!("/?{query}")).await;
    assert_eq!(response.status, 200, "{query}: {}", response.text());
    response.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_has_its_own_data() {
    let setup = Setup::new(&config());
    let file = setup.folder().join("data.wasm");
    let mut wasm = std::fs::read(wasm::guest("data")).expect("the guest");
    std::fs::write(&file, &wasm).expect("a writable folder");
    let edge = setup.start().await;
    assert_eq!(answer(&edge, "do=range&start=1&end=4").await, "123");
    assert_eq!(answer(&edge, "do=find&word=six").await, "Ok(\"six   \")");
    assert_eq!(answer(&edge, "do=whole").await, "524288 true");

    let name = b"edgeweir:data/data::DIGITS";
    let at = wasm.windows(name.len()).position(|bytes| bytes == name).expect("the section") + name.len();
    wasm[at..at + 10].reverse();
    std::fs::write(&file, &wasm).expect("a writable folder");
    assert_eq!(answer(&edge, "do=range&start=1&end=4").await, "123", "not before the reload");
    edge.reload(&config()).await.expect("the hook loads");
    assert_eq!(answer(&edge, "do=range&start=1&end=4").await, "876");

    // One name for two sections: the version before stays in force.
    CustomSection { name: "edgeweir:data/data::LARGE".into(), data: b"once more".as_slice().into() }
        .append_to(&mut wasm);
    std::fs::write(&file, &wasm).expect("a writable folder");
    let refused = edge.reload(&config()).await.expect_err("two of one name");
    assert!(
        refused.contains("the hook's data is not usable: two sections are named `edgeweir:data/data::LARGE`"),
        "{refused}"
    );
    assert_eq!(answer(&edge, "do=range&start=1&end=4").await, "876");
}
