//! OpenAPI's path templates as our path patterns.

use ferryway_model::{InvalidPath, PathPattern};

use super::names;

/// A pattern, and what should be said of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mapped {
    pub(super) pattern: String,
    pub(super) remark: Option<String>,
}

/// A template as a pattern, or why it cannot be one.
pub(super) fn pattern(template: &str) -> Result<Mapped, String> {
    let Some(rest) = template.strip_prefix('/') else {
        return Err("does not begin with '/'".to_owned());
    };
    if rest.contains(['?', '#']) {
        let why = "has a '?' or '#': what stands behind is no part of a path";
        return Err(why.to_owned());
    }
    let mut remark = None;
    let mut segments: Vec<String> = Vec::new();
    let mut parts = rest.split('/').peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        segments.push(match parameter(part) {
            None if part.contains(['{', '}']) => {
                return Err(format!(
                    "{part:?} has a parameter that is not the whole segment"
                ));
            }
            None if part.contains('*') => return Err(format!("{part:?} has a '*'")),
            None => escaped(part),
            // So API gateways of others write it.
            Some(name) if is_last && name.ends_with(['+', '*']) => {
                remark = Some(format!("{part} is read as everything below"));
                "*".to_owned()
            }
            Some(name) => unique(&names::parameter(name), &segments),
        });
    }
    let mut pattern = format!("/{}", segments.join("/"));
    if let Err(error) = pattern.parse::<PathPattern>() {
        match error {
            InvalidPath::NotNormal(normal) => pattern = normal,
            error => return Err(error.to_string()),
        }
        pattern
            .parse::<PathPattern>()
            .map_err(|error| error.to_string())?;
    }
    Ok(Mapped { pattern, remark })
}

/// The name of the parameter that a whole segment is.
fn parameter(part: &str) -> Option<&str> {
    let name = part.strip_prefix('{')?.strip_suffix('}')?;
    (!name.is_empty() && !name.contains(['{', '}'])).then_some(name)
}

fn unique(name: &str, before: &[String]) -> String {
    let taken = |name: &str| before.iter().any(|it| *it == format!("{{{name}}}"));
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    let free = names.find(|name| !taken(name));
    format!(
        "{{{}}}",
        free.expect("a path has fewer parameters than there are numbers")
    )
}

/// A literal segment with what no path holds escaped.
fn escaped(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_graphic() && !br#""<>\^`|"#.contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, expect: Result<&str, &str>) {
        match (pattern(template), expect) {
            (Ok(mapped), Ok(expect)) => assert_eq!(mapped.pattern, expect, "{template}"),
            (Err(why), Err(part)) => assert!(why.contains(part), "{template}: {why}"),
            (mapped, _) => panic!("{template}: {mapped:?}"),
        }
    }

    #[test]
    fn templates() {
        check("/", Ok("/"));
        check(
            "/pets/{petId}/toys/{toy-id}",
            Ok("/pets/{pet_id}/toys/{toy_id}"),
        );
        check("/a/{x}/b/{X}", Ok("/a/{x}/b/{x_2}"));
        check("/a b/é/c|d", Ok("/a%20b/%C3%A9/c%7Cd"));
        check("/%7euser/a/../b/", Ok("/~user/b/"));
        check("/users:batch", Ok("/users:batch"));
        check("/files/{proxy+}", Ok("/files/*"));
        check("/files/{path*}", Ok("/files/*"));
        check("/files/{proxy+}/x", Ok("/files/{proxy}/x"));
    }

    #[test]
    fn what_cannot_be_a_pattern() {
        check(
            "/a.{x}",
            Err("\"a.{x}\" has a parameter that is not the whole segment"),
        );
        check("/{a}{b}", Err("not the whole segment"));
        check("/{a}:verb", Err("not the whole segment"));
        check("/{}", Err("not the whole segment"));
        check("/a*b", Err("has a '*'"));
        check("/a?b=c", Err("no part of a path"));
        check("/a#b", Err("no part of a path"));
        check("a", Err("begin with '/'"));
        check("/%zz", Err("escape"));
        check(&"/a".repeat(40), Err("too long"));
    }

    #[test]
    fn remarks() {
        assert!(pattern("/a/{b}").unwrap().remark.is_none());
        assert!(pattern("/a/{b+}").unwrap().remark.is_some());
    }
}
