//! Declarative files: from text to resources.

use ferryway_model::document::Document;
use ferryway_runtime::yaml;

use crate::definition::presentable;

/// A document that is accepted is shown as one that is accepted as the same; a problem of one that
/// is not has a place in the file.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let documents = match yaml::read(text) {
        Ok(documents) => documents,
        Err(syntax) => {
            assert!(!syntax.what.is_empty());
            return in_file(text, syntax.at);
        }
    };
    for found in documents {
        match Document::parse(&found.value) {
            Ok(document) => {
                let shown = document.to_value();
                let again = Document::parse(&shown).expect("what is shown is taken");
                assert_eq!(again.id(), document.id());
                assert_eq!(again.to_value(), shown);
            }
            Err(problems) => {
                presentable(&problems);
                for problem in problems {
                    in_file(text, found.place(&problem.path));
                }
            }
        }
    }
}

fn in_file(text: &str, at: yaml::Place) {
    // YAML has more kinds of line ends than one.
    let ends = |c: char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let lines = text.chars().filter(|c| ends(*c)).count() as u64 + 1;
    assert!(
        at.line >= 1 && at.line <= lines + 1,
        "{at} of {lines} lines"
    );
    assert!(at.column >= 1, "{at}");
}
