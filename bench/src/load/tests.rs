use super::*;
use ferryway_testkit::eventually;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn plan(gateway: SocketAddr) -> Plan {
    Plan {
        gateway,
        host: "a".to_owned(),
        path: "/b".to_owned(),
        connections: 4,
        rate: 2_000,
        fresh_rate: 400,
    }
}

fn wait(load: &Load, what: &str, done: impl Fn(&Lanes) -> bool, phase: usize) {
    eventually(Duration::from_secs(10), what, || {
        done(&load.so_far(phase)).then_some(())
    });
}

#[test]
fn good_answers_are_counted_in_their_phase() {
    let mut load = runtime().block_on(Load::new(3)).unwrap();
    load.phase(1);
    load.begin(plan(load.upstream));
    wait(
        &load,
        "both lanes",
        |it| it.kept.good > 20 && it.fresh.good > 5,
        1,
    );
    load.phase(2);
    wait(&load, "the next phase", |it| it.kept.good > 20, 2);
    let phases = load.finish();
    assert_eq!(phases[0].kept.good + phases[0].fresh.good, 0);
    for lanes in phases {
        assert_eq!(lanes.kept.failed + lanes.fresh.failed, 0, "{lanes:?}");
    }
}

#[test]
fn every_failure_is_counted_with_its_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = listener.local_addr().unwrap();
    // One answer to each connection: the first kept one is good, its second request fails.
    let answering = thread::spawn(move || {
        for (n, stream) in listener.incoming().take(40).enumerate() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let status = if n % 2 == 0 { "200 OK" } else { "503 No" };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{}",
                upstream::BODY_BYTES,
                "x".repeat(upstream::BODY_BYTES)
            );
        }
    });
    let mut load = runtime().block_on(Load::new(1)).unwrap();
    load.begin(plan(gateway));
    answering.join().unwrap();
    // All are refused now.
    wait(
        &load,
        "refused connections",
        |it| it.kept.failures.len() == FAILURES_SHOWN && it.fresh.failed > 20,
        0,
    );
    let lanes = load.finish().remove(0);
    assert!(lanes.kept.failed >= FAILURES_SHOWN as u64);
    let reasons = [lanes.kept.failures, lanes.fresh.failures]
        .concat()
        .join("\n");
    for reason in ["answered with 503", "not connected"] {
        assert!(reasons.contains(reason), "{reason} in {reasons}");
    }
    assert!(lanes.kept.good + lanes.fresh.good > 0);
}
