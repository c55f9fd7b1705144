//! What httpbin reports of the request it saw.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::HeaderMap;
use http::request::Parts;
use serde_json::{Value, json};

use super::text;

/// A request, read whole.
pub(super) struct Seen<'a> {
    pub(super) head: &'a Parts,
    pub(super) body: &'a [u8],
    pub(super) peer: IpAddr,
}

/// One key of a report, whose value is what the request had of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    Args,
    Data,
    /// Always empty: multipart bodies are not taken apart.
    Files,
    Form,
    Headers,
    Json,
    Method,
    Origin,
    Url,
}

impl Seen<'_> {
    /// The report as httpbin writes JSON: keys sorted, two spaces deep, ASCII alone.
    pub(super) fn report(&self, fields: &[Field]) -> String {
        let report: BTreeMap<_, _> = fields
            .iter()
            .map(|field| (field.name(), self.field(*field)))
            .collect();
        let pretty = serde_json::to_string_pretty(&report).expect("a map of values is JSON");
        text::ascii(&pretty) + "\n"
    }

    fn field(&self, field: Field) -> Value {
        match field {
            Field::Args => pairs(self.query()),
            Field::Data if self.is_form() => json!(""),
            Field::Data => data(self.body),
            Field::Files => json!({}),
            Field::Form if self.is_form() => pairs(self.body),
            Field::Form => json!({}),
            Field::Headers => json!(self.headers()),
            Field::Json if self.is_form() => Value::Null,
            Field::Json => json_value(self.body),
            Field::Method => json!(self.head.method.as_str()),
            Field::Origin => {
                let peer = || self.peer.to_string();
                json!(header(&self.head.headers, "x-forwarded-for").unwrap_or_else(peer))
            }
            Field::Url => json!(self.url()),
        }
    }

    fn query(&self) -> &[u8] {
        self.head.uri.query().unwrap_or_default().as_bytes()
    }

    fn is_form(&self) -> bool {
        let kind = header(&self.head.headers, "content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default();
        kind.trim()
            .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }

    /// Title-cased names, repeated ones joined; without what proxies add, unless the query has
    /// `show_env`.
    fn headers(&self) -> BTreeMap<String, String> {
        let show_all = pairs(self.query()).get("show_env").is_some();
        let headers = &self.head.headers;
        headers
            .keys()
            .map(|name| name.as_str())
            // The server in front of httpbin drops these: an environment variable's name could
            // not tell them from those with a dash.
            .filter(|name| !name.contains('_'))
            .filter(|name| show_all || !HIDDEN.contains(name))
            .filter_map(|name| Some((text::title_case(name), header(headers, name)?)))
            .filter(|(name, value)| name != "Content-Type" || !value.is_empty())
            .collect()
    }

    fn url(&self) -> String {
        let named = |name| header(&self.head.headers, name).filter(|value| !value.is_empty());
        let forwarded = named("x-forwarded-proto").or_else(|| named("x-forwarded-protocol"));
        let over_tls = forwarded.as_deref() == Some("https")
            || named("x-forwarded-ssl").as_deref() == Some("on");
        let own = if over_tls { "https" } else { "http" };
        let host = named("host").unwrap_or_default();
        let port = if over_tls { ":443" } else { ":80" };
        let host = host.strip_suffix(port).unwrap_or(&host);
        let path = text::url_path(self.head.uri.path().trim_start_matches('/'));
        let query = text::url_query(self.query());
        let mark = if query.is_empty() { "" } else { "?" };
        format!(
            "{}://{host}/{path}{mark}{query}",
            forwarded.as_deref().unwrap_or(own)
        )
    }
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Args => "args",
            Self::Data => "data",
            Self::Files => "files",
            Self::Form => "form",
            Self::Headers => "headers",
            Self::Json => "json",
            Self::Method => "method",
            Self::Origin => "origin",
            Self::Url => "url",
        }
    }
}

/// The headers that httpbin hides: proxies on the way to it add them.
const HIDDEN: &[&str] = &[
    "connect-time",
    "total-route-time",
    "via",
    "x-forwarded-for",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-ssl",
    "x-heroku-dynos-in-use",
    "x-heroku-queue-depth",
    "x-heroku-queue-wait-time",
    "x-real-ip",
    "x-request-id",
    "x-request-start",
    "x-varnish",
];

/// All values of a header, joined. Bytes are read as Latin-1, as WSGI does.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<String> = headers
        .get_all(name)
        .iter()
        .map(|value| value.as_bytes().iter().copied().map(char::from).collect())
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// `a=1&b=2&a=3` as `{"a": ["1", "3"], "b": "2"}`.
fn pairs(encoded: &[u8]) -> Value {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in encoded
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        let cut = pair.iter().position(|byte| *byte == b'=');
        let (key, value) = cut.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
        found
            .entry(text::form_part(key))
            .or_default()
            .push(text::form_part(value));
    }
    let flat = |values: Vec<String>| match <[String; 1]>::try_from(values) {
        Ok([value]) => json!(value),
        Err(values) => json!(values),
    };
    found
        .into_iter()
        .map(|(key, values)| (key, flat(values)))
        .collect()
}

/// Text as it is, all else as a `data:` URL.
fn data(body: &[u8]) -> Value {
    match std::str::from_utf8(body) {
        Ok(text) => json!(text),
        Err(_) => json!(format!(
            "data:application/octet-stream;base64,{}",
            text::base64(body)
        )),
    }
}

fn json_value(body: &[u8]) -> Value {
    let mut value: Value = serde_json::from_slice(body).unwrap_or_default();
    // Sorted already, unless some crate of the build has asked serde_json to preserve the order.
    value.sort_all_objects();
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use std::net::Ipv4Addr;

    #[track_caller]
    fn check(
        request: http::request::Builder,
        body: &[u8],
        field: Field,
        expected: impl Into<Value>,
    ) {
        let (head, ()) = request.body(()).unwrap().into_parts();
        let seen = Seen {
            head: &head,
            body,
            peer: Ipv4Addr::LOCALHOST.into(),
        };
        let report: Value = serde_json::from_str(&seen.report(&[field])).unwrap();
        assert_eq!(report[field.name()], expected.into());
    }

    fn request() -> http::request::Builder {
        Request::builder().header("host", "a")
    }

    #[test]
    fn proxies_headers_are_hidden_and_repeated_ones_joined() {
        let forwarded = || {
            request()
                .header("x-forwarded-for", "1.2.3.4")
                .header("via", "1.1 b")
                .header("x-dup", "1")
        };
        let plain = forwarded()
            .header("x-dup", "2")
            .header("x-under_score", "3");
        check(
            plain,
            b"",
            Field::Headers,
            json!({"Host": "a", "X-Dup": "1,2"}),
        );
        check(
            forwarded().uri("/headers?show_env=1"),
            b"",
            Field::Headers,
            json!({"Host": "a", "X-Dup": "1", "X-Forwarded-For": "1.2.3.4", "Via": "1.1 b"}),
        );
        check(forwarded(), b"", Field::Origin, json!("1.2.3.4"));
        check(request(), b"", Field::Origin, json!("127.0.0.1"));
    }

    #[test]
    fn urls() {
        for (uri, headers, expected) in [
            (
                "/a%20b/%C3%BC%25x//y?q=1&u=%C3%BC",
                vec![],
                "http://a/a%20b/ü%x//y?q=1&u=ü",
            ),
            ("/", vec![("x-forwarded-proto", "https")], "https://a/"),
            ("/?", vec![("x-forwarded-ssl", "on")], "https://a/"),
        ] {
            let builder = headers
                .iter()
                .fold(request().uri(uri), |it, (k, v)| it.header(*k, *v));
            check(builder, b"", Field::Url, json!(expected));
        }
        let with_port = Request::builder().header("host", "a:80").uri("/");
        check(with_port, b"", Field::Url, json!("http://a/"));
    }

    #[test]
    fn bodies() {
        let form = || request().header("content-type", "application/x-www-form-urlencoded; a=b");
        let body = b"x=1&y&x=a+b%21&&=z";
        let expected = json!({"x": ["1", "a b!"], "y": "", "": "z"});
        check(form(), body, Field::Form, expected);
        check(form(), body, Field::Data, json!(""));
        check(form(), b"1", Field::Json, Value::Null);
        check(request(), body, Field::Form, json!({}));
        check(
            request(),
            b"{\"b\":1,\"a\":[]}",
            Field::Json,
            json!({"a": [], "b": 1}),
        );
        check(request(), b"{", Field::Json, Value::Null);
        check(request(), b"{", Field::Data, json!("{"));
        let url = json!("data:application/octet-stream;base64,//4=");
        check(request(), b"\xff\xfe", Field::Data, url);
    }

    #[test]
    fn reports_are_ascii_and_sorted() {
        let (head, ()) = request()
            .uri("/?u=%C3%BC&a=1")
            .body(())
            .unwrap()
            .into_parts();
        let seen = Seen {
            head: &head,
            body: b"",
            peer: Ipv4Addr::LOCALHOST.into(),
        };
        let expected = "{\n  \"args\": {\n    \"a\": \"1\",\n    \"u\": \"\\u00fc\"\n  },\n  \
                        \"method\": \"GET\"\n}\n";
        assert_eq!(seen.report(&[Field::Method, Field::Args]), expected);
    }
}
