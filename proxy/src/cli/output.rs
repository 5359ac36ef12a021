//! What the command line writes. A reader that has gone away (a closed pipe) is never an error of ours.

use std::io::{self, IsTerminal as _, Write as _};

/// Writes to standard output.
pub(super) fn out(text: &str) {
    let mut stdout = io::stdout().lock();
    let _closed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes to standard error.
pub(super) fn err(text: &str) {
    let _closed = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes an error and what caused it. It may repeat what a hook's file or a viewer says.
pub(super) fn error(error: &anyhow::Error) {
    let (red, plain) = if colour_on_stderr() { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
    err(&format!("{red}error{plain}: {}\n", lines(&chain(error))));
}

/// The messages of an error and its causes in one line. A cause that its parent's message already tells is left out.
pub(super) fn chain(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !line.contains(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    line
}

/// A line of what hooks or viewers say, without what a terminal could take for a command.
pub(super) fn plain(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The same for lines that belong together.
fn lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// Whether text on standard error may have colours: a terminal, and no `NO_COLOR` (no-color.org).
pub(super) fn colour_on_stderr() -> bool {
    io::stderr().is_terminal() && wanted()
}

/// The same for standard output.
pub(super) fn colour_on_stdout() -> bool {
    io::stdout().is_terminal() && wanted()
}

fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_are_told_once() {
        let error = anyhow!("inner").context("cannot do: inner").context("outer");
        assert_eq!(chain(&error), "outer: cannot do: inner");
    }

    #[test]
    fn what_a_terminal_takes_for_a_command_is_not_shown() {
        assert_eq!(lines("a\u{1b}[31m\rb\n\tc\0\n"), "a\u{fffd}[31m\u{fffd}b\n\u{fffd}c\u{fffd}\n");
        assert_eq!(lines("one line, ä"), "one line, ä");
    }
}
