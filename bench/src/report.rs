//! The document that a run ends in.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Outcome, machine};

/// A markdown document: a heading, what it was measured on, then what the run adds.
#[derive(Debug)]
pub struct Report {
    name: &'static str,
    text: String,
}

impl Report {
    /// Begins the document of the benchmark `name`. `arguments` are those that the run was given.
    #[must_use]
    pub fn new(name: &'static str, title: &str, arguments: &[String]) -> Self {
        let command = format!("cargo xtask bench {name}");
        let command = arguments
            .iter()
            .filter(|argument| *argument != "--save")
            .fold(command, |line, argument| format!("{line} {argument}"));
        let mut report = Self {
            name,
            text: format!("# {title}\n"),
        };
        let mut about = Table::new(["", ""]);
        about.row(["machine", &machine::hardware()]);
        about.row(["its load before the run", &machine::load()]);
        about.row([
            "Ferryway",
            &format!("{}, release build", env!("CARGO_PKG_VERSION")),
        ]);
        about.row(["commit", &machine::commit(root())]);
        about.row(["compiler", &machine::compiler()]);
        about.row(["command", &format!("`{command}`")]);
        report.table(&about);
        report
    }

    /// Adds a heading of the second level.
    pub fn heading(&mut self, text: impl Display) {
        self.text += &format!("\n## {text}\n");
    }

    /// Adds a paragraph.
    pub fn paragraph(&mut self, text: impl Display) {
        self.text += &format!("\n{text}\n");
    }

    /// Adds a table.
    pub fn table(&mut self, table: &Table) {
        self.text += &format!("\n{}", table.text);
    }

    /// The document so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Adds how busy the machine is now, at the run's end.
    pub fn load_now(&mut self) {
        self.paragraph(format!(
            "The machine's load after the run: {}.",
            machine::load()
        ));
    }

    /// Keeps the document as `bench/results/NAME.md` of the workspace that this was built in. What
    /// that file has from the line on that says `By hand from here on`, where it has one, stays.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn save(&self) -> Outcome<PathBuf> {
        let file = root()
            .join("bench/results")
            .join(self.name)
            .with_extension("md");
        let before = fs::read_to_string(&file).unwrap_or_default();
        let text = format!("{}{}", self.text, by_hand(&before));
        fs::write(&file, text)
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        Ok(file)
    }
}

/// A table of a [`Report`].
#[derive(Clone, Debug)]
pub struct Table {
    text: String,
}

impl Table {
    /// A table with these columns: names on the left, figures on the right.
    #[must_use]
    pub fn new<const N: usize>(columns: [&str; N]) -> Self {
        let rules: String = (0..N)
            .map(|column| if column == 0 { "---|" } else { "---:|" })
            .collect();
        Self {
            text: format!("{}|{rules}\n", line(&columns)),
        }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.text += &line(&cells);
    }
}

/// Where people's words begin in a recorded document.
const BY_HAND: &str = "<!-- By hand from here on: a run that is saved leaves it alone. -->";

/// What a run leaves alone, with the blank line before it.
fn by_hand(document: &str) -> String {
    match document.split_once(BY_HAND) {
        Some((_, kept)) => format!("\n{BY_HAND}{kept}"),
        None => String::new(),
    }
}

fn line(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn root() -> &'static Path {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.parent().expect("bench lies in the workspace")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_stays() {
        assert_eq!(by_hand("# Old\n\nfigures\n"), "");
        let document = format!("# Old\n\n{BY_HAND}\n\n## History\n");
        let kept = by_hand(&document);
        assert_eq!(kept, format!("\n{BY_HAND}\n\n## History\n"));
        assert_eq!(by_hand(&kept), kept);
    }

    #[test]
    fn a_document() {
        let arguments = ["--swaps", "3", "--save"].map(str::to_owned);
        let mut report = Report::new("reload", "Reload", &arguments);
        report.heading("Here");
        report.paragraph("Said.");
        let mut table = Table::new(["what", "time"]);
        table.row(["publish", "3 ms"]);
        report.table(&table);
        let text = report.text();
        assert!(text.starts_with("# Reload\n\n|  |  |\n|---|---:|\n| machine | "));
        assert!(text.contains("| command | `cargo xtask bench reload --swaps 3` |\n"));
        let end = "\n## Here\n\nSaid.\n\n| what | time |\n|---|---:|\n| publish | 3 ms |\n";
        assert!(text.ends_with(end), "{text}");
    }
}
