//! What the program does with a file instead of a control plane.

use std::fs;

use ferryway_testkit::{Signal, curl};

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
