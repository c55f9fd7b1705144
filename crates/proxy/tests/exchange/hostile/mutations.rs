//! Requests with mistakes at random: whatever a client sends, an upstream sees no malformed request,
//! no more requests than the client gets answers, and no worker panics.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ferryway_proxy::{Limits, Settings};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::bytes;
use crate::support::{Gateway, plain};

/// Good requests to begin with.
const SEEDS: [&str; 8] = [
    "GET /a?b HTTP/1.1\nhost: a\n\n",
    "POST / HTTP/1.1\nhost: a\ncontent-length: 5\n\nhello",
    "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n\n5\nhello\n0\n\n",
    "PUT /%7e/../x HTTP/1.1\nhost: a:80\ncontent-length: 5\nexpect: 100-continue\n\nhello",
    "POST / HTTP/1.1\nhost: a\ntransfer-encoding: chunked\ntrailer: x\n\n2;a=b\nhi\n0\nx: 1\n\n",
    "GET http://a/ HTTP/1.1\nhost: a\nconnection: x, keep-alive\nx: 1\n\n",
    "GET / HTTP/1.0\nconnection: keep-alive\n\n",
    "DELETE / HTTP/1.1\nhost: a\nupgrade: h2c\nconnection: upgrade\n\n",
];

/// What is put in somewhere.
const PIECES: [&str; 24] = [
    "\n",
    "␊",
    "␍",
    "\n\n",
    " ",
    "\t",
    "\u{0}",
    ":",
    ",",
    ";",
    "0",
    "5\n",
    "?",
    "#",
    "\u{ff}",
    "\u{b}",
    "content-length: 5\n",
    "content-length: 0\n",
    "transfer-encoding: chunked\n",
    "connection: content-length\n",
    "host: b\n",
    "chunked",
    "GET /evil HTTP/1.1\nhost: a\n\n",
    "0\n\n",
];

/// One mistake, at a place that is taken modulo the length.
#[derive(Clone, Debug)]
enum Mistake {
    PutIn(usize, &'static str),
    TakeOut(usize, usize),
    Change(usize, u8),
    Repeat(usize, usize),
}

fn mistakes() -> impl Strategy<Value = Vec<Mistake>> {
    let at = || 0usize..1_000;
    let mistake = prop_oneof![
        3 => (at(), prop::sample::select(&PIECES[..])).prop_map(|(at, it)| Mistake::PutIn(at, it)),
        2 => (at(), 1usize..6).prop_map(|(at, length)| Mistake::TakeOut(at, length)),
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Mistake::Change(at, byte)),
        1 => (at(), 1usize..30).prop_map(|(at, length)| Mistake::Repeat(at, length)),
    ];
    prop::collection::vec(mistake, 0..4)
}

fn spoil(text: &mut Vec<u8>, mistakes: &[Mistake]) {
    for mistake in mistakes {
        let length = text.len().max(1);
        match *mistake {
            Mistake::PutIn(at, piece) => {
                let at = at % length;
                text.splice(at..at, bytes(piece));
            }
            Mistake::TakeOut(at, count) => {
                let at = at % length;
                text.drain(at..(at + count).min(text.len()));
            }
            Mistake::Change(at, byte) => text
                .iter_mut()
                .skip(at % length)
                .take(1)
                .for_each(|it| *it = byte),
            Mistake::Repeat(at, count) => {
                let at = at % length;
                text.extend_from_within(at..(at + count).min(text.len()));
            }
        }
    }
}

/// Closes the connection, wherever a mistake has led the reader to.
const END: &str = "\n\n0\n\nGET /end HTTP/1.1\nhost: a\nconnection: close\n\n";

/// How many answers there are in what a client got; the upstream's bodies hold none.
fn answers(got: &[u8]) -> usize {
    let heads = got
        .windows(9)
        .filter(|window| window == b"HTTP/1.1 ")
        .count();
    let interim = got
        .windows(12)
        .filter(|window| window == b"HTTP/1.1 100")
        .count();
    heads - interim
}

#[test]
fn no_mistake_gets_through() {
    let panics = Arc::new(AtomicU32::new(0));
    let (count, hook) = (Arc::clone(&panics), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        count.fetch_add(1, Ordering::Relaxed);
        hook(info);
    }));
    // A mistake may leave the reader wait for more than comes.
    let limits = Limits {
        head_time: Duration::from_millis(100),
        idle_time: Duration::from_millis(100),
        body_time: Duration::from_millis(100),
        ..Limits::default()
    };
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    let gateway = Gateway::with(plain(), &["read|ok x|again"], settings);
    let cases = (
        prop::collection::vec(prop::sample::select(&SEEDS[..]), 1..4),
        mistakes(),
        any::<prop::sample::Index>(),
    );
    let number = Cell::new(0);
    let outcome =
        TestRunner::new(ProptestConfig::with_cases(400)).run(&cases, |(seeds, mistakes, cut)| {
            let mut text = bytes(&seeds.concat());
            spoil(&mut text, &mistakes);
            text.extend_from_slice(&bytes(END));
            let mut client = gateway.client();
            let (first, second) = text.split_at(cut.index(text.len()));
            let _ = client.socket.write_all(first);
            let _ = client.socket.write_all(second);
            let mut got = Vec::new();
            let _ = client.socket.read_to_end(&mut got);

            number.set(number.get() + 1);
            let after = format!("/after/{}", number.get());
            let next = gateway
                .client()
                .ask(&format!("GET {after} HTTP/1.1\r\nhost: a\r\n\r\n"));
            prop_assert_eq!(next.summary(), "200 x");
            let seen = gateway.first().seen_before(&after);
            prop_assert!(
                !seen.iter().any(|it| it.starts_with("malformed")),
                "{:?}",
                seen
            );
            prop_assert!(
                seen.len() <= answers(&got),
                "{:?} of {:?}",
                seen,
                String::from_utf8_lossy(&got)
            );
            prop_assert_eq!(panics.load(Ordering::Relaxed), 0);
            Ok(())
        });
    outcome.unwrap();
}
