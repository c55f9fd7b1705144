//! Whether a route's predicates hold of a request.
//!
//! Values are read only where a predicate asks, and borrowed unless an escape has to be decoded.

use std::borrow::Cow;

use ferryway_model::{Predicate, Source};
use http::HeaderMap;
use http::header::COOKIE;
use smallvec::SmallVec;

use crate::request::RequestHead;

/// Whether all hold.
pub(crate) fn hold(predicates: &[Predicate], head: &RequestHead<'_>) -> bool {
    predicates.iter().all(|Predicate { source, op }| {
        let values: Values<'_> = match source {
            Source::Header(name) => head.headers.get_all(name).iter().map(text).collect(),
            Source::Query(name) => query_values(head.query.unwrap_or(""), name).collect(),
            Source::Cookie(name) => cookie_values(head.headers, name).collect(),
        };
        op.holds(values.iter().map(|value| &**value))
    })
}

/// A name that comes more often than this costs an allocation.
type Values<'r> = SmallVec<[Cow<'r, str>; 4]>;

/// A header's value as text; bytes that are no UTF-8 equal nothing that a definition can say.
fn text(value: &http::HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// The decoded values of the query parameters of this name. One without `=` has the empty value.
fn query_values<'q>(query: &'q str, name: &str) -> impl Iterator<Item = Cow<'q, str>> {
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (!pair.is_empty() && decode(key) == name).then(|| decode(value))
    })
}

/// The values of the cookies of this name, in all `Cookie` headers. Quotes belong to the value
/// (RFC 6265, 4.1.1 and 5.4); what has no `=` is no cookie.
fn cookie_values<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = Cow<'h, str>> {
    let lines = headers
        .get_all(COOKIE)
        .iter()
        .map(http::HeaderValue::as_bytes);
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
        (key == name.as_bytes()).then(|| String::from_utf8_lossy(value))
    })
}

/// `+` is a space, `%41` an `A`; a broken escape stands for itself.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..])
                if let (Some(high), Some(low)) = (digit(*high), digit(*low)) =>
            {
                bytes.push(high << 4 | low);
                rest = after;
            }
            _ => bytes.push(first),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn query(query: &str, name: &str, expect: &[&str]) {
        assert_eq!(query_values(query, name).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn query_parameters_are_decoded() {
        query("a=1&b=2&a=3", "a", &["1", "3"]);
        query("a=b+c%20d%2Be", "a", &["b c d+e"]);
        query("%61=1&a%3D=2", "a", &["1"]);
        query("a&a=&b", "a", &["", ""]);
        query("a=1=2", "a", &["1=2"]);
        query("a=%zz%4&a=%", "a", &["%zz%4", "%"]);
        query("a=%C3%A9&a=%FF", "a", &["é", "\u{fffd}"]);
        query("", "a", &[]);
        query("&&=x", "a", &[]);
    }

    #[track_caller]
    fn cookie(lines: &[&str], name: &str, expect: &[&str]) {
        let lines = lines
            .iter()
            .map(|line| (COOKIE, line.parse().expect("is a value")));
        let headers: HeaderMap = lines.collect();
        assert_eq!(cookie_values(&headers, name).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn cookies_of_all_headers() {
        cookie(&["a=1; b=2", "c=3;a=4"], "a", &["1", "4"]);
        cookie(&["a = 1 ;b"], "a", &["1"]);
        cookie(&["a=\"x\"; a=y=z; A=no"], "a", &["\"x\"", "y=z"]);
        cookie(&["a; ab=1; ;="], "a", &[]);
        cookie(&[], "a", &[]);
    }
}
