//! What the hook tests share.

use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::Origin;

/// The start of a config with these hooks (name of a guest each) and one origin; behaviors follow.
pub(crate) fn config(guests: &[&str], behaviors: &str) -> String {
    let mut text = String::from("[origins.main]\nurl = \"http://{origin}\"\n");
    for guest in guests {
        text.push_str(&format!("[hooks.{guest}]\nfile = \"{{guest:{guest}}}\"\n"));
    }
    text.push_str("[distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n");
    text.push_str(behaviors);
    text
}

/// A behavior for all paths with this binding table.
pub(crate) fn bound(stage: &str, binding: &str) -> String {
    format!("[[distributions.site.behaviors]]\npath = \"*\"\nhooks = {{ {stage} = [{binding}] }}\n")
}

/// A binding of the guest `script`, which makes the edits that its lines list.
pub(crate) fn script(lines: &[&str]) -> String {
    format!("{{ hook = \"script\", settings = {{ script = {:?} }} }}", lines.join("\n"))
}

/// An edge with the guest `script` at one stage.
pub(crate) async fn scripted(origin: &Origin, stage: &str, lines: &[&str]) -> TestEdge {
    let text = config(&["script"], &bound(stage, &script(lines)));
    Setup::new(&text).set("origin", &origin.address()).start().await
}
