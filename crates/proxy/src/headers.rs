//! What happens to headers on their way through: hop-by-hop ones are taken off in both directions,
//! and an upstream is told who asked, for what, and through whom.

use std::net::IpAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, Entry, FORWARDED, HOST, TRANSFER_ENCODING, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use smallvec::SmallVec;

use crate::client::Peer;
use crate::settings::Settings;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Request,
    Response,
}

/// Makes a client's headers those that the upstream gets, but for `Host`, which depends on the
/// endpoint.
pub(crate) fn to_upstream(
    headers: &mut HeaderMap,
    version: Version,
    host: Option<&HeaderValue>,
    peer: &Peer,
    settings: &Settings,
) {
    remove_hop_by_hop(headers, Way::Request);
    if version == Version::HTTP_2 {
        join_cookies(headers);
    }
    say_who_asks(headers, peer, settings);
    let trusted =
        |headers: &HeaderMap, name: &HeaderName| peer.trusted && headers.contains_key(name);
    if !trusted(headers, &X_FORWARDED_PROTO) {
        headers.insert(&X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    if !trusted(headers, &X_FORWARDED_HOST) {
        match host.and_then(without_port) {
            Some(host) => headers.insert(&X_FORWARDED_HOST, host),
            None => headers.remove(&X_FORWARDED_HOST),
        };
    }
    if !trusted(headers, &X_FORWARDED_PORT) {
        headers.insert(&X_FORWARDED_PORT, peer.port.clone());
    }
    if !peer.trusted {
        headers.remove(FORWARDED);
    }
    headers.append(VIA, HeaderValue::from_static("1.1 ferryway"));
}

/// Makes an upstream's headers those that the client gets.
pub(crate) fn to_client(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers, Way::Response);
}

/// `X-Forwarded-For` and `X-Real-IP`.
fn say_who_asks(headers: &mut HeaderMap, peer: &Peer, settings: &Settings) {
    if !peer.trusted {
        headers.insert(&X_FORWARDED_FOR, peer.address_text.clone());
        headers.insert(&X_REAL_IP, peer.address_text.clone());
        return;
    }
    let chain = chain(headers, peer);
    let client = right_most_untrusted(&chain, settings);
    let real = match client.and_then(|client| HeaderValue::from_str(&client.to_string()).ok()) {
        Some(client) => client,
        None => peer.address_text.clone(),
    };
    headers.insert(&X_REAL_IP, real);
    // What was there is valid, and so is what is added; were it not, the peer alone is true.
    let chain = HeaderValue::from_bytes(&chain).unwrap_or_else(|_| peer.address_text.clone());
    headers.insert(&X_FORWARDED_FOR, chain);
}

/// All that `X-Forwarded-For` said, and the peer.
fn chain(headers: &HeaderMap, peer: &Peer) -> Vec<u8> {
    let mut chain = Vec::new();
    let before = headers.get_all(&X_FORWARDED_FOR).iter();
    for value in before.chain([&peer.address_text]) {
        if !chain.is_empty() {
            chain.extend_from_slice(b", ");
        }
        chain.extend_from_slice(value.as_bytes());
    }
    chain
}

/// The first address from the right that is no trusted proxy's; where all are, the left-most. What
/// is no address ends the search: nobody can be believed about what is left of it.
fn right_most_untrusted(chain: &[u8], settings: &Settings) -> Option<IpAddr> {
    let mut last = None;
    for part in chain.rsplit(|byte| *byte == b',') {
        let address: IpAddr = match std::str::from_utf8(part).map(|text| text.trim().parse()) {
            Ok(Ok(address)) => address,
            _ => break,
        };
        last = Some(address);
        if !settings.trusts(address.to_canonical()) {
            break;
        }
    }
    last
}

/// Removes what is meant for one hop only: the well-known names, and those that `Connection` names.
///
/// Framing and `Host` are not `Connection`'s to remove: `Connection: Content-Length` would make the
/// body the next request. Looking at all names first costs less than trying to remove each that is
/// nearly never there.
fn remove_hop_by_hop(headers: &mut HeaderMap, way: Way) {
    let mut found: SmallVec<[HeaderName; 8]> = SmallVec::new();
    for name in headers.keys() {
        if is_hop_by_hop(name, way) {
            found.push(name.clone());
        }
    }
    if found.contains(&CONNECTION) {
        named_by_connection(headers, &mut found);
    }
    for name in found {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &HeaderName, way: Way) -> bool {
    match name.as_str() {
        "connection" | "keep-alive" | "proxy-connection" | "te" | "upgrade" => true,
        // The gateway answers `Expect` itself, and drops trailers of requests.
        "expect" | "http2-settings" | "proxy-authorization" | "trailer" => way == Way::Request,
        // A request's coding is `chunked`, and stays so; a response's body has been decoded.
        "proxy-authenticate" | "transfer-encoding" => way == Way::Response,
        _ => false,
    }
}

fn named_by_connection(headers: &HeaderMap, found: &mut SmallVec<[HeaderName; 8]>) {
    let tokens = headers.get_all(CONNECTION).iter();
    for token in tokens.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')) {
        let Ok(name) = HeaderName::from_bytes(token.trim_ascii()) else {
            continue;
        };
        if !matches!(name, CONTENT_LENGTH | TRANSFER_ENCODING | HOST) && headers.contains_key(&name)
        {
            found.push(name);
        }
    }
}

/// HTTP/2 may send a cookie in crumbs; HTTP/1.1 has one `Cookie` (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let Entry::Occupied(mut cookies) = headers.entry(COOKIE) else {
        return;
    };
    if cookies.iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = cookies.iter().map(HeaderValue::as_bytes).collect();
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        cookies.insert(whole);
    }
}

/// A host as the client sent it, but without its port.
fn without_port(host: &HeaderValue) -> Option<HeaderValue> {
    let bytes = host.as_bytes();
    match bytes.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !bytes[colon..].contains(&b']') => {
            HeaderValue::from_bytes(&bytes[..colon]).ok()
        }
        _ => Some(host.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers, one a line, before and after; `-` before the peer for an untrusted one.
    #[track_caller]
    fn check(peer: &str, before: &str, expect: &str) {
        let (trusted, address) = match peer.strip_prefix('-') {
            Some(address) => (false, address),
            None => (true, peer),
        };
        let settings = Settings {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..Settings::default()
        };
        let peer = Peer::new(address.parse().unwrap(), 9080, trusted);
        let mut headers = HeaderMap::new();
        for (name, value) in before
            .lines()
            .filter_map(|line| line.trim().split_once(": "))
        {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        let host = HeaderValue::from_static("k.io:9080");
        to_upstream(&mut headers, Version::HTTP_2, Some(&host), &peer, &settings);
        assert_eq!(show(&headers), lines(expect));
    }

    fn show(headers: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines
    }

    fn lines(text: &str) -> Vec<String> {
        let mut lines: Vec<_> = text.lines().map(|line| line.trim().to_owned()).collect();
        lines.retain(|line| !line.is_empty());
        lines.sort();
        lines
    }

    const OURS: &str = "x-forwarded-for: 192.0.2.1
        x-real-ip: 192.0.2.1
        x-forwarded-proto: http
        x-forwarded-host: k.io
        x-forwarded-port: 9080
        via: 1.1 ferryway";

    #[test]
    fn an_untrusted_peers_words_are_replaced() {
        check("-192.0.2.1", "", OURS);
        check(
            "-192.0.2.1",
            "x-forwarded-for: 1.1.1.1
            x-real-ip: 1.1.1.1
            x-forwarded-proto: https
            x-forwarded-host: evil
            x-forwarded-port: 1
            forwarded: for=1.1.1.1",
            OURS,
        );
    }

    #[test]
    fn a_trusted_peers_words_stay() {
        check(
            "10.0.0.1",
            "x-forwarded-for: 192.0.2.7
            x-forwarded-for: 10.0.0.2
            x-forwarded-proto: https
            x-forwarded-host: front.io
            x-forwarded-port: 443
            x-real-ip: 1.1.1.1
            forwarded: for=192.0.2.7",
            "x-forwarded-for: 192.0.2.7, 10.0.0.2, 10.0.0.1
            x-real-ip: 192.0.2.7
            x-forwarded-proto: https
            x-forwarded-host: front.io
            x-forwarded-port: 443
            forwarded: for=192.0.2.7
            via: 1.1 ferryway",
        );
    }

    #[test]
    fn what_a_trusted_peer_leaves_out_is_said() {
        check("10.0.0.1", "", &OURS.replace("192.0.2.1", "10.0.0.1"));
    }

    #[test]
    fn real_ip_is_the_right_most_untrusted() {
        for (chain, real) in [
            ("1.1.1.1, 2.2.2.2", "2.2.2.2"),
            ("1.1.1.1, 10.9.9.9", "1.1.1.1"),
            ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
            ("1.1.1.1, unknown, 10.3.3.3", "10.3.3.3"),
            ("unknown", "10.0.0.1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            let before = format!("x-forwarded-for: {chain}");
            let after = OURS.replace("for: 192.0.2.1", &format!("for: {chain}, 10.0.0.1"));
            let after = after.replace("ip: 192.0.2.1", &format!("ip: {real}"));
            check("10.0.0.1", &before, &after);
        }
    }

    #[test]
    fn hop_by_hop_headers_end_here() {
        check(
            "-192.0.2.1",
            "connection: keep-alive, X-Private ,content-length,host, transfer-encoding, nothing
            connection: x-more
            keep-alive: 5
            proxy-connection: close
            proxy-authorization: Basic x
            te: trailers
            trailer: x-sum
            upgrade: websocket
            http2-settings: AAMAAABkAAQ
            expect: 100-continue
            x-private: 1
            x-more: 2
            x-kept: 3
            traceparent: 00-1-2-01
            content-length: 5",
            &format!("{OURS}\nx-kept: 3\ntraceparent: 00-1-2-01\ncontent-length: 5"),
        );
        check(
            "-192.0.2.1",
            "via: 1.0 fred\ntransfer-encoding: chunked",
            &format!("{OURS}\nvia: 1.0 fred\ntransfer-encoding: chunked"),
        );
    }

    #[test]
    fn crumbs_become_one_cookie() {
        check(
            "-192.0.2.1",
            "cookie: a=1\ncookie: b=2",
            &format!("{OURS}\ncookie: a=1; b=2"),
        );
    }

    #[test]
    fn hosts_without_ports() {
        for (host, expect) in [
            ("k.io", "k.io"),
            ("k.io:80", "k.io"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
        ] {
            let host = HeaderValue::from_str(host).unwrap();
            assert_eq!(without_port(&host).unwrap(), expect);
        }
    }

    #[test]
    fn a_responses_hop_by_hop_headers_end_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (CONNECTION, "close, x-hop"),
            (TRANSFER_ENCODING, "chunked"),
            (HeaderName::from_static("x-hop"), "1"),
            (HeaderName::from_static("keep-alive"), "timeout=5"),
            (HeaderName::from_static("trailer"), "x-sum"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        to_client(&mut headers);
        assert_eq!(show(&headers), ["trailer: x-sum"]);
    }
}
