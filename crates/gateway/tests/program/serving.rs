//! What the program does with what a control plane sends.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use ferryway_testkit::{Program, Signal, curl, eventually, try_curl};
use serde_json::{Value, json};

use crate::control::Control;
use crate::setup::{PATIENCE, Setup};

struct Serving {
    setup: Setup,
    control: Control,
    program: Program,
}

impl Serving {
    /// Starts a gateway with a service that has these paths, and waits until it is on its disk.
    fn start(paths: &[&str], drain_delay: &str) -> Self {
        let (setup, control) = (Setup::new(), Control::start());
        let revision = control.publish(&service(paths));
        let args = ["--control", &control.url, "--drain-delay", drain_delay];
        let mut program = setup.start_and_wait(&args);
        program.wait_for_http(&setup.url("/readyz"), PATIENCE);
        control.wait_durable(revision);
        Self {
            setup,
            control,
            program,
        }
    }

    fn client_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.setup.http)
    }

    #[track_caller]
    fn serves(&self, path: &str, status: u16) {
        assert_eq!(curl([self.client_url(path)]).status, status, "{path}");
    }

    /// Sends a request that its upstream takes a second for, and waits until it is there.
    fn ask_slowly(&self) -> TcpStream {
        let mut client = TcpStream::connect(("127.0.0.1", self.setup.http)).expect("it serves");
        client
            .write_all(b"GET /delay/1 HTTP/1.1\r\nhost: a\r\n\r\n")
            .expect("it reads");
        eventually(PATIENCE, "a request in flight", || {
            let shown = curl([self.setup.url("/status/upstreams")]).json_of(200);
            (shown["items"][0]["endpoints"][0]["in_flight"] == 1).then_some(())
        });
        client
    }
}

fn service(paths: &[&str]) -> Value {
    json!({"name": "web", "routes": [{"name": "r", "paths": paths}]})
}

#[test]
fn it_follows_the_control_plane_and_serves_on_without_one() {
    let mut serving = Serving::start(&["/headers"], "0s");
    serving.serves("/headers", 200);
    let revision = serving.control.publish(&service(&["/anything"]));
    serving.control.wait_durable(revision);
    serving.serves("/headers", 404);
    serving.serves("/anything", 200);
    let status = curl([serving.setup.url("/status")]).json_of(200);
    assert_eq!(
        (&status["converged"], &status["source"]),
        (&json!(true), &json!("control"))
    );

    // As in a power failure; and nobody answers where the control plane was.
    serving.program.kill();
    serving.program = serving.setup.start_and_wait(&[]);
    serving
        .program
        .wait_for_http(&serving.setup.url("/readyz"), PATIENCE);
    serving.serves("/anything", 200);
    let status = curl([serving.setup.url("/status")]).json_of(200);
    assert_eq!(
        (&status["effective"]["revision"], &status["source"]),
        (&json!(2), &json!("disk"))
    );
}

#[test]
fn a_failing_check_holds_the_service_and_tells_why() {
    let serving = Serving::start(&["/headers"], "0s");
    let mut bad = service(&["/anything"]);
    bad["checks"] = json!([{"name": "c", "path": "/anything", "expect": {"status": 201}}]);
    let revision = serving.control.publish(&bad);
    let nack = eventually(PATIENCE, "a rejection", || serving.control.rejected().pop());
    assert_eq!(
        (nack.transaction, nack.faults[0].code.as_str()),
        (revision, "check_failed")
    );
    assert!(nack.faults[0].evidence.is_some());
    serving.serves("/headers", 200);
    let status = curl([serving.setup.url("/status")]).json_of(200);
    assert_eq!(status["held"][0]["service"], "web");
    assert_eq!(status["converged"], false);
}

#[test]
fn it_ends_with_the_requests_it_is_at() {
    let mut serving = Serving::start(&["/*"], "0s");
    let mut client = serving.ask_slowly();
    serving.program.signal(Signal::TERM);
    let mut answer = String::new();
    client
        .read_to_string(&mut answer)
        .expect("the connection ends politely");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        answer.to_lowercase().contains("\r\nconnection: close\r\n"),
        "{answer}"
    );
    assert_eq!(serving.program.wait_exit(PATIENCE).code(), Some(0));
}

#[test]
fn it_accepts_while_others_notice_and_a_second_signal_ends_it() {
    let mut serving = Serving::start(&["/*"], "1h");
    serving.program.signal(Signal::TERM);
    let url = serving.setup.url("/readyz");
    eventually(PATIENCE, "that it is not ready", || {
        (curl([&url]).text() == "draining\n").then_some(())
    });
    serving.serves("/headers", 200);
    assert_eq!(curl([serving.setup.url("/healthz")]).status, 200);
    serving.program.signal(Signal::TERM);
    assert_eq!(serving.program.wait_exit(PATIENCE).code(), Some(0));
    assert!(try_curl([serving.client_url("/headers")]).is_err());
}
