//! `If-Match` and `If-None-Match: *` (RFC 9110, 13.1).

use axum::http::HeaderMap;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use ferryway_api::ApiError;

use crate::core::IfMatch;

/// Most entity tags that a header may list.
const TAGS_MAX: usize = 64;

/// What a request requires of the resource's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Precondition {
    /// Nothing.
    None,
    /// `*`: that it is there.
    Exists,
    /// That its tag is one of these.
    Tags(Vec<String>),
    /// `If-None-Match: *`: that it isn't there.
    Missing,
}

impl Precondition {
    /// Reads the headers.
    ///
    /// # Errors
    /// One is malformed; or both are there, of which only one could be meant.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut missing = headers.get_all(IF_NONE_MATCH).iter();
        match (missing.next(), missing.next()) {
            (None, _) => Self::read_match(headers),
            (Some(value), None) if value.as_bytes().trim_ascii() == b"*" => {
                if headers.contains_key(IF_MATCH) {
                    let message = "If-Match wants the resource, If-None-Match: * wants none: \
                                   send one of them";
                    return Err(ApiError::Header(message.to_owned()));
                }
                Ok(Self::Missing)
            }
            // A change that is only made where the state is none of these: nobody needs that.
            (Some(_), _) => {
                let message = "If-None-Match must be *, given once: it makes what is not there";
                Err(ApiError::Header(message.to_owned()))
            }
        }
    }

    fn read_match(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut tags = Vec::new();
        let mut star = false;
        for value in headers.get_all(IF_MATCH) {
            let text = value.to_str().map_err(|_| malformed())?;
            if text.trim() == "*" {
                star = true;
            } else {
                read_tags(text, &mut tags)?;
            }
        }
        match (star, tags.is_empty()) {
            (true, true) => Ok(Self::Exists),
            (false, true) if headers.contains_key(IF_MATCH) => Err(malformed()),
            (false, true) => Ok(Self::None),
            (false, false) if tags.len() <= TAGS_MAX => Ok(Self::Tags(tags)),
            (_, false) => Err(malformed()),
        }
    }

    /// Whether a resource with this tag (none: it isn't there) is as required.
    ///
    /// # Errors
    /// It isn't.
    pub(super) fn check(&self, tag: Option<&str>) -> Result<(), ApiError> {
        let good = match self {
            Self::None => true,
            Self::Exists => tag.is_some(),
            Self::Tags(tags) => tag.is_some_and(|tag| tags.iter().any(|wanted| wanted == tag)),
            Self::Missing => tag.is_none(),
        };
        if good { Ok(()) } else { Err(ApiError::Stale) }
    }

    /// The same, for the core, which checks it in the transaction.
    pub(super) fn for_core(&self) -> IfMatch {
        match self {
            Self::None => IfMatch::Anything,
            Self::Exists => IfMatch::Present,
            Self::Tags(tags) => IfMatch::Tags(tags.clone()),
            Self::Missing => IfMatch::Missing,
        }
    }
}

/// Reads `"a", W/"b"`. Weak tags are kept as they are written: none of ours is weak, and If-Match
/// compares strongly, so they match nothing.
fn read_tags(mut text: &str, tags: &mut Vec<String>) -> Result<(), ApiError> {
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        if text.is_empty() {
            return Ok(());
        }
        let weak = if text.starts_with("W/") { 2 } else { 0 };
        let inner = text[weak..].strip_prefix('"').ok_or_else(malformed)?;
        let (tag, rest) = inner.split_once('"').ok_or_else(malformed)?;
        tags.push(text[..weak + tag.len() + 2].to_owned());
        if !rest.is_empty() && !rest.starts_with([' ', '\t', ',']) {
            return Err(malformed());
        }
        text = rest;
    }
}

fn malformed() -> ApiError {
    let message = "If-Match must be * or entity tags in quotes, as an ETag header gave them";
    ApiError::Header(message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&str], expect: impl Into<Option<Precondition>>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, value.parse().unwrap());
        }
        assert_eq!(
            Precondition::read(&headers).ok(),
            expect.into(),
            "{values:?}"
        );
    }

    fn tags(tags: &[&str]) -> Option<Precondition> {
        Some(Precondition::Tags(
            tags.iter().map(|&tag| tag.to_owned()).collect(),
        ))
    }

    #[test]
    fn headers() {
        check(&[], Precondition::None);
        check(&["*"], Precondition::Exists);
        check(&[" * "], Precondition::Exists);
        check(&["\"a\""], tags(&["\"a\""]));
        check(
            &["\"a\",\"b,c\" , W/\"d\""],
            tags(&["\"a\"", "\"b,c\"", "W/\"d\""]),
        );
        check(&["\"a\"", "\"b\""], tags(&["\"a\"", "\"b\""]));
        check(&["\"\""], tags(&["\"\""]));
        for bad in [
            "",
            "a",
            "\"a",
            "\"a\"b",
            "\"a\"\"b\"",
            "w/\"a\"",
            ",",
            "*, \"a\"",
            "**",
        ] {
            check(&[bad], None);
        }
        check(&["*", "\"a\""], None);
        check(&[&"\"a\",".repeat(65)], None);
    }

    #[test]
    fn what_must_not_be_there() {
        for (none_match, if_match, expect) in [
            (&["*"][..], None, Some(Precondition::Missing)),
            (&[" * "], None, Some(Precondition::Missing)),
            (&["*"], Some("*"), None),
            (&["*"], Some("\"a\""), None),
            (&["\"a\""], None, None),
            (&["*", "*"], None, None),
            (&[""], None, None),
        ] {
            let mut headers = HeaderMap::new();
            for value in none_match {
                headers.append(IF_NONE_MATCH, value.parse().unwrap());
            }
            if let Some(value) = if_match {
                headers.append(IF_MATCH, value.parse().unwrap());
            }
            let read = Precondition::read(&headers).ok();
            assert_eq!(read, expect, "{none_match:?} {if_match:?}");
        }
    }

    #[test]
    fn what_holds() {
        let holds = |precondition: Precondition, tag| precondition.check(tag).is_ok();
        assert!(holds(Precondition::None, None));
        assert!(holds(Precondition::Exists, Some("\"a\"")));
        assert!(!holds(Precondition::Exists, None));
        let a = || tags(&["\"a\"", "W/\"b\""]).expect("is some");
        assert!(holds(a(), Some("\"a\"")));
        assert!(!holds(a(), Some("\"b\"")), "a weak tag matches nothing");
        assert!(!holds(a(), None));
        assert!(holds(Precondition::Missing, None));
        assert!(!holds(Precondition::Missing, Some("\"a\"")));
    }
}
