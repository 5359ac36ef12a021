//! The note from viewer-request to viewer-response: a line for each cookie, beside what other hooks wrote. A request has
//! one note, so several tests share it.

/// Marks our lines.
const MARK: &str = "ab-test: ";

/// The note with one more cookie.
pub(crate) fn with(note: Option<&str>, cookie: &str) -> String {
    match note {
        Some(note) => format!("{note}\n{MARK}{cookie}"),
        None => format!("{MARK}{cookie}"),
    }
}

/// The values of `Set-Cookie` in a note.
pub(crate) fn cookies(note: &str) -> impl Iterator<Item = &str> {
    note.lines().filter_map(|line| line.strip_prefix(MARK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_travel_beside_other_notes() {
        let note = with(Some("mine"), "a=1; Path=/");
        let note = with(Some(&note), "b=2; Path=/");
        assert_eq!(note, "mine\nab-test: a=1; Path=/\nab-test: b=2; Path=/");
        assert_eq!(cookies(&note).collect::<Vec<_>>(), ["a=1; Path=/", "b=2; Path=/"]);
        assert_eq!(cookies(&with(None, "a=1")).collect::<Vec<_>>(), ["a=1"]);
        assert_eq!(cookies("mine").count(), 0);
    }
}
