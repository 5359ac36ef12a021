//! The shipped hooks keep to their budgets: the size of their file and the memory of a call, as an edge measures it.
#![expect(clippy::print_stdout, reason = "what was measured is shown")]

use edgeweir_tests::edge::Setup;
use edgeweir_tests::origin::Origin;
use edgeweir_tests::wasm;

/// A hook, its binding, and at most so many KiB of file and of memory. A hook that needs more than its budget gets a
/// larger one here, in the commit that says why.
const BUDGETS: [(&str, &str, &str, u64, f64); 6] = [
    (
        "jwt-auth",
        "viewer-request",
        "{ algorithm = \"HS256\", secret = \"0123456789abcdef0123456789abcdef\" }",
        330,
        128.0,
    ),
    (
        "basic-auth",
        "viewer-request",
        "{ realm = \"r\", users = { alice = \"8f2d41c07b9e6a35:e8fca6f40bce6c80599b9c1f93b396100a561cca78f4184ee84f972ab69f8ed9\" } }",
        240,
        128.0,
    ),
    ("header-rewrite", "viewer-request", "{ request = [{ op = \"set\", name = \"x-a\", value = \"1\" }] }", 270, 128.0),
    (
        "redirects",
        "viewer-request",
        "{ prefixes = [{ from = \"/blog\", to = \"https://blog.example/\" }] }",
        265,
        128.0,
    ),
    ("geo-route", "viewer-request", "{ rules = [{ country = [\"CH\"], path_prefix = \"/ch\" }] }", 190, 128.0),
    ("ab-test", "viewer-request", "{ cookie = \"t\", variants = [{ name = \"a\", weight = 1 }] }", 235, 128.0),
];

#[tokio::test(flavor = "multi_thread")]
async fn shipped_hooks_keep_to_their_budgets() {
    let origin = Origin::hello().await;
    let mut over = Vec::new();
    for (name, stage, settings, file, memory) in BUDGETS {
        let size = std::fs::metadata(wasm::hook(name)).expect("it is built").len().div_ceil(1024);
        let text = format!(
            "[origins.main]\nurl = \"http://{{origin}}\"\n[hooks.{name}]\nfile = \"{{hook:{name}}}\"\ntimeout = \"5s\"\n\
             [distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n[[distributions.site.behaviors]]\n\
             path = \"*\"\nhooks = {{ {stage} = [{{ hook = \"{name}\", settings = {settings} }}] }}\n"
        );
        let edge = Setup::new(&text).set("origin", &origin.address()).start().await;
        edge.get_with("/blog/x", &[("Authorization", "Bearer a.b.c"), ("Cookie", "t=a")]).await;
        assert_eq!(edge.metric("edgeweir_hook_calls_total", &[name]).await, 1.0, "{name} was called");
        let used = edge.metric("edgeweir_hook_memory_max_bytes", &[name]).await / 1024.0;
        println!("{name:<15} {size:>4} KiB of {file}, {used:>4} KiB of memory of {memory}");
        if size > file || used > memory {
            over.push(name);
        }
    }
    assert!(over.is_empty(), "over budget: {over:?}");
}
