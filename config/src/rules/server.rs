//! The process: that what is said has an effect.

use crate::report::{Problem, Report};
use crate::schema::File;

pub(super) fn check(file: &File, out: &mut Report) {
    let Some(server) = file.server.value() else { return };
    if let Some(grace) = server.min_rate_grace.given().filter(|_grace| server.min_rate.is_absent()) {
        out.push(
            Problem::warning("no-effect", grace.span(), "`min_rate_grace` does nothing without `min_rate`")
                .help("add `min_rate`, as in `min_rate = \"500B\"`, or remove it"),
        );
    }
}
