//! What of a request decides about its route.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use http::{HeaderMap, Method};

/// What of a request decides about its route. Borrowed from the request.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'r> {
    /// The method.
    pub method: &'r Method,
    /// The host in its form for comparison, as [`request_host`] gives it.
    pub host: Option<&'r str>,
    /// The path in normal form, as `ferryway_model::normal_path` gives it.
    pub path: &'r str,
    /// The query as it was sent, without the `?`.
    pub query: Option<&'r str>,
    /// The headers, cookies among them.
    pub headers: &'r HeaderMap,
}

/// The host of a `Host` header or `:authority` in its form for comparison: lower case, without port
/// and trailing dot; an IPv6 address in brackets and its shortest spelling. Borrowed unless
/// something other than the end has to be changed. Whether it is a well-formed host is not looked
/// at: one that isn't matches no host of a service.
#[must_use]
pub fn request_host(raw: &str) -> Cow<'_, str> {
    if raw.starts_with('[') {
        let host = raw.find(']').map_or(raw, |end| &raw[..=end]);
        return ipv6_host(host);
    }
    let host = raw.find(':').map_or(raw, |port| &raw[..port]);
    lower_case(host.strip_suffix('.').unwrap_or(host))
}

fn lower_case(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

fn ipv6_host(host: &str) -> Cow<'_, str> {
    let inner = host[1..].strip_suffix(']');
    let Some(Ok(address)) = inner.map(str::parse::<Ipv6Addr>) else {
        return lower_case(host);
    };
    let shortest = format!("[{address}]");
    if shortest == host {
        Cow::Borrowed(host)
    } else {
        Cow::Owned(shortest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expect: &str, borrowed: bool) {
        let host = request_host(raw);
        assert_eq!(host, expect, "{raw:?}");
        assert_eq!(matches!(host, Cow::Borrowed(_)), borrowed, "{raw:?}");
    }

    #[test]
    fn the_form_for_comparison() {
        check("k.x.io", "k.x.io", true);
        check("k.x.io:9080", "k.x.io", true);
        check("k.x.io.", "k.x.io", true);
        check("k.x.io.:80", "k.x.io", true);
        check("K.x.IO:80", "k.x.io", false);
        check("127.0.0.1:9080", "127.0.0.1", true);
        check("[::1]:9080", "[::1]", true);
        check("[::1]", "[::1]", true);
        check("[0:0::1]", "[::1]", false);
        check("[FE80::1]:1", "[fe80::1]", false);
        check("[::1", "[::1", true);
        check("[", "[", true);
        check("[]", "[]", true);
        check("[é]", "[é]", true);
        check("", "", true);
        check(".", "", true);
        check(":80", "", true);
        check("a b..", "a b.", true);
    }
}
