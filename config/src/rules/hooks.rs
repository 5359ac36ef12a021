//! Hooks: each has one source.

use crate::report::{Problem, Report};
use crate::schema::File;

pub(super) fn check(file: &File, out: &mut Report) {
    let Some(hooks) = file.hooks.value() else { return };
    for (name, hook) in hooks.iter() {
        let deployed = hook.deployed.value() == Some(&true);
        let (message, help) = match (hook.file.is_absent(), deployed) {
            (true, false) => {
                ("has no file", "write `file = \"hook.wasm\"`, or `deployed = true` for `edgeweir hook deploy`")
            }
            (false, true) => ("has a file and is deployed", "keep either `file` or `deployed = true`"),
            _ => continue,
        };
        let message = format!("the hook `{}` {message}", name.get_ref());
        out.push(Problem::error("bad-hook", name.span(), message).help(help));
    }
}
