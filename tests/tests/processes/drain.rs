//! A gateway that is told to end finishes what it began, and no client notices.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ferryway_testkit::{Deadline, Signal, curl, eventually, try_curl};

use crate::calls::service;
use crate::site::Site;
use crate::upstream::{Client, Reply};

/// How long the gateways of these tests go on accepting.
const DRAIN_DELAY: Duration = Duration::from_millis(1500);
/// How long they may take to notice the signal, on a busy machine.
const NOTICE_TIME_MAX: Duration = Duration::from_secs(5);
const EXIT_TIME_MAX: Duration = Duration::from_secs(20);
/// Clients that send at once.
const CLIENTS: usize = 3;

#[track_caller]
fn site() -> Site {
    let site = Site::with(&["--drain-delay", "1500ms"]);
    site.serve(&service("orders", &[("all", "/*")]));
    site
}

/// What became of one client's requests.
#[derive(Debug, Default)]
struct Load {
    answered: usize,
    /// Whether the end was a refused connection, as it should be.
    refused: bool,
    failures: Vec<String>,
}

#[test]
fn no_request_on_a_new_connection_is_lost() {
    check_load(false);
}

#[test]
fn no_request_on_a_kept_connection_is_lost() {
    check_load(true);
}

/// Clients send one request after the other while the gateway is told to end: all are answered
/// until the port is closed, and it is open for as long as it should.
#[track_caller]
fn check_load(keep: bool) {
    let mut site = site();
    let address = site.address();
    let told = AtomicBool::new(false);
    let told = &told;
    thread::scope(|scope| {
        let loads = [(); CLIENTS].map(|()| scope.spawn(move || load(address, keep, told)));
        eventually(NOTICE_TIME_MAX, "requests", || {
            (site.upstream.requests("/").len() > 20).then_some(())
        });
        let accepts_until = Deadline::after(DRAIN_DELAY);
        site.gateway.program().signal(Signal::TERM);
        told.store(true, Ordering::SeqCst);
        let ready = site.gateway.status_url("/readyz");
        eventually(NOTICE_TIME_MAX, "a gateway that is not ready", || {
            (curl([&ready]).status == 503).then_some(())
        });
        // The gateway's own time began after this one.
        let url = site.gateway.url("/while-draining");
        let mut answered = try_curl([&url]);
        while !accepts_until.is_over() {
            assert!(
                answered.is_ok_and(|it| it.status == 200),
                "it still accepts"
            );
            answered = try_curl([&url]);
        }
        let exit = site.gateway.program().wait_exit(EXIT_TIME_MAX);
        assert_eq!(exit.code(), Some(0), "{}", site.gateway.program().stderr());
        for load in loads {
            let load = load.join().expect("a client does not panic");
            assert_eq!(load.failures, [""; 0], "{} were answered", load.answered);
            assert!(load.refused, "{load:?}");
            assert!(load.answered > 0);
        }
    });
}

/// Sends requests until the gateway is gone: with `keep` over connections that are kept as long as
/// the gateway keeps them, else each over a connection of its own.
fn load(address: SocketAddr, keep: bool, told: &AtomicBool) -> Load {
    let mut load = Load::default();
    let mut kept: Option<Client> = None;
    loop {
        let client = match kept.take().map_or_else(|| Client::connect(address), Ok) {
            Ok(client) => client,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                load.refused = true;
                if !told.load(Ordering::SeqCst) {
                    load.failures.push(error.to_string());
                }
                return load;
            }
            Err(error) => {
                load.failures.push(error.to_string());
                return load;
            }
        };
        match request(client, keep) {
            Ok(client) => {
                load.answered += 1;
                kept = client;
            }
            Err(error) => {
                load.failures.push(error.to_string());
                return load;
            }
        }
    }
}

/// One request; the client comes back if the connection can be used again.
fn request(client: Client, keep: bool) -> io::Result<Option<Client>> {
    let mut client = client;
    let end = if keep { "" } else { "Connection: close\r\n" };
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{end}\r\n"))?;
    let answer = client.answer()?;
    if answer.status != 200 {
        return Err(io::Error::other(format!("status {}", answer.status)));
    }
    let closes = answer.header("connection").is_some_and(|it| it == "close");
    Ok((keep && !closes).then_some(client))
}

#[test]
fn what_was_begun_is_finished() {
    let mut site = site();
    site.upstream.reply("/echo", [Reply::Echo]);
    let mut client = Client::connect(site.address()).expect("the gateway listens");
    client
        .send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        .expect("the gateway reads");
    assert_eq!(client.head().expect("an answer").status, 200);
    assert_eq!(client.chunk().expect("a piece"), b"a");

    site.gateway.program().signal(Signal::TERM);
    let address = site.address();
    eventually(EXIT_TIME_MAX, "a closed port", || {
        Client::connect(address).is_err().then_some(())
    });
    client.send("1\r\nb\r\n").expect("the gateway reads on");
    assert_eq!(client.chunk().expect("the next piece"), b"b");
    client.send("0\r\n\r\n").expect("the gateway reads on");
    assert_eq!(client.chunk().expect("the end"), b"");
    let exit = site.gateway.program().wait_exit(EXIT_TIME_MAX);
    assert_eq!(exit.code(), Some(0), "{}", site.gateway.program().stderr());
}

#[test]
fn a_connection_that_waits_is_no_reason_to_stay() {
    let mut site = site();
    let mut client = Client::connect(site.address()).expect("the gateway listens");
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect("the gateway reads");
    assert_eq!(client.answer().expect("an answer").status, 200);
    site.gateway.program().signal(Signal::TERM);
    let exit = site.gateway.program().wait_exit(EXIT_TIME_MAX);
    assert_eq!(exit.code(), Some(0), "{}", site.gateway.program().stderr());
    assert!(client.has_ended());
}

#[test]
fn the_control_plane_ends_politely_too() {
    let mut site = site();
    site.control.program().signal(Signal::TERM);
    let exit = site.control.program().wait_exit(EXIT_TIME_MAX);
    assert_eq!(exit.code(), Some(0), "{}", site.control.program().stderr());
    assert_eq!(site.get("/").status, 200, "the gateway serves on");
}
