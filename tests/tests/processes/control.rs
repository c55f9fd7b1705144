//! A control plane that is not for development: with tokens.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use ferryway_testkit::{Api, Control, Program, START_TIME_MAX, Signal, curl, ports, try_curl};
use serde_json::json;
use tempfile::TempDir;

use super::run::start;
use crate::calls::refused;

struct Guarded {
    program: Program,
    data: TempDir,
    api: u16,
    delivery: u16,
}

impl Guarded {
    #[track_caller]
    fn start() -> Self {
        let data = TempDir::new().expect("a temporary folder can be made");
        let [api, delivery] = ports::free();
        let program = launch(&data, api, delivery);
        Self {
            program,
            data,
            api,
            delivery,
        }
    }

    fn api(&self) -> Api {
        Api::at(&format!("http://127.0.0.1:{}", self.api))
    }

    /// The administrator's token, as the file has it.
    fn token(&self) -> String {
        let path = self.data.path().join("admin-token");
        let mode = fs::metadata(&path).expect("it was made").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let token = fs::read_to_string(path).expect("it can be read");
        token.trim().to_owned()
    }
}

#[track_caller]
fn launch(data: &TempDir, api: u16, delivery: u16) -> Program {
    let args = format!("--api 127.0.0.1:{api} --delivery 127.0.0.1:{delivery} --data-dir DATA");
    let mut program = start("ferryway-control", &args, data.path());
    program.wait_for_http(&format!("http://127.0.0.1:{api}/readyz"), START_TIME_MAX);
    program
}

#[test]
fn only_who_has_a_token_is_answered() {
    let control = Guarded::start();
    let token = control.token();
    let group = json!({"name": "test"});
    let call = |header: Option<&str>| {
        let headers: Vec<_> = header.into_iter().collect();
        control
            .api()
            .call("POST", "/gateway-groups", &headers, Some(&group))
    };
    let other = format!("Authorization: Bearer {}x", &token[..token.len() - 1]);
    for wrong in [
        None,
        Some("Authorization: Bearer"),
        Some("Authorization: Bearer x"),
        Some("Authorization: Basic YWRtaW46YWRtaW4="),
        Some(other.as_str()),
    ] {
        let answer = call(wrong);
        assert_eq!(refused(&answer, 401), ["unauthorized"], "{wrong:?}");
    }
    let right = format!("Authorization: Bearer {token}");
    assert_eq!(call(Some(&right)).status, 201);
    let list = control
        .api()
        .call("GET", "/gateway-groups", &[&right], None);
    assert_eq!(list.json_of(200)["items"][0]["name"], "test");
    // Even what is not there is nobody's business.
    assert_eq!(control.api().get("/gateway-groups/none").status, 401);
    // Whether it is up, is everybody's.
    for path in ["/healthz", "/readyz"] {
        let url = format!("http://127.0.0.1:{}{path}", control.api);
        assert_eq!(curl([url]).status, 200, "{path}");
    }
}

#[test]
fn the_token_is_told_once_and_kept() {
    let mut control = Guarded::start();
    let token = control.token();
    assert!(token.len() >= 32, "{token}");
    assert!(control.program.stdout().contains(&token));
    control.program.signal(Signal::TERM);
    let exit = control.program.wait_exit(Duration::from_secs(15));
    assert_eq!(exit.code(), Some(0), "{}", control.program.stderr());

    control.program = launch(&control.data, control.api, control.delivery);
    assert_eq!(control.token(), token);
    let said = [control.program.stdout(), control.program.stderr()].concat();
    assert!(!said.contains(&token), "{said}");
}

#[test]
fn the_delivery_port_speaks_tls_alone() {
    let control = Guarded::start();
    let url = format!("http://127.0.0.1:{}/", control.delivery);
    for plain in ["--http1.1", "--http2-prior-knowledge"] {
        let answer = try_curl([plain, url.as_str()]);
        assert!(answer.is_err(), "{plain}: {answer:?}");
    }
}

#[test]
fn development_is_for_this_machine_alone() {
    let control = Control::start();
    let groups = format!("{}/api/v1/gateway-groups", control.origin());
    let body = ["--data", r#"{"name": "test"}"#];
    let json = ["--header", "Content-Type: application/json"];
    let mut number = 0;
    let mut post = |further: &[&str]| {
        number += 1;
        let body = format!(r#"{{"name": "g{number}"}}"#);
        curl([&["--data", body.as_str()], further, &[groups.as_str()]].concat()).status
    };
    assert_eq!(post(&json), 201);
    let origin = |origin: &str| format!("Origin: {origin}");
    let own = origin(&control.origin());
    assert_eq!(post(&[&json[..], &["--header", &own]].concat()), 201);
    let foreign = origin("http://evil.example");
    assert_eq!(post(&[&json[..], &["--header", &foreign]].concat()), 403);
    assert_eq!(
        post(&[&json[..], &["--header", "Host: evil.example"]].concat()),
        403
    );
    // A form needs no leave of the browser to be sent from anywhere.
    assert_eq!(post(&[]), 415);
    let url = format!("{}/api/v1/gateway-groups", control.origin());
    assert_eq!(
        curl(
            [
                &["--header", "Host: evil.example"][..],
                &body,
                &json,
                &[&url]
            ]
            .concat()
        )
        .status,
        403
    );
}
