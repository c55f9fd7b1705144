//! What happens to headers on their way through: hop-by-hop ones are taken off in both directions,
//! and an upstream is told who asked, for what, and through whom.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, Entry, HOST, TRANSFER_ENCODING, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use smallvec::SmallVec;

use crate::client::Peer;
use crate::h1::write_header;
use crate::settings::Settings;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// To an upstream, from a client that is believed or not.
    Request {
        trusted: bool,
    },
    Response,
}

/// What an upstream is told about the client, beside the client's own headers: lines that are
/// written behind them. They need no place in the header map, as nobody looks for them there.
#[derive(Debug, Default)]
pub(crate) struct Told {
    lines: Bytes,
    /// What the client asked for, where it is not believed about that.
    host: Option<HeaderValue>,
}

impl Told {
    /// Writes the lines.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.lines);
        if let Some(host) = &self.host {
            write_header(X_FORWARDED_HOST.as_str(), host.as_bytes(), out);
        }
    }
}

/// What every upstream is told of a peer.
pub(crate) fn told_of(peer: &Peer) -> Bytes {
    let mut lines = Vec::new();
    if !peer.trusted {
        let address = peer.address_text.as_bytes();
        write_header(X_FORWARDED_FOR.as_str(), address, &mut lines);
        write_header(X_REAL_IP.as_str(), address, &mut lines);
        write_header(X_FORWARDED_PROTO.as_str(), PROTO, &mut lines);
        write_header(X_FORWARDED_PORT.as_str(), peer.port.as_bytes(), &mut lines);
    }
    // A line of its own behind those of earlier proxies.
    write_header(VIA.as_str(), b"1.1 ferryway", &mut lines);
    lines.into()
}

/// Makes a client's headers those that the upstream gets, but for `Host`, which depends on the
/// endpoint; and says what the upstream is told besides.
pub(crate) fn to_upstream(
    headers: &mut HeaderMap,
    version: Version,
    host: Option<&HeaderValue>,
    peer: &Peer,
    settings: &Settings,
) -> Told {
    let trusted = peer.trusted;
    remove_what_ends_here(headers, trusted);
    if version == Version::HTTP_2 {
        join_cookies(headers);
    }
    let host = host.and_then(without_port);
    let host = match trusted {
        true => believe(headers, host, peer, settings),
        false => host,
    };
    let lines = peer.told.clone();
    Told { lines, host }
}

/// Adds to what a believed peer says of its client; whatever host is still to be told.
fn believe(
    headers: &mut HeaderMap,
    host: Option<HeaderValue>,
    peer: &Peer,
    settings: &Settings,
) -> Option<HeaderValue> {
    say_who_asks(headers, peer, settings);
    headers
        .entry(&X_FORWARDED_PROTO)
        .or_insert(HeaderValue::from_static("http"));
    headers
        .entry(&X_FORWARDED_PORT)
        .or_insert_with(|| peer.port.clone());
    host.filter(|_| !headers.contains_key(&X_FORWARDED_HOST))
}

/// Whether a header of an upstream's response ends here, whatever `Connection` says: it is not even
/// taken into the response's header map.
pub(crate) fn ends_before_client(name: &str) -> bool {
    ends_here(name, Way::Response)
}

/// Whether a header is none that may come as a trailer: it would be about framing, routing, or what
/// was decided when the head came (RFC 9110, 6.5.1).
pub(crate) fn may_not_trail(name: &str) -> bool {
    ends_here(name, Way::Response)
        || matches!(
            name,
            "authorization"
                | "cache-control"
                | "content-encoding"
                | "content-length"
                | "content-range"
                | "content-type"
                | "expect"
                | "host"
                | "set-cookie"
                | "trailer"
        )
}

/// Whether `Connection` may name this header as one that ends here. Framing and `Host` are not its to
/// remove: `Connection: Content-Length` would make the body the next message.
pub(crate) fn may_end_here(name: &HeaderName) -> bool {
    !matches!(*name, CONTENT_LENGTH | TRANSFER_ENCODING | HOST)
}

/// `X-Forwarded-For` and `X-Real-IP`.
fn say_who_asks(headers: &mut HeaderMap, peer: &Peer, settings: &Settings) {
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

/// Removes what is meant for one hop only (the well-known names, and those that `Connection` names),
/// and what a client is not believed about. Looking at all names first costs less than trying to
/// remove each that is nearly never there.
fn remove_what_ends_here(headers: &mut HeaderMap, trusted: bool) {
    let mut found: SmallVec<[HeaderName; 8]> = SmallVec::new();
    for name in headers.keys() {
        if ends_here(name.as_str(), Way::Request { trusted }) {
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

/// By length first: hardly any other name is then compared.
fn ends_here(name: &str, way: Way) -> bool {
    let request = way != Way::Response;
    let untrusted = way == Way::Request { trusted: false };
    match name.len() {
        2 => name == "te",
        // The gateway answers `Expect` itself.
        6 => request && name == "expect",
        // Trailers of requests are dropped.
        7 => name == "upgrade" || (request && name == "trailer"),
        9 => untrusted && matches!(name, "forwarded" | "x-real-ip"),
        10 => matches!(name, "connection" | "keep-alive"),
        14 => request && name == "http2-settings",
        15 => untrusted && name == "x-forwarded-for",
        16 => {
            name == "proxy-connection"
                || (untrusted && matches!(name, "x-forwarded-host" | "x-forwarded-port"))
        }
        // A request's coding is `chunked`, and stays so; a response's body has been decoded.
        17 => match name {
            "transfer-encoding" => !request,
            "x-forwarded-proto" => untrusted,
            _ => false,
        },
        18 => !request && name == "proxy-authenticate",
        19 => request && name == "proxy-authorization",
        _ => false,
    }
}

fn named_by_connection(headers: &HeaderMap, found: &mut SmallVec<[HeaderName; 8]>) {
    let tokens = headers.get_all(CONNECTION).iter();
    for token in tokens.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')) {
        let Ok(name) = HeaderName::from_bytes(token.trim_ascii()) else {
            continue;
        };
        if may_end_here(&name) && headers.contains_key(&name) {
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

/// What is spoken with clients.
const PROTO: &[u8] = b"http";

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
        let version = Version::HTTP_2;
        let told = to_upstream(&mut headers, version, Some(&host), &peer, &settings);
        let mut out = Vec::new();
        told.write(&mut out);
        let mut got = show(&headers);
        got.extend(String::from_utf8(out).unwrap().lines().map(str::to_owned));
        got.sort();
        assert_eq!(got, lines(expect));
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
        let ends = "connection keep-alive proxy-connection proxy-authenticate te transfer-encoding upgrade";
        let stays = "trailer expect forwarded x-forwarded-for x-real-ip proxy-authorization server";
        assert!(ends.split(' ').all(ends_before_client));
        assert!(!stays.split(' ').any(ends_before_client));
    }
}
