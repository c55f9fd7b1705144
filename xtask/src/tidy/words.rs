//! Words that must not stay, and files that have grown too long.

use std::path::Path;

use super::Files;

pub(super) fn check(files: &Files) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in files.with(&["proto", "rs", "sh", "svelte", "toml", "ts"]) {
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(why) = objection(line) {
                findings.push(format!("{}:{number}: {why}", path.display()));
            }
        }
    }
    findings.extend(
        files
            .with(&["rs"])
            .filter_map(|(path, text)| too_long(path, text)),
    );
    findings
}

/// Nine files in ten should stay under 350; this is the end.
const LINES_MAX: usize = 1_000;

fn too_long(path: &Path, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES_MAX).then(|| {
        format!(
            "{}: {lines} lines: a file holds one idea, in at most {LINES_MAX}",
            path.display()
        )
    })
}

fn objection(line: &str) -> Option<&'static str> {
    if NOTES.iter().any(|note| has_without_owner(line, note)) {
        Some("a note on work to do has an owner, as in `(name)` right behind it, or an issue")
    } else if MACROS.iter().any(|stub| line.contains(stub)) {
        Some("a stub: finish it or leave it out")
    } else if line.trim_start().starts_with(IGNORE) {
        Some("a test that is ignored proves nothing: repair it or take it out")
    } else {
        None
    }
}

// In two parts each, so that this file passes its own check.
const NOTES: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];
const MACROS: &[&str] = &[concat!("to", "do!("), concat!("un", "implemented!(")];
const IGNORE: &str = concat!("#[", "ignore");

/// Whether the word stands there alone and without a name in brackets behind it.
fn has_without_owner(line: &str, word: &str) -> bool {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, behind) = (&line[..at], &line[at + word.len()..]);
        let alone = !before.ends_with(is_part) && !behind.starts_with(is_part);
        let owner = behind
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(')'));
        alone && owner.is_none_or(|(name, _)| name.trim().is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let (note, stub, ignore) = (NOTES[0], MACROS[0], IGNORE);
        for (line, objected) in [
            (format!("// {note}: later"), true),
            (format!("// {note}(): later"), true),
            (format!("// {note}(ann): later"), false),
            (format!("// {note}(ann) and {note}"), true),
            (format!("let {note}_ITEMS = 1; // M{note}"), false),
            (format!("{stub})"), true),
            (format!("    {ignore} = \"slow\"]"), true),
            (format!("// says {ignore}]"), false),
        ] {
            assert_eq!(objection(&line).is_some(), objected, "{line}");
        }
    }

    #[test]
    fn findings_have_their_place() {
        let stub = format!("\n{}", MACROS[1]);
        let long = "\n".repeat(LINES_MAX + 1);
        let files = Files::of(&[
            ("a/b.rs", &stub),
            ("c.md", &stub),
            ("long.rs", &long),
            ("long.md", &long),
            ("not-long.rs", &long[1..]),
        ]);
        let findings = check(&files);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].starts_with("a/b.rs:2: a stub"));
        assert!(findings[1].starts_with("long.rs: 1001 lines"));
    }
}
