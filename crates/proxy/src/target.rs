//! What a request asks for, read strictly: whatever two readers could take differently is refused
//! here, before anything is matched or forwarded.

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::Ipv6Addr;

use ferryway_model::normal_path;
use http::header::{CONTENT_LENGTH, HOST};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri, Version};

use crate::refusal::Refusal;
use crate::settings::URI_BYTES_MAX;

/// What a request asks for.
#[derive(Debug)]
pub(crate) struct Target {
    /// Host and port as the client sent them; HTTP/1.0 may say none.
    host: Option<HeaderValue>,
    /// The path in its normal form, where the client sent another.
    normal: Option<Box<str>>,
}

impl Target {
    /// Reads a request's head. (HTTP/1's framing was read with it.)
    pub(crate) fn read<B>(head: &Request<B>, known: &KnownHost) -> Result<Self, Refusal> {
        if head.method() == Method::CONNECT {
            return Err(Refusal::BadRequest("CONNECT Is Not Served"));
        }
        if head
            .uri()
            .path_and_query()
            .is_some_and(|it| it.as_str().len() > URI_BYTES_MAX)
        {
            return Err(Refusal::UriTooLong);
        }
        if head.version() == Version::HTTP_2 {
            read_http2(head)?;
        }
        let host = read_host(head, known)?;
        let normal = match normal_path(head.uri().path()) {
            Ok(Cow::Borrowed(_)) => None,
            Ok(Cow::Owned(path)) => Some(path.into()),
            Err(_) => return Err(Refusal::BadPath),
        };
        Ok(Self { host, normal })
    }

    /// The path in normal form.
    pub(crate) fn path<'a>(&'a self, uri: &'a Uri) -> &'a str {
        self.normal.as_deref().unwrap_or_else(|| uri.path())
    }

    /// The host, if there is one.
    pub(crate) fn host(&self) -> Option<&str> {
        self.host.as_ref().and_then(|host| host.to_str().ok())
    }

    /// The host as the client sent it, when nothing else is asked any more.
    pub(crate) fn into_host(self) -> Option<HeaderValue> {
        self.host
    }

    /// Turns the client's URI into what goes upstream: the path in normal form without the base
    /// path, and the query as it was.
    pub(crate) fn rewrite(&self, uri: &mut Uri, base_path: &str) -> Result<(), Refusal> {
        // `http://k.io?q` and an HTTP/2 path of `?q` have an empty path, which is sent as `/`.
        let whole = |it: &PathAndQuery| it.as_str().starts_with('/');
        let own =
            self.normal.is_none() && base_path.is_empty() && uri.path_and_query().is_none_or(whole);
        if own && uri.authority().is_none() {
            return Ok(());
        }
        let path_and_query = match uri.path_and_query() {
            Some(path_and_query) if own => path_and_query.clone(),
            _ => self.stripped(uri, base_path)?,
        };
        *uri = Uri::from(path_and_query);
        Ok(())
    }

    fn stripped(&self, uri: &Uri, base_path: &str) -> Result<PathAndQuery, Refusal> {
        let path = self.path(uri);
        // The route has matched, so the path begins with the base path and goes on with '/'.
        let rest = path.strip_prefix(base_path).unwrap_or(path);
        let rest = if rest.is_empty() { "/" } else { rest };
        let text = match uri.query() {
            Some(query) => format!("{rest}?{query}"),
            None => rest.to_owned(),
        };
        PathAndQuery::try_from(text).map_err(|_| Refusal::BadPath)
    }
}

/// The last `Host` of a connection that was found well-formed: most often the next one is the same.
#[derive(Debug, Default)]
pub(crate) struct KnownHost(RefCell<Box<[u8]>>);

impl KnownHost {
    fn is_good(&self, host: &[u8]) -> bool {
        if **self.0.borrow() == *host {
            return !host.is_empty();
        }
        let good = is_authority(host);
        if good {
            // A copy: the header is a slice of a read buffer.
            *self.0.borrow_mut() = host.into();
        }
        good
    }
}

/// What the reader of HTTP/2 lets pass that HTTP/1 cannot carry. (It holds a length against the
/// body, but takes an empty one for 0 and a repeated one for one.)
fn read_http2<B>(head: &Request<B>) -> Result<(), Refusal> {
    let mut lengths = head.headers().get_all(CONTENT_LENGTH).iter();
    if lengths.next().is_some_and(HeaderValue::is_empty) || lengths.next().is_some() {
        return Err(Refusal::BadRequest("Length Is Malformed"));
    }
    let query = head.uri().query().unwrap_or_default();
    if !query.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::BadRequest("Query Is Malformed"));
    }
    Ok(())
}

/// One host, well-formed, and the same wherever it is said.
fn read_host<B>(head: &Request<B>, known: &KnownHost) -> Result<Option<HeaderValue>, Refusal> {
    let mut hosts = head.headers().get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() {
        return Err(Refusal::BadRequest("Host Given Twice"));
    }
    if host.is_some_and(|host| !known.is_good(host.as_bytes())) {
        return Err(Refusal::BadRequest("Host Is Malformed"));
    }
    let Some(authority) = head.uri().authority() else {
        let optional = head.version() < Version::HTTP_11;
        return match host {
            None if !optional => Err(Refusal::BadRequest("Host Is Missing")),
            host => Ok(host.cloned()),
        };
    };
    if !matches!(head.uri().scheme_str(), None | Some("http" | "https")) {
        return Err(Refusal::BadRequest("Scheme Is Not Served"));
    }
    let authority = authority.as_str();
    match host {
        Some(host) if host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) => {
            Ok(Some(host.clone()))
        }
        Some(_) => Err(Refusal::BadRequest("Host And URI Disagree")),
        None if head.version() == Version::HTTP_11 => Err(Refusal::BadRequest("Host Is Missing")),
        None if is_authority(authority.as_bytes()) => Ok(HeaderValue::from_str(authority).ok()),
        None => Err(Refusal::BadRequest("Host Is Malformed")),
    }
}

/// `host` or `host:port`: a name of letters, digits, `-`, `_` in labels, or an IPv6 address in
/// brackets; a port of 1 to 65535.
fn is_authority(text: &[u8]) -> bool {
    if let Some(inner) = text.strip_prefix(b"[") {
        let Some(end) = inner.iter().position(|byte| *byte == b']') else {
            return false;
        };
        let address = std::str::from_utf8(&inner[..end]);
        let good = address.is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
        return good && is_port(&inner[end + 1..]);
    }
    let colon = text.iter().position(|byte| *byte == b':');
    let (name, port) = text.split_at(colon.unwrap_or(text.len()));
    is_name(name) && is_port(port)
}

fn is_name(name: &[u8]) -> bool {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let mut last = b'.';
    for byte in name {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => {}
            b'.' if last != b'.' => {}
            _ => return false,
        }
        last = *byte;
    }
    last != b'.' && name.len() <= NAME_BYTES_MAX
}

/// Nothing, or `:` and a number of 1 to 65535.
fn is_port(text: &[u8]) -> bool {
    let Some((b':', digits)) = text.split_first() else {
        return text.is_empty();
    };
    let short = (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let number = digits.iter().fold(0u32, |sum, digit| {
        sum.wrapping_mul(10).wrapping_add(u32::from(*digit & 15))
    });
    short && (1..=65_535).contains(&number)
}

/// Longest host name, in bytes.
const NAME_BYTES_MAX: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn authority(text: &str, expect: bool) {
        assert_eq!(is_authority(text.as_bytes()), expect, "{text:?}");
    }

    #[test]
    fn hosts() {
        for good in [
            "a",
            "a.b",
            "A-b_c.d",
            "a.",
            "a:1",
            "a.:80",
            "1.2.3.4:65535",
            "[::1]",
            "[::1]:8080",
        ] {
            authority(good, true);
        }
        for bad in [
            "", ".", "a..b", ".a", "a@b", "a:0", "a:65536", "a:99999", "a:+1", "a:", "a:1:2",
            "a b", "<x>", "[::1", "[::1]x", "[x]", "a/b", "a,b", "\u{e9}", "a:000001", "::1",
        ] {
            authority(bad, false);
        }
        authority(&"a".repeat(254), false);
    }

    /// `GET /a HTTP/1.1` and headers, one a line; answers the host, or what is wrong.
    #[track_caller]
    fn check(head: &str, expect: &str) {
        let mut lines = head.split('\n');
        let mut words = lines.next().unwrap_or_default().split(' ');
        let mut word = || words.next().unwrap_or_default();
        let mut request = Request::builder().method(word()).uri(word());
        request = request.version(match word() {
            "HTTP/1.0" => Version::HTTP_10,
            "HTTP/2" => Version::HTTP_2,
            _ => Version::HTTP_11,
        });
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            request = request.header(name, value);
        }
        let request = request.body(()).unwrap();
        let got = match Target::read(&request, &KnownHost::default()) {
            Ok(target) => {
                format!(
                    "{} {}",
                    target.host().unwrap_or("-"),
                    target.path(request.uri())
                )
            }
            Err(Refusal::BadRequest(why)) => why.to_owned(),
            Err(refusal) => refusal.code().to_owned(),
        };
        assert_eq!(got, expect, "{head:?}");
    }

    #[test]
    fn requests() {
        check("GET /a HTTP/1.1\nhost: k.io:80", "k.io:80 /a");
        check("GET /a/../%7Eb HTTP/1.1\nhost: k.io", "k.io /~b");
        check("GET /.. HTTP/1.1\nhost: k.io", "bad_path");
        check("OPTIONS * HTTP/1.1\nhost: k.io", "bad_path");
        check("GET /a HTTP/1.1", "Host Is Missing");
        check("GET /a HTTP/1.0", "- /a");
        check("GET /a HTTP/1.1\nhost: a\nhost: a", "Host Given Twice");
        check("GET /a HTTP/1.1\nhost: a@b", "Host Is Malformed");
        check(
            "CONNECT k.io:443 HTTP/1.1\nhost: k.io:443",
            "CONNECT Is Not Served",
        );
        check(
            &format!("GET /{} HTTP/1.1\nhost: a", "a".repeat(URI_BYTES_MAX)),
            "uri_too_long",
        );
    }

    #[test]
    fn absolute_form() {
        check("GET http://k.io/a HTTP/1.1\nhost: K.io", "K.io /a");
        check(
            "GET http://k.io/a HTTP/1.1\nhost: l.io",
            "Host And URI Disagree",
        );
        check("GET http://k.io/a HTTP/1.1", "Host Is Missing");
        check("GET http://k.io/a HTTP/1.0", "k.io /a");
        check("GET http://u@k.io/a HTTP/1.0", "Host Is Malformed");
        check(
            "GET http://u@k.io/a HTTP/1.1\nhost: k.io",
            "Host And URI Disagree",
        );
        check(
            "GET ftp://k.io/a HTTP/1.1\nhost: k.io",
            "Scheme Is Not Served",
        );
        check("GET http://k.io/a HTTP/2", "k.io /a");
        check("GET /a HTTP/2", "Host Is Missing");
    }

    #[test]
    fn a_known_host_is_not_any_host() {
        let known = KnownHost::default();
        let good = |host: &str| known.is_good(host.as_bytes());
        assert_eq!(
            [
                good(""),
                good("a"),
                good("a"),
                good("a@b"),
                good(""),
                good("b:1")
            ],
            [false, true, true, false, false, true]
        );
    }

    #[track_caller]
    fn rewritten(uri: &str, base_path: &str, expect: &str) {
        let request = Request::builder()
            .uri(uri)
            .header(HOST, "k.io")
            .body(())
            .unwrap();
        let mut request = request;
        let target = Target::read(&request, &KnownHost::default()).unwrap();
        target.rewrite(request.uri_mut(), base_path).unwrap();
        assert_eq!(
            request.uri().to_string(),
            expect,
            "{uri} without {base_path}"
        );
    }

    #[test]
    fn what_goes_upstream() {
        rewritten("/a?b=%zz&c", "", "/a?b=%zz&c");
        rewritten("/%61/./b?q", "", "/a/b?q");
        rewritten("http://k.io/a?b", "", "/a?b");
        rewritten("http://k.io", "", "/");
        rewritten("http://k.io?a", "", "/?a");
        rewritten("/v1/a?b", "/v1", "/a?b");
        rewritten("/v1", "/v1", "/");
        rewritten("/v1?b", "/v1", "/?b");
        rewritten("/v1/../v1//a", "/v1", "//a");
    }
}
