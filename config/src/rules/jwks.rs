//! Sets of public keys: each has one source, and comes over a way that nobody can change it on.

use std::net::IpAddr;

use crate::report::{Problem, Report};
use crate::schema::{File, Jwks};

/// Most sets of a config.
const MAX_SETS: usize = 64;
/// Longest path and query of a set, in bytes.
const MAX_PATH: usize = 2048;

pub(super) fn check(file: &File, out: &mut Report) {
    let Some(sets) = file.jwks.value() else { return };
    if let Some((name, _)) = sets.0.get(MAX_SETS) {
        let message = format!("{} key sets, at most {MAX_SETS}", sets.0.len());
        out.push(Problem::error("too-many", name.span(), message));
    }
    for (name, set) in sets.iter() {
        let published = [!set.origin.is_absent(), !set.path.is_absent()];
        if published != [set.file.is_absent(); 2] {
            let message = format!("the keys of the key set `{}` come from one place", name.get_ref());
            let help =
                "write either `file = \"jwks.json\"`, or `origin = \"NAME\"` and `path = \"/.well-known/jwks.json\"`";
            out.push(Problem::error("bad-jwks", name.span(), message).help(help));
            continue;
        }
        times(set, out);
        path(set, out);
        way(file, set, out);
    }
}

/// Times are for sets that are asked for, and the least is not over the most.
fn times(set: &Jwks, out: &mut Report) {
    let given = [
        ("min_refresh", set.min_refresh.given().map(|time| time.span())),
        ("max_refresh", set.max_refresh.given().map(|time| time.span())),
        ("max_stale", set.max_stale.given().map(|time| time.span())),
    ];
    if !set.file.is_absent() {
        for (key, span) in given {
            let Some(span) = span else { continue };
            let message = format!("`{key}` does nothing for a file");
            let help = "a file is read again when it changes: leave it out";
            out.push(Problem::error("no-effect", span, message).help(help));
        }
        return;
    }
    if let (Some(min), Some(max)) = (set.min_refresh.given(), set.max_refresh.given())
        && min.get_ref().0 > max.get_ref().0
    {
        let problem = Problem::error("bad-jwks", min.span(), "`min_refresh` is longer than `max_refresh`");
        out.push(problem.also(max.span(), "shorter"));
    }
}

fn path(set: &Jwks, out: &mut Report) {
    let Some(path) = set.path.given() else { return };
    let text = path.get_ref().0.as_str();
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte));
    if !text.starts_with('/') || !plain || text.len() > MAX_PATH {
        let message = format!("a path starts with `/`, is percent-encoded and has at most {MAX_PATH} characters");
        out.push(Problem::error("bad-value", path.span(), message).help("as in `\"/.well-known/jwks.json\"`"));
    }
}

/// Who can change the keys on their way can make tokens.
fn way(file: &File, set: &Jwks, out: &mut Report) {
    let Some(name) = set.origin.given() else { return };
    let origins = file.origins.value();
    let found = origins.and_then(|origins| origins.iter().find(|(known, _)| *known.get_ref() == name.get_ref().0));
    let Some((_, origin)) = found else { return };
    let Some(url) = origin.url.value() else { return };
    let here = url.0.host == "localhost" || url.0.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let why = if here {
        return;
    } else if !url.0.tls {
        "comes over plain HTTP"
    } else if origin.verify_tls.value() == Some(&false) {
        "comes from an origin whose certificate is not checked"
    } else {
        return;
    };
    let message = format!("the key set {why}: whoever can change it on its way can make tokens");
    out.push(Problem::warning("unprotected-keys", name.span(), message));
}
