//! Byte offsets to lines and columns. Any offset is accepted: one inside a character or past the end is moved to the
//! nearest place before it.

use std::ops::Range;

/// A place in a text: both numbers start at 1, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(super) struct Position {
    /// Line.
    pub(super) line: usize,
    /// Column.
    pub(super) column: usize,
}

/// The place of the byte `offset` of `source`.
pub(super) fn position(source: &str, offset: usize) -> Position {
    let before = source.get(..floor(source, offset)).unwrap_or_default();
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Position { line, column }
}

/// `span` cut to the source and to whole characters.
pub(super) fn clamp(source: &str, span: &Range<usize>) -> Range<usize> {
    let start = floor(source, span.start);
    start..floor(source, span.end).max(start)
}

fn floor(source: &str, offset: usize) -> usize {
    source.floor_char_boundary(offset.min(source.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_start_at_one_and_count_characters() {
        let source = "a = 1\nb = \"é\" #\n";
        assert_eq!(position(source, 0), Position { line: 1, column: 1 });
        assert_eq!(position(source, 6), Position { line: 2, column: 1 });
        assert_eq!(position(source, source.find('#').unwrap_or_default()), Position { line: 2, column: 9 });
    }

    #[test]
    fn offsets_out_of_range_do_no_harm() {
        assert_eq!(position("é", 1), Position { line: 1, column: 1 });
        assert_eq!(position("", 99), Position { line: 1, column: 1 });
        assert_eq!(clamp("é", &(1..99)), 0..2);
    }
}
