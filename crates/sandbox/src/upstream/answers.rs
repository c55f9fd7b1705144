//! Which path is answered how.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW,
    CONTENT_TYPE, HeaderName, LOCATION, ORIGIN, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

use super::seen::{Field, Seen};

/// How long a request has to wait for its answer; nothing for one whose delay makes no sense,
/// which is refused instead.
pub(super) fn delay(head: &Parts) -> Option<Duration> {
    let allowed = ANY_METHODS.contains(&head.method) || head.method == Method::HEAD;
    match place(head.uri.path()) {
        Some(Place::Delay(seconds)) if allowed => parse_delay(seconds),
        _ => None,
    }
}

/// The answer to a request.
pub(super) fn answer(seen: &Seen<'_>) -> Response<Full<Bytes>> {
    let mut response = match place(seen.head.uri.path()) {
        None => page(StatusCode::NOT_FOUND, NOT_FOUND),
        Some(place) => answer_at(&place, seen),
    };
    allow_origins(seen.head, &mut response);
    response
}

/// An answer with a sentence for a body.
pub(super) fn plain(status: StatusCode, sentence: &'static str) -> Response<Full<Bytes>> {
    body(status, "text/plain; charset=utf-8", sentence)
}

enum Place<'a> {
    Headers,
    Anything,
    Status(&'a str),
    Delay(&'a str),
}

fn place(path: &str) -> Option<Place<'_>> {
    let segment = |rest: &'_ str| !rest.is_empty() && !rest.contains('/');
    if path == "/headers" {
        Some(Place::Headers)
    } else if path == "/anything"
        || path
            .strip_prefix("/anything/")
            .is_some_and(|it| !it.is_empty())
    {
        Some(Place::Anything)
    } else if let Some(code) = path.strip_prefix("/status/").filter(|code| segment(code)) {
        Some(Place::Status(code))
    } else {
        path.strip_prefix("/delay/")
            .filter(|seconds| segment(seconds))
            .map(Place::Delay)
    }
}

impl Place<'_> {
    /// HEAD and OPTIONS are allowed everywhere.
    fn methods(&self) -> &'static [Method] {
        match self {
            Self::Headers => &[Method::GET],
            Self::Anything | Self::Status(_) | Self::Delay(_) => ANY_METHODS,
        }
    }

    fn allow(&self) -> HeaderValue {
        let names: Vec<_> = self.methods().iter().map(Method::as_str).collect();
        let text = format!("{}, HEAD, OPTIONS", names.join(", "));
        HeaderValue::from_str(&text).expect("names of methods make a header value")
    }
}

fn answer_at(place: &Place<'_>, seen: &Seen<'_>) -> Response<Full<Bytes>> {
    let method = &seen.head.method;
    if method == Method::OPTIONS {
        return with(page(StatusCode::OK, ""), ALLOW, place.allow());
    }
    if method != Method::HEAD && !place.methods().contains(method) {
        return with(
            page(StatusCode::METHOD_NOT_ALLOWED, NOT_ALLOWED),
            ALLOW,
            place.allow(),
        );
    }
    match place {
        Place::Headers => json(seen.report(&[Field::Headers])),
        Place::Anything => json(seen.report(ANYTHING)),
        Place::Status(code) => status(code),
        Place::Delay(seconds) if parse_delay(seconds).is_some() => json(seen.report(DELAYED)),
        Place::Delay(_) => plain(StatusCode::BAD_REQUEST, "Invalid delay"),
    }
}

/// Seconds of `/delay`: a number, not negative; more than ten are ten.
fn parse_delay(seconds: &str) -> Option<Duration> {
    let seconds: f64 = seconds.parse().ok()?;
    // `min` comes second: it would make a number of what is none.
    (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(DELAY_SECONDS_MAX)))
}

const DELAY_SECONDS_MAX: f64 = 10.0;

fn status(code: &str) -> Response<Full<Bytes>> {
    let code = code.parse().ok().filter(|code| (200..=599).contains(code));
    let Some(status) = code.and_then(|code| StatusCode::from_u16(code).ok()) else {
        return plain(StatusCode::BAD_REQUEST, "Invalid status code");
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    let (name, value) = match status.as_u16() {
        // The challenge of a 407 is taken away by the server in front of httpbin.
        304 | 407 => return response,
        301..=303 | 305 | 307 => (LOCATION, "/redirect/1"),
        401 => (WWW_AUTHENTICATE, "Basic realm=\"Fake Realm\""),
        _ => (CONTENT_TYPE, HTML),
    };
    with(response, name, HeaderValue::from_static(value))
}

fn json(text: String) -> Response<Full<Bytes>> {
    body(StatusCode::OK, "application/json", text)
}

fn page(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    body(status, HTML, text)
}

fn body(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    with(response, CONTENT_TYPE, HeaderValue::from_static(kind))
}

fn with<B>(mut response: Response<B>, name: HeaderName, value: HeaderValue) -> Response<B> {
    response.headers_mut().insert(name, value);
    response
}

/// httpbin lets every page of the world read its answers.
fn allow_origins<B>(head: &Parts, response: &mut Response<B>) {
    let any = HeaderValue::from_static("*");
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_ORIGIN,
        head.headers.get(ORIGIN).cloned().unwrap_or(any),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    if head.method == Method::OPTIONS {
        let methods = HeaderValue::from_static("GET, POST, PUT, DELETE, PATCH, OPTIONS");
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
        if let Some(asked) = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
    }
}

const ANY_METHODS: &[Method] = &[
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
    Method::TRACE,
];

const ANYTHING: &[Field] = &[
    Field::Args,
    Field::Data,
    Field::Files,
    Field::Form,
    Field::Headers,
    Field::Json,
    Field::Method,
    Field::Origin,
    Field::Url,
];
const DELAYED: &[Field] = &[
    Field::Args,
    Field::Data,
    Field::Files,
    Field::Form,
    Field::Headers,
    Field::Origin,
    Field::Url,
];

const HTML: &str = "text/html; charset=utf-8";
const NOT_FOUND: &str = "<!doctype html>
<html lang=en>
<title>404 Not Found</title>
<h1>Not Found</h1>
<p>The requested URL was not found on the server. If you entered the URL manually please check \
your spelling and try again.</p>
";
const NOT_ALLOWED: &str = "<!doctype html>
<html lang=en>
<title>405 Method Not Allowed</title>
<h1>Method Not Allowed</h1>
<p>The method is not allowed for the requested URL.</p>
";

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[track_caller]
    fn check(method: &str, path: &str, status: u16) -> Response<Full<Bytes>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(())
            .unwrap();
        let (head, ()) = request.into_parts();
        let peer = std::net::Ipv4Addr::LOCALHOST.into();
        let response = answer(&Seen {
            head: &head,
            body: b"",
            peer,
        });
        assert_eq!(response.status(), status, "{method} {path}");
        response
    }

    #[test]
    fn places_and_methods() {
        for (method, path, status) in [
            ("GET", "/headers", 200),
            ("HEAD", "/headers", 200),
            ("POST", "/headers", 405),
            ("GET", "/headers/", 404),
            ("GET", "/", 404),
            ("TRACE", "/anything", 200),
            ("GET", "/anything/", 404),
            ("PATCH", "/anything/a/b", 200),
            ("CONNECT", "/anything/a", 405),
            ("OPTIONS", "/anything", 200),
            ("GET", "/status/418", 418),
            ("PUT", "/status/599", 599),
            ("GET", "/status/600", 400),
            ("GET", "/status/100", 400),
            ("GET", "/status/many", 400),
            ("GET", "/status/", 404),
            ("GET", "/status/200/1", 404),
            ("GET", "/delay/0", 200),
            ("GET", "/delay/-1", 400),
            ("GET", "/delay/NaN", 400),
            ("GET", "/delay/soon", 400),
        ] {
            check(method, path, status);
        }
    }

    #[test]
    fn what_is_not_allowed_says_what_is() {
        let allow = check("POST", "/headers", 405).headers()[ALLOW].clone();
        assert_eq!(allow, "GET, HEAD, OPTIONS");
    }

    #[test]
    fn delays_are_bounded() {
        for (path, expected) in [
            ("/delay/0.25", Some(Duration::from_millis(250))),
            ("/delay/10", Some(Duration::from_secs(10))),
            ("/delay/1e300", Some(Duration::from_secs(10))),
            ("/delay/inf", Some(Duration::from_secs(10))),
            ("/delay/nan", None),
            ("/delay/-0.1", None),
            ("/headers", None),
        ] {
            let (head, ()) = Request::builder().uri(path).body(()).unwrap().into_parts();
            assert_eq!(delay(&head), expected, "{path}");
        }
    }
}
