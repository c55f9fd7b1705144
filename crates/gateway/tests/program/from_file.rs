//! What the program does with a file instead of a control plane.

use std::fs;

use ferryway_testkit::{Signal, curl, eventually};

use crate::setup::{PATIENCE, Setup};

const VIEW: &str = "
kind: gateway_group
name: production
---
kind: published_service
group: production
service: web
version: 1.0.0
binding:
  nodes: [{host: 127.0.0.1, port: 1}]
definition:
  name: web
  routes: [{name: all, paths: [/web]}]
";

#[test]
fn it_serves_what_the_file_says_and_keeps_who_it_is() {
    let setup = Setup::new();
    let (file, data) = (setup.path("view.yaml"), setup.path("kept"));
    fs::write(&file, VIEW).unwrap();
    let run = || {
        let mut program = setup.start_and_wait(&["--static", &file, "--data-dir", &data]);
        program.wait_for_http(&setup.url("/readyz"), PATIENCE);
        let client = |path: &str| curl([format!("http://127.0.0.1:{}{path}", setup.http)]);
        let answer = client("/web");
        assert_eq!(answer.header("x-ferryway-error"), Some("upstream_connect"));
        assert_eq!(client("/elsewhere").status, 404);
        let status = curl([setup.url("/status")]).json_of(200);
        assert_eq!(status["group"], "production");
        assert_eq!(
            (&status["source"], &status["static"]),
            (&"disk".into(), &file.as_str().into())
        );
        program.signal(Signal::TERM);
        assert_eq!(program.wait_exit(PATIENCE).code(), Some(0));
        status["instance"].clone()
    };
    let first = run();
    assert_eq!(run(), first);
    // The folder is this group's; the file may be another one's.
    fs::write(&file, VIEW.replace("production", "test")).unwrap();
    setup.refuses(&["--static", &file, "--data-dir", &data], "production");
}

#[test]
fn without_a_folder_it_keeps_nothing() {
    let setup = Setup::new();
    let file = setup.path("view.yaml");
    fs::write(&file, VIEW).unwrap();
    let mut program = setup.start_and_wait(&["--static", &file]);
    program.wait_for_http(&setup.url("/readyz"), PATIENCE);
    program.signal(Signal::TERM);
    assert_eq!(program.wait_exit(PATIENCE).code(), Some(0));
    assert!(!fs::exists(setup.path("data")).unwrap());
}

#[test]
fn on_sighup_the_file_is_read_again() {
    let setup = Setup::new();
    let file = setup.path("view.yaml");
    fs::write(&file, VIEW).unwrap();
    let mut program = setup.start_and_wait(&["--static", &file]);
    program.wait_for_http(&setup.url("/readyz"), PATIENCE);
    let status = |path: &str| curl([format!("http://127.0.0.1:{}{path}", setup.http)]).status;
    let serves = |path: &'static str, code: u16| {
        eventually(PATIENCE, path, || (status(path) == code).then_some(()));
    };
    serves("/web", 502);

    fs::write(&file, VIEW.replace("[/web]", "[/other]")).unwrap();
    program.signal(Signal::HUP);
    serves("/other", 502);
    assert_eq!(status("/web"), 404);

    // What is wrong is named with its line, and changes nothing.
    fs::write(&file, VIEW.replace("paths", "pathz")).unwrap();
    program.signal(Signal::HUP);
    let said = eventually(PATIENCE, "a complaint", || {
        let log = program.stderr();
        log.contains("the view stays as it was").then_some(log)
    });
    assert!(said.contains("view.yaml:13"), "{said}");
    fs::write(&file, VIEW.replace("production", "test")).unwrap();
    program.signal(Signal::HUP);
    eventually(PATIENCE, "another complaint", || {
        let log = program.stderr();
        log.contains("nothing here is of the gateway group production")
            .then_some(())
    });
    assert_eq!(status("/other"), 502);

    // A service that no document has any more is gone.
    fs::write(
        &file,
        "kind: gateway_group
name: production
",
    )
    .unwrap();
    program.signal(Signal::HUP);
    serves("/other", 404);
    program.signal(Signal::TERM);
    assert_eq!(program.wait_exit(PATIENCE).code(), Some(0));
}

#[test]
fn a_file_is_validated() {
    let setup = Setup::new();
    let file = setup.path("view.yaml");
    fs::write(&file, VIEW).unwrap();
    let mut program = setup.start(&["--static", &file, "--check"]);
    assert_eq!(
        program.wait_exit(PATIENCE).code(),
        Some(0),
        "{}",
        program.stderr()
    );
    setup.refuses(
        &["--static", &file, "--group", "test"],
        "nothing here is of the gateway group test",
    );

    fs::write(
        &file,
        VIEW.replace("/web", "web")
            .replace("port: 1}", "port: 1, wight: 2}"),
    )
    .unwrap();
    for check in [&["--check"][..], &[]] {
        let args = [&["--static", &file][..], check].concat();
        let mut program = setup.start(&args);
        assert_eq!(program.wait_exit(PATIENCE).code(), Some(1));
        let said = program.stderr();
        for part in [
            "--static: 2 problems",
            "view.yaml:10:38: binding",
            "view.yaml:13:32: definition",
        ] {
            assert!(said.contains(part), "{part:?} in {said}");
        }
    }
    fs::remove_file(&file).unwrap();
    setup.refuses(&["--static", &file], "--static: cannot read");
}

#[test]
fn a_control_plane_beside_it_is_refused() {
    let setup = Setup::new();
    let file = setup.path("view.yaml");
    fs::write(&file, VIEW).unwrap();
    let args = ["--static", &file, "--control", "http://127.0.0.1:1"];
    setup.refuses(&args, "leave --control out, or --static");
}
