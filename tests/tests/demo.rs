//! `ferryway demo`: something to look at, and nothing left behind.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use ferryway_testkit::{Program, Signal, binary, curl, eventually, ports};

/// How long the demo may take to show all its steps on a busy machine.
const SHOW_TIME_MAX: Duration = Duration::from_secs(50);
const END_TIME_MAX: Duration = Duration::from_secs(20);
/// More ports than the demo needs.
const PORTS: usize = 16;

/// The first of so many consecutive free ports.
fn consecutive() -> u16 {
    let mut all: Vec<u16> = Vec::new();
    loop {
        all.extend(ports::free::<PORTS>());
        all.sort_unstable();
        let mut runs = all.windows(PORTS);
        let first = runs.find(|run| usize::from(run[PORTS - 1] - run[0]) == PORTS - 1);
        if let Some(run) = first {
            return run[0];
        }
    }
}

fn demo(from: u16) -> Program {
    let mut command = Command::new(binary("ferryway"));
    command.args(["demo", "--ports-from", &from.to_string()]);
    Program::start("ferryway demo", command)
}

/// The programs that the demo has started.
fn children(demo: &Program) -> Vec<u32> {
    let id = demo.id();
    let tasks = fs::read_dir(format!("/proc/{id}/task")).expect("it runs");
    let mut children = Vec::new();
    for task in tasks.flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.extend(
            text.split_whitespace()
                .filter_map(|id| id.parse::<u32>().ok()),
        );
    }
    children
}

#[test]
fn shows_what_ferryway_does_and_ends_cleanly() {
    let from = consecutive();
    let mut demo = demo(from);
    // The last step is the sync by discovery; from then on production stays as it is.
    let url = eventually(SHOW_TIME_MAX, "the last step's curl", || {
        assert!(demo.exit().is_none(), "{}", demo.stderr());
        let shown = demo.stdout();
        let done = shown.contains("Ctrl-C");
        let url = shown
            .split_whitespace()
            .rfind(|word| word.starts_with("http://") && word.ends_with("/headers"))
            .map(str::to_owned);
        url.filter(|_| done)
    });
    let shown = demo.stdout();
    for word in [
        "test",
        "production",
        "httpbin",
        "1.0.0",
        "curl ",
        "httpbin.org",
    ] {
        assert!(shown.contains(word), "{word}:\n{shown}");
    }
    let answer = curl([&url]).json_of(200);
    let host = answer["headers"]["Host"].as_str().unwrap_or_default();
    assert!(host.starts_with("httpbin.org:"), "{answer}");
    assert_eq!(answer["headers"]["X-Forwarded-Host"], "127.0.0.1");

    // A control plane and two gateways; each command of a step has ended.
    let children = eventually(END_TIME_MAX, "three programs", || {
        Some(children(&demo)).filter(|children| children.len() == 3)
    });
    demo.signal(Signal::INT);
    let exit = demo.wait_exit(END_TIME_MAX);
    assert_eq!(exit.code(), Some(0), "{}\n{}", demo.stdout(), demo.stderr());
    for child in children {
        assert!(
            !fs::exists(format!("/proc/{child}")).unwrap_or(true),
            "{child} is left"
        );
    }
    for port in (from..).take(PORTS) {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let error = TcpStream::connect(address);
        error.expect_err("all ports are closed again");
    }
}

#[test]
fn a_busy_port_is_said_before_anything_starts() {
    let from = consecutive();
    let busy = from + 3;
    let _listener = TcpListener::bind(("127.0.0.1", busy)).expect("it is free");
    let mut demo = demo(from);
    let exit = demo.wait_exit(END_TIME_MAX);
    assert_eq!(exit.code(), Some(1));
    let said = demo.stdout() + &demo.stderr();
    assert!(said.contains(&busy.to_string()), "{said}");
    assert!(said.contains("--ports-from"), "{said}");
}
