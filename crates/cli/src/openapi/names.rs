//! Names that are made of what people wrote for people, and of what other tools made.

use ferryway_model::limits::NAME_CHARS_MAX;

/// A text as a [`Name`](ferryway_model::Name): words in lower case with `-` between them, so
/// that `listPets` and `List pets` are `list-pets`. None if nothing is left.
pub(super) fn slug(text: &str) -> Option<String> {
    let mut name = words(text, '-');
    name.truncate(NAME_CHARS_MAX);
    name.truncate(name.trim_end_matches('-').len());
    (!name.is_empty()).then_some(name)
}

/// A text as the name of a path's parameter: `petId` is `pet_id`.
pub(super) fn parameter(text: &str) -> String {
    let name = words(text, '_');
    if name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name
    } else {
        format!("_{name}")
    }
}

/// The words of a text in lower case, with `joint` between them. A word ends where something else
/// than a letter or digit stands, before a capital after a small letter or digit, and before the
/// last of several capitals.
fn words(text: &str, joint: char) -> String {
    let mut name = String::with_capacity(text.len());
    let chars: Vec<char> = text.chars().collect();
    for (n, c) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            // Not at the beginning, and not twice.
            if !name.is_empty() && !name.ends_with(joint) {
                name.push(joint);
            }
            continue;
        }
        let before = n.checked_sub(1).map(|before| chars[before]);
        let after_small = before.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let last_capital = before.is_some_and(|b| b.is_ascii_uppercase())
            && chars.get(n + 1).is_some_and(char::is_ascii_lowercase);
        if c.is_ascii_uppercase() && (after_small || last_capital) {
            name.push(joint);
        }
        name.push(c.to_ascii_lowercase());
    }
    name.truncate(name.trim_end_matches(joint).len());
    name
}

#[cfg(test)]
mod tests {
    use ferryway_model::Name;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slugs() {
        for (text, expect) in [
            ("listPets", Some("list-pets")),
            (
                "Swagger Petstore - OpenAPI 3.0",
                Some("swagger-petstore-open-api-3-0"),
            ),
            ("getHTTPStatus", Some("get-http-status")),
            ("get_user__v2", Some("get-user-v2")),
            ("get /users/{userId}", Some("get-users-user-id")),
            ("user2FA", Some("user2-fa")),
            ("  Ünïts ", Some("n-ts")),
            ("日本", None),
            ("", None),
        ] {
            assert_eq!(slug(text).as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn parameters() {
        for (text, expect) in [
            ("petId", "pet_id"),
            ("user-id", "user_id"),
            ("id", "id"),
            ("2nd", "_2nd"),
            ("é", "_"),
            ("ID", "id"),
        ] {
            assert_eq!(parameter(text), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_was_written(text in "\\PC{0,90}") {
            if let Some(name) = slug(&text) {
                prop_assert!(name.parse::<Name>().is_ok(), "{}", name);
            }
            let path = format!("/{{{}}}", parameter(&text));
            prop_assert!(path.parse::<ferryway_model::PathPattern>().is_ok(), "{}", path);
        }
    }
}
