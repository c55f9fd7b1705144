//! Text as people are shown it: what it may not hold, and how what callers have named is repeated.

use std::borrow::Cow;

/// What a text holds that whoever reads it would not see; none: nothing. Line feeds and tabs are
/// for whoever takes the text to allow.
pub(crate) fn hidden(text: &str) -> Option<&'static str> {
    if text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return Some("control characters");
    }
    let turned = text.chars().any(is_direction);
    turned.then_some("characters that turn the direction of writing")
}

/// A name of the caller's own choice as it is shown in a place: as it is, unless it is long, or has
/// something in it that would move a terminal's cursor or hide what follows.
pub(crate) fn shown(name: &str) -> Cow<'_, str> {
    const SHOWN_CHARS_MAX: usize = 64;
    let plain = |c: char| !c.is_control() && !is_direction(c);
    if name.len() <= SHOWN_CHARS_MAX && name.chars().all(plain) {
        return Cow::Borrowed(name);
    }
    let mut shown = String::new();
    for c in name.chars().take(SHOWN_CHARS_MAX) {
        if plain(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_unicode());
        }
    }
    if name.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    Cow::Owned(shown)
}

/// Embeddings, overrides and isolates: with them a text can look like another one. Scripts that are
/// written from right to left need none of them.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden() {
        for (text, expect) in [
            ("", None),
            ("line\n\tline", None),
            ("שלום, مرحبا", None),
            ("👩\u{200d}👧", None),
            ("a\0", Some("control characters")),
            ("a\rb", Some("control characters")),
            ("\u{9b}1m", Some("control characters")),
            (
                "\u{202e}gnp.exe",
                Some("characters that turn the direction of writing"),
            ),
            (
                "\u{2066}a\u{2069}",
                Some("characters that turn the direction of writing"),
            ),
        ] {
            assert_eq!(hidden(text), expect, "{text:?}");
        }
    }

    #[track_caller]
    fn check(name: &str, expect: &str) {
        assert_eq!(shown(name), expect, "{name:?}");
    }

    #[test]
    fn what_is_shown_of_a_name() {
        check("", "");
        check("/headers/X-Forwarded-Host", "/headers/X-Forwarded-Host");
        check("ключ", "ключ");
        check("a\u{1b}[31m\n\u{202e}", "a\\u{1b}[31m\\u{a}\\u{202e}");
        check(&"a".repeat(64), &"a".repeat(64));
        check(&"é".repeat(64), &"é".repeat(64));
        check(&"a".repeat(65), &format!("{}…", "a".repeat(64)));
    }
}
