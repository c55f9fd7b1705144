//! The query of a request: every parameter is known, given once, and well formed, or the answer is
//! 400.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use ferryway_api::{ApiError, CallOptions};
use ferryway_model::Span;
use utoipa::IntoParams;

/// The parameters as they came. Each handler reads them into what it knows.
#[derive(Debug)]
pub(super) struct Params {
    pairs: Vec<(String, String)>,
    /// What is wrong with the query as a whole.
    broken: Option<&'static str>,
}

/// What a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Most items on the page: 1 to 1000, default 100.
    #[param(required = false, minimum = 1, maximum = 1000)]
    pub(super) limit: usize,
    /// The `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
    /// `KEY=VALUE`: only what has this label. May be given several times: all must match.
    #[param(required = false, value_type = Vec<String>)]
    pub(super) label: Vec<(String, String)>,
    /// Only what has this text in a name or title, whatever the case. Here in lower case.
    pub(super) q: Option<String>,
}

/// What a list is asked for whose items have no labels.
#[derive(Clone, Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PlainListQuery {
    /// Most items on the page: 1 to 1000, default 100.
    #[param(required = false, minimum = 1, maximum = 1000)]
    limit: usize,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only what has this text in it, whatever the case.
    q: Option<String>,
}

/// How long the answer may wait for the end of delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WaitQuery {
    /// Answer when delivery has ended, or after this time ("30s"; at most "5m"), whichever is
    /// first. Left out: at once.
    #[param(value_type = Option<String>)]
    pub(super) wait: Option<Duration>,
}

/// The options of calls whose body is the resource itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OptionsQuery {
    /// Only say what the call would do.
    #[param(required = false)]
    dry_run: bool,
    /// The digest of the plan that the caller saw.
    #[param(value_type = Option<String>)]
    expect_plan: Option<ferryway_model::Digest>,
}

/// Longest wait for the end of delivery.
const WAIT_MAX: Duration = Duration::from_secs(5 * 60);
/// Items of a page that doesn't say how many.
const LIMIT_DEFAULT: usize = 100;
/// Most items of a page.
const LIMIT_MAX: usize = 1_000;

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        Ok(Self {
            // Pairs of texts can be made of any query: what is broken in it is replaced.
            pairs: pairs.map(|Query(pairs)| pairs).unwrap_or_default(),
            broken: broken(parts.uri.query().unwrap_or_default()),
        })
    }
}

impl Params {
    /// There are none.
    ///
    /// # Errors
    /// There are.
    pub(super) fn none(self) -> Result<(), ApiError> {
        self.end(&[])
    }

    /// Those of a list.
    ///
    /// # Errors
    /// They are not.
    pub(super) fn list(mut self) -> Result<ListQuery, ApiError> {
        let query = self.take_list()?;
        self.end(&["limit", "cursor", "label", "q"])?;
        Ok(query)
    }

    /// Those of a list whose items have no labels: to ask for one would find nothing, whatever it
    /// is.
    ///
    /// # Errors
    /// They are not.
    pub(super) fn plain_list(mut self) -> Result<ListQuery, ApiError> {
        let query = self.take_plain_list()?;
        self.end(&["limit", "cursor", "q"])?;
        Ok(query.into())
    }

    /// Those of the comparison: a list's, two that must be there, and one that may.
    ///
    /// # Errors
    /// They are not.
    pub(super) fn compare<T>(mut self) -> Result<(T, T, Option<T>, ListQuery), ApiError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let need = |value: Option<T>, name: &str| {
            let message = format!("the query needs {name}=GROUP");
            value.ok_or(ApiError::Query(message))
        };
        let a = self.parsed("a")?;
        let b = self.parsed("b")?;
        let service = self.parsed("service")?;
        let list = self.take_list()?;
        self.end(&["a", "b", "service", "limit", "cursor", "label", "q"])?;
        Ok((need(a, "a")?, need(b, "b")?, service, list))
    }

    /// How long to wait.
    ///
    /// # Errors
    /// Something else.
    pub(super) fn wait(mut self) -> Result<WaitQuery, ApiError> {
        let wait = self.take_wait()?;
        self.end(&["wait"])?;
        Ok(wait)
    }

    /// How long to wait, and the options of a call.
    ///
    /// # Errors
    /// Something else.
    pub(super) fn wait_and_options(mut self) -> Result<(WaitQuery, OptionsQuery), ApiError> {
        let wait = self.take_wait()?;
        let options = OptionsQuery {
            dry_run: self.flag("dry_run")?,
            expect_plan: self.parsed("expect_plan")?,
        };
        self.end(&["wait", "dry_run", "expect_plan"])?;
        Ok((wait, options))
    }

    fn take_list(&mut self) -> Result<ListQuery, ApiError> {
        let plain = self.take_plain_list()?;
        let mut label = Vec::new();
        for (_, text) in self.pairs.extract_if(.., |(name, _)| name == "label") {
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| ApiError::Query(format!("label is {text:?}; must be KEY=VALUE")))?;
            label.push((key.to_owned(), value.to_owned()));
        }
        Ok(ListQuery {
            label,
            ..plain.into()
        })
    }

    fn take_plain_list(&mut self) -> Result<PlainListQuery, ApiError> {
        let limit = match self.one("limit")? {
            None => LIMIT_DEFAULT,
            Some(text) => {
                let number = text.parse().ok().filter(|n| (1..=LIMIT_MAX).contains(n));
                let wrong = || format!("limit is {text:?}; must be 1 to {LIMIT_MAX}");
                number.ok_or_else(|| ApiError::Query(wrong()))?
            }
        };
        let cursor = self.one("cursor")?;
        let q = self.one("q")?.map(|q| q.to_lowercase());
        Ok(PlainListQuery { limit, cursor, q })
    }

    fn take_wait(&mut self) -> Result<WaitQuery, ApiError> {
        let wait = self.parsed::<Span>("wait")?.map(Span::duration);
        if wait.is_some_and(|wait| wait > WAIT_MAX) {
            return Err(ApiError::Query(format!("wait is longer than {WAIT_MAX:?}")));
        }
        Ok(WaitQuery { wait })
    }

    fn flag(&mut self, name: &str) -> Result<bool, ApiError> {
        match self.one(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(text) => {
                let message = format!("{name} is {text:?}; must be true or false");
                Err(ApiError::Query(message))
            }
        }
    }

    fn one(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        let mut values = self
            .pairs
            .extract_if(.., |(given, _)| given == name)
            .map(|(_, value)| value);
        let first = values.next();
        if values.next().is_some() {
            return Err(ApiError::Query(format!("{name} is given twice")));
        }
        Ok(first)
    }

    fn parsed<T>(&mut self, name: &str) -> Result<Option<T>, ApiError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let Some(text) = self.one(name)? else {
            return Ok(None);
        };
        let parsed = text.parse();
        parsed
            .map(Some)
            .map_err(|error: T::Err| ApiError::Query(format!("{name} is {text:?}: {error}")))
    }

    /// Nothing is broken, and whatever is left is unknown.
    fn end(self, known: &[&str]) -> Result<(), ApiError> {
        const SHOWN_CHARS_MAX: usize = 64;
        if let Some(what) = self.broken {
            return Err(ApiError::Query(format!("the query has {what}")));
        }
        let Some((name, _)) = self.pairs.first() else {
            return Ok(());
        };
        let name: String = name.chars().take(SHOWN_CHARS_MAX).collect();
        let hint = match known {
            [] => "there is none here".to_owned(),
            known => format!("known are {}", known.join(", ")),
        };
        Err(ApiError::Query(format!(
            "{name:?} is no query parameter here; {hint}"
        )))
    }
}

/// What of a query cannot be read as it was meant.
fn broken(query: &str) -> Option<&'static str> {
    let hex = |byte: Option<u8>| char::from(byte?).to_digit(16);
    let (mut decoded, mut bytes) = (Vec::with_capacity(query.len()), query.bytes());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (hex(bytes.next()), hex(bytes.next())) else {
            return Some("a '%' without two hex digits; write the sign itself as %25");
        };
        decoded.extend(u8::try_from(high * 16 + low));
    }
    match str::from_utf8(&decoded) {
        Ok(_) => None,
        Err(_) => Some("escapes that are no UTF-8"),
    }
}

impl From<PlainListQuery> for ListQuery {
    fn from(query: PlainListQuery) -> Self {
        let PlainListQuery { limit, cursor, q } = query;
        Self {
            limit,
            cursor,
            label: Vec::new(),
            q,
        }
    }
}

impl From<OptionsQuery> for CallOptions {
    fn from(query: OptionsQuery) -> Self {
        let OptionsQuery {
            dry_run,
            expect_plan,
        } = query;
        Self {
            dry_run,
            expect_plan,
        }
    }
}

impl ListQuery {
    /// Whether something with these labels and texts is asked for.
    pub(super) fn matches(&self, labels: &BTreeMap<String, String>, texts: &[&str]) -> bool {
        self.matches_any(labels, texts.iter().copied())
    }

    /// The same, of texts that are many.
    pub(super) fn matches_any<'t>(
        &self,
        labels: &BTreeMap<String, String>,
        mut texts: impl Iterator<Item = &'t str>,
    ) -> bool {
        let has = |(key, value): &(String, String)| labels.get(key) == Some(value);
        let says = |q: &String| texts.any(|text| says_it(text, q));
        self.label.iter().all(has) && self.q.as_ref().is_none_or(says)
    }

    /// The cursor as what it was made of.
    ///
    /// # Errors
    /// It is none of this list's.
    pub(super) fn cursor<T: FromStr>(&self) -> Result<Option<T>, ApiError> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        cursor.parse().map(Some).map_err(|_| bad_cursor())
    }
}

/// Whether a text has `q`, which is in lower case, in it, whatever the case. Who searches for what
/// is rare looks at all there is, so for plain texts nothing is made to compare with.
fn says_it(text: &str, q: &str) -> bool {
    if !text.is_ascii() {
        return text.to_lowercase().contains(q);
    }
    let mut places = text.as_bytes().windows(q.len().max(1));
    q.is_empty() || places.any(|place| place.eq_ignore_ascii_case(q.as_bytes()))
}

pub(super) fn bad_cursor() -> ApiError {
    ApiError::Query("cursor is none that this list gave; start without one".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_have_what_their_lower_case_has(text in "[a-cA-CäÄK ]{0,6}", q in "[a-cB-CäÄkK ]{0,2}") {
            let q = q.to_lowercase();
            prop_assert_eq!(says_it(&text, &q), text.to_lowercase().contains(&q));
        }
    }

    fn params(query: &str) -> Params {
        let uri = format!("/?{query}").parse().unwrap();
        Params {
            pairs: Query::try_from_uri(&uri).unwrap().0,
            broken: broken(uri.query().unwrap_or_default()),
        }
    }

    #[track_caller]
    fn list(query: &str, expect: Result<ListQuery, &str>) {
        match (params(query).list(), expect) {
            (Ok(got), Ok(expect)) => assert_eq!(got, expect, "{query}"),
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{query}: {error}")
            }
            (got, expect) => panic!("{query}: got {got:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn lists() {
        let plain = ListQuery {
            limit: 100,
            cursor: None,
            label: Vec::new(),
            q: None,
        };
        list("", Ok(plain.clone()));
        let label = vec![
            ("a".to_owned(), "b=c".to_owned()),
            ("d".to_owned(), String::new()),
        ];
        let q = Some("x y".to_owned());
        list(
            "limit=1000&label=a=b%3Dc&q=x+y&label=d=",
            Ok(ListQuery {
                limit: 1_000,
                label,
                q,
                ..plain
            }),
        );
        for (query, part) in [
            ("limit=0", "1 to 1000"),
            ("limit=1001", "1 to 1000"),
            ("limit=-1", "limit is"),
            ("limit=x", "limit is"),
            ("limit=1&limit=1", "limit is given twice"),
            ("label=a", "KEY=VALUE"),
            ("cursr=1", "known are limit, cursor, label, q"),
            ("zz", "no query parameter"),
            ("%zz", "two hex digits"),
            ("q=%4", "two hex digits"),
            ("q=a%", "two hex digits"),
            ("q=%FF", "no UTF-8"),
            ("%ED%A0%80=1", "no UTF-8"),
        ] {
            list(query, Err(part));
        }
    }

    #[test]
    fn waits_and_options() {
        let wait = |query| {
            params(query)
                .wait()
                .map(|query| query.wait)
                .map_err(|e| e.to_string())
        };
        assert_eq!(wait(""), Ok(None));
        assert_eq!(wait("wait=30s"), Ok(Some(Duration::from_secs(30))));
        assert_eq!(wait("wait=5m"), Ok(Some(WAIT_MAX)));
        for (query, part) in [
            ("wait=5m1ms", "longer than 300s"),
            ("wait=30", "must be a whole number with a unit"),
            ("wait=", "must be a whole number with a unit"),
            ("dry_run=true", "known are wait"),
        ] {
            let error = wait(query).expect_err("is refused");
            assert!(error.contains(part), "{query}: {error}");
        }
        let (_, options) = params("dry_run=true").wait_and_options().expect("is good");
        assert!(options.dry_run && options.expect_plan.is_none());
        params("dry_run=yes")
            .wait_and_options()
            .expect_err("is no flag");
        params("expect_plan=1")
            .wait_and_options()
            .expect_err("is no digest");
        params("").none().expect("is empty");
        params("x").none().expect_err("is not empty");
    }

    #[test]
    fn what_matches() {
        let labels = BTreeMap::from([("team".to_owned(), "core".to_owned())]);
        for (query, expect) in [
            ("", true),
            ("label=team=core", true),
            ("label=team=core&label=x=y", false),
            ("label=team=Core", false),
            ("q=HTTP", true),
            ("q=group", true),
            ("q=none", false),
            ("q=http&label=x=y", false),
        ] {
            let query_read = params(query).list().expect("is good");
            assert_eq!(
                query_read.matches(&labels, &["httpbin", "Test Group"]),
                expect,
                "{query}"
            );
        }
    }
}
