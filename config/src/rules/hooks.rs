//! Hooks: each has one source.

use crate::report::{Problem, Report};
use crate::schema::File;

pub(super) fn check(file: &File, out: &mut Report) {
    let Some(hooks) = file.hooks.value() else { return };
    for (name, hook) in hooks.iter() {
        let deployed = hook.deployed.value().copied();
        // What is there and could not be read has been reported.
        let one = match (hook.file.is_absent(), deployed) {
            (true, Some(true)) | (false, None | Some(false)) => true,
            (true, None) => !hook.deployed.is_absent(),
            _ => false,
        };
        if !one {
            let message = format!("the hook `{}` comes from one place", name.get_ref());
            let help = "write either `file = \"hook.wasm\"` or `deployed = true`";
            out.push(Problem::error("bad-hook", name.span(), message).help(help));
        }
    }
}
