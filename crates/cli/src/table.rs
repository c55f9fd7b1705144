//! Tables without lines, as wide as what they hold.
//!
//! Twenty lines of our own: the crates for this either count color codes as text or bring a
//! terminal library along. How wide a character is, is a table that Unicode keeps.

use unicode_width::UnicodeWidthStr;

use crate::screen::{Paint, visible_cell};

/// What has a line in a table.
pub(crate) trait Row {
    /// The names of the columns.
    const COLUMNS: &'static [&'static str];

    /// What stands in them.
    fn cells(&self, paint: Paint) -> Vec<String>;
}

/// A table of these, or a sentence that says there are none.
pub(crate) fn of<T: Row>(items: &[T], none: &str, paint: Paint) -> String {
    if items.is_empty() {
        return format!("{none}\n");
    }
    let columns = T::COLUMNS.iter().map(|&name| name.to_owned()).collect();
    render(
        columns,
        items.iter().map(|item| item.cells(paint)).collect(),
    )
}

/// A table of cells under its columns' names.
pub(crate) fn render(columns: Vec<String>, rows: Vec<Vec<String>>) -> String {
    let mut widths = vec![0; columns.len()];
    let cells = |row: Vec<String>| row.iter().map(|cell| visible_cell(cell)).collect();
    let lines: Vec<Vec<String>> = std::iter::once(columns).chain(rows).map(cells).collect();
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = shown_width(cell).max(*width);
        }
    }
    let line = |cells: &Vec<String>| {
        let cells = cells.iter().zip(&widths);
        let padded: String = cells.map(|(cell, width)| pad(cell, width + GAP)).collect();
        padded.trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

/// The text with spaces up to a width.
pub(crate) fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(shown_width(text));
    format!("{text}{:missing$}", "")
}

/// How many columns of a terminal a text takes: none for a color (`ESC [ … m`) and for what is put
/// upon the character before it, two for what is as wide as it is high.
pub(crate) fn shown_width(text: &str) -> usize {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.split_once('m').map_or("", |(_, shown)| shown));
    std::iter::once(first)
        .chain(rest)
        .map(UnicodeWidthStr::width)
        .sum()
}

/// Spaces between columns.
const GAP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(a: &str, b: &str) -> Vec<String> {
        vec![a.to_owned(), b.to_owned()]
    }

    #[test]
    fn columns_are_as_wide_as_what_they_hold() {
        let rows = vec![
            row("a", ""),
            row("\x1b[32mgreen\x1b[0m", "é → ✓"),
            row("longer", "x"),
        ];
        let text = render(row("NAME", "X"), rows);
        assert_eq!(
            text,
            "NAME    X\na\n\x1b[32mgreen\x1b[0m   é → ✓\nlonger  x\n"
        );
    }

    /// A host may call itself what it likes.
    #[test]
    fn nothing_in_a_cell_moves_the_cursor() {
        let rows = vec![
            row("a\tb\nc", "\x1b[2J\x1b[31mred\x1b[0m"),
            row("\u{202e}gnp", "\u{9b}1m"),
        ];
        assert_eq!(
            render(row("A", "B"), rows),
            "A              B\na\\u{9}b\\u{a}c  \\u{1b}[2J\x1b[31mred\x1b[0m\n\\u{202e}gnp    \\u{9b}1m\n"
        );
    }

    #[test]
    fn widths_are_those_of_a_terminal() {
        for (text, expect) in [
            ("", 0),
            ("abc", 3),
            ("生产环境", 8),
            ("e\u{301}", 1),
            ("🚀", 2),
            ("\x1b[1m본番\x1b[0m", 4),
        ] {
            assert_eq!(shown_width(text), expect, "{text}");
        }
        let rows = vec![row("生产环境", "x"), row("abc", "y")];
        assert_eq!(
            render(row("TITLE", "Y"), rows),
            "TITLE     Y\n生产环境  x\nabc       y\n"
        );
    }
}
