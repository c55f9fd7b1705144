//! What `--dev` asks of a request instead of a token: that it comes from a program on this machine,
//! not from a page of some site in a browser on it.
//!
//! A page can make the browser send requests to a loopback port. It cannot set the Host header: a
//! name of its own that resolves to 127.0.0.1 shows there. Nor can it hide its Origin. And a form
//! cannot send JSON content types, which every body must have anyway.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};
use ferryway_api::ApiError;

/// Checks Host and Origin.
///
/// # Errors
/// The host is not this machine's loopback, or the origin is another one than this server.
pub(super) fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let host = headers.get(HOST).map(text).unwrap_or_default();
    let host = host.as_str();
    if headers.get_all(HOST).iter().count() != 1 || !is_loopback(host) {
        let message =
            "with --dev the Host must be localhost, 127.0.0.1 or [::1]; call it by one of these";
        return Err(ApiError::Forbidden(message.to_owned()));
    }
    let own = format!("http://{host}");
    let mut origins = headers.get_all(ORIGIN).iter().map(text);
    if origins.any(|origin| !origin.eq_ignore_ascii_case(&own)) {
        let message = "with --dev pages of other origins are not answered; use a token instead";
        return Err(ApiError::Forbidden(message.to_owned()));
    }
    Ok(())
}

/// Whether `HOST[:PORT]` is this machine's own.
fn is_loopback(authority: &str) -> bool {
    // A bracketed IPv6 address holds colons of its own.
    let ends = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let colon = authority[ends..]
        .find(':')
        .map_or(authority.len(), |colon| ends + colon);
    let (host, port) = authority.split_at(colon);
    if !port.is_empty() && port[1..].parse::<u16>().is_err() {
        return false;
    }
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback()),
        None => {
            host.eq_ignore_ascii_case("localhost")
                || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn allowed(host: &str, origin: Option<&str>, expect: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        assert_eq!(check(&headers).is_ok(), expect, "{host} {origin:?}");
    }

    #[test]
    fn hosts() {
        for good in [
            "localhost",
            "LOCALHOST:7080",
            "127.0.0.1",
            "127.8.8.8:1",
            "[::1]",
            "[::1]:7080",
        ] {
            allowed(good, None, true);
        }
        for bad in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1:7080",
            "0.0.0.0",
            "[::]",
            "::1",
            "localhost:x",
            "localhost:",
            "localhost:1:2",
            "[::1",
            "::1]",
            "[127.0.0.1]",
            "a@127.0.0.1",
            "[fe80::1]",
        ] {
            allowed(bad, None, false);
        }
        assert!(check(&HeaderMap::new()).is_err(), "no Host at all");
        let mut two = HeaderMap::new();
        two.append(HOST, "localhost".parse().unwrap());
        two.append(HOST, "localhost".parse().unwrap());
        assert!(check(&two).is_err(), "two Hosts");
    }

    #[test]
    fn origins() {
        allowed("localhost:7080", Some("http://localhost:7080"), true);
        allowed("localhost:7080", Some("http://localhost:3000"), false);
        allowed("localhost:7080", Some("https://localhost:7080"), false);
        allowed("localhost:7080", Some("http://127.0.0.1:7080"), false);
        allowed("localhost:7080", Some("http://evil.example"), false);
        allowed("localhost:7080", Some("null"), false);
        allowed("localhost:7080", Some(""), false);
        let own = "http://localhost:7080";
        for origins in [[own, "http://evil.example"], ["http://evil.example", own]] {
            let mut two = HeaderMap::new();
            two.append(HOST, "localhost:7080".parse().unwrap());
            for origin in origins {
                two.append(ORIGIN, origin.parse().unwrap());
            }
            assert!(check(&two).is_err(), "{origins:?}");
        }
    }
}
