//! Tables without lines, as wide as what they hold.
//!
//! Twenty lines of our own: the crates for this either count color codes as text or bring a
//! terminal library along.

use crate::screen::Paint;

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
    let lines: Vec<_> = std::iter::once(columns).chain(rows).collect();
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

/// How many characters a terminal shows of a text: not those of a color (`ESC [ … m`).
fn shown_width(text: &str) -> usize {
    let mut in_color = false;
    let shown = text.chars().filter(|&c| {
        let was = in_color;
        in_color = c == '\x1b' || (in_color && c != 'm');
        !in_color && !was
    });
    shown.count()
}

/// Spaces between columns.
const GAP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_they_hold() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
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
}
