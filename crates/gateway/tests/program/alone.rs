//! What the program refuses, and how it says so; what it does without a control plane.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};

use ferryway_testkit::{Signal, curl, eventually, ports};
use serde_json::json;

use crate::setup::{PATIENCE, Setup};

#[test]
fn it_says_its_version_and_its_flags() {
    let setup = Setup::new();
    for (flag, part) in [
        ("--version", env!("CARGO_PKG_VERSION")),
        ("--help", "--drain-delay"),
    ] {
        let mut program = setup.start(&[flag]);
        assert_eq!(program.wait_exit(PATIENCE).code(), Some(0));
        assert!(program.stdout().contains(part), "{}", program.stdout());
    }
}

#[test]
fn check_validates_and_starts_nothing() {
    let setup = Setup::new();
    let mut program = setup.start(&["--check"]);
    assert_eq!(
        program.wait_exit(PATIENCE).code(),
        Some(0),
        "{}",
        program.stderr()
    );
    assert!(!fs::exists(setup.path("data")).unwrap());
    setup.refuses(&["--check", "--group", "No Name"], "--group \"No Name\"");
}

#[test]
fn what_it_cannot_join_with_is_refused() {
    let setup = Setup::new();
    setup.refuses(&["--join-token", "t"], "--join-token");
    setup.refuses(
        &["--control", "https://127.0.0.1:7943"],
        "start it with --join-token TOKEN",
    );
}

#[test]
fn a_settings_file_is_read_and_its_mistakes_are_named() {
    let setup = Setup::new();
    let file = setup.path("gateway.yaml");
    setup.refuses(&["--config", &file], "cannot read the settings file");
    fs::write(&file, "grop: test\n").unwrap();
    setup.refuses(&["--config", &file], "did you mean \"group\"");
    fs::write(&file, "log-level: \"=,=\"\n").unwrap();
    setup.refuses(&["--config", &file], "cannot read the log filter");
}

#[test]
fn a_busy_port_is_named() {
    let setup = Setup::new();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().unwrap().to_string();
    setup.refuses(&["--http", &busy], &format!("{busy} is in use"));
    setup.refuses(&["--status", &busy], &format!("{busy} is in use"));
}

#[test]
fn another_instance_is_noticed_before_either_serves() {
    let setup = Setup::new();
    let _first = setup.start_and_wait(&[]);
    let [status] = ports::free();
    let status = format!("127.0.0.1:{status}");
    let other = setup.path("other");
    setup.refuses(&["--status", &status, "--data-dir", &other], "is in use");
}

#[test]
fn a_data_folder_that_cannot_be_used_is_named() {
    let setup = Setup::new();
    let file = setup.path("file");
    fs::write(&file, "").unwrap();
    let below = format!("{file}/data");
    setup.refuses(&["--data-dir", &below], &below);
}

#[test]
fn a_data_folder_belongs_to_one_group_and_one_process() {
    let setup = Setup::new();
    let mut first = setup.start_and_wait(&[]);
    let [http, status] = ports::free();
    let (http, status) = (format!("127.0.0.1:{http}"), format!("127.0.0.1:{status}"));
    setup.refuses(&["--http", &http, "--status", &status], &setup.path("data"));
    first.signal(Signal::TERM);
    assert_eq!(first.wait_exit(PATIENCE).code(), Some(0));
    setup.refuses(&["--group", "production"], "test");
}

#[test]
fn without_a_control_plane_it_stays_up_and_serves_nobody() {
    let setup = Setup::new();
    let mut program = setup.start_and_wait(&[]);
    let ready = curl([setup.url("/readyz")]);
    assert_eq!(
        (ready.status, ready.text().contains("starting")),
        (503, true),
        "{}",
        ready.text()
    );
    let refused = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], setup.http)));
    assert!(refused.is_err(), "{refused:?}");

    let status = curl([setup.url("/status")]).json_of(200);
    assert_eq!(status["group"], "test");
    assert_eq!(status["state"], "starting");
    assert_eq!(status["control"]["connected"], false);
    assert_eq!(status["effective"], json!(null));
    assert_eq!(status["listeners"]["https"]["open"], false);
    let metrics = curl([setup.url("/metrics")]);
    assert!(
        metrics.text().contains("\nferryway_control_connected 0\n"),
        "{}",
        metrics.text()
    );

    program.signal(Signal::TERM);
    assert_eq!(program.wait_exit(PATIENCE).code(), Some(0));
}

#[test]
fn it_keeps_its_identity() {
    let setup = Setup::new();
    let instance = || {
        let mut program = setup.start_and_wait(&[]);
        let instance = curl([setup.url("/status")]).json_of(200)["instance"].clone();
        program.signal(Signal::INT);
        assert_eq!(program.wait_exit(PATIENCE).code(), Some(0));
        instance
    };
    assert_eq!(instance(), instance());
}

#[test]
fn a_hangup_reads_the_log_level_again() {
    let setup = Setup::new();
    let file = setup.path("gateway.yaml");
    fs::write(&file, "log-level: warn\n").unwrap();
    let mut program = setup.start_and_wait(&["--config", &file]);
    assert!(!program.stderr().contains("INFO"), "{}", program.stderr());
    fs::write(&file, "log-level: info\n").unwrap();
    program.signal(Signal::HUP);
    eventually(PATIENCE, "the new log level", || {
        program
            .stderr()
            .contains("log_level=\"info\"")
            .then_some(())
    });
    fs::write(&file, "log-level: \"=,=\"\n").unwrap();
    program.signal(Signal::HUP);
    eventually(PATIENCE, "a complaint", || {
        program.stderr().contains("stays as it was").then_some(())
    });
    program.signal(Signal::TERM);
    assert_eq!(program.wait_exit(PATIENCE).code(), Some(0));
}
