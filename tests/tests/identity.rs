//! Who is who: instances join with tokens, are known by certificates, and renew them.

mod on_etcd;
mod serving;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ferryway_testkit::{Api, Control, Gateway, GatewayOptions, Program, binary, eventually};
use serde_json::{Value, json};

/// How long what needs no waiting may take on a busy machine.
const SOON: Duration = Duration::from_secs(20);

fn control(further: &[&str]) -> Control {
    let control = Control::start_secured(further);
    let group = json!({"name": "test"});
    control.api().post("/gateway-groups", &group).json_of(201);
    control
}

fn join_token(control: &Control) -> String {
    let made = control
        .api()
        .post("/gateway-groups/test/join-tokens", &json!({}))
        .json_of(201);
    made["secret"].as_str().expect("is shown").to_owned()
}

/// A gateway of the group `test` with these further arguments, on its way.
fn gateway(control: &Control, further: &[&str]) -> Gateway {
    Gateway::start(GatewayOptions {
        control: control.delivery_url(),
        group: "test".to_owned(),
        dns_servers: Vec::new(),
        further: further.iter().map(|arg| (*arg).to_owned()).collect(),
    })
}

fn joined(control: &Control) -> Gateway {
    let mut gateway = gateway(control, &["--join-token", &join_token(control)]);
    gateway.wait_ready(SOON);
    gateway
}

#[track_caller]
fn says(gateway: &mut Gateway, part: &str) {
    eventually(SOON, part, || {
        gateway.program().stderr().contains(part).then_some(())
    });
}

#[track_caller]
fn control_says(control: &mut Control, part: &str) {
    eventually(SOON, part, || {
        control.program().stderr().contains(part).then_some(())
    });
}

fn connected(gateway: &Gateway) {
    eventually(SOON, "the gateway is connected", || {
        (gateway.status()["control"]["connected"] == true).then_some(())
    });
}

/// What openssl says of the gateway's certificate.
fn openssl(args: &[&str], gateway: &Gateway) -> String {
    let folder: &Path = gateway.data_dir();
    let certificate = folder.join("certificate.pem").display().to_string();
    let authorities = folder.join("authorities.pem").display().to_string();
    let args = args.iter().map(|arg| match *arg {
        "CERTIFICATE" => certificate.as_str(),
        "AUTHORITIES" => authorities.as_str(),
        other => other,
    });
    let output = Command::new("openssl")
        .args(args)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("openssl is there");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn serial(gateway: &Gateway) -> String {
    openssl(
        &["x509", "-in", "CERTIFICATE", "-noout", "-serial"],
        gateway,
    )
}

fn instance(control: &Control) -> Value {
    let list = control
        .api()
        .get("/gateway-groups/test/instances")
        .json_of(200);
    list["items"][0].clone()
}

#[test]
fn an_instance_joins_once_and_needs_no_token_again() {
    let control = control(&[]);
    let mut gateway = joined(&control);
    connected(&gateway);
    let id = instance(&control)["id"]
        .as_str()
        .expect("has an id")
        .to_owned();

    let text = openssl(&["x509", "-in", "CERTIFICATE", "-noout", "-text"], &gateway);
    let name = format!("URI:spiffe://ferryway.internal/gateway/test/{id}");
    assert!(text.contains(&name), "{text}");
    let port = control.delivery_url().replace("https://", "");
    let session = openssl(
        &[
            "s_client",
            "-connect",
            &port,
            "-alpn",
            "h2",
            "-cert",
            "CERTIFICATE",
            "-key",
            "CERTIFICATE",
            "-CAfile",
            "AUTHORITIES",
            "-verify_return_error",
        ],
        &gateway,
    );
    for part in ["TLSv1.3", "Verify return code: 0 (ok)", "ALPN protocol: h2"] {
        assert!(session.contains(part), "{part} in {session}");
    }
    let old = openssl(&["s_client", "-connect", &port, "-tls1_2"], &gateway);
    assert!(old.contains("alert protocol version"), "{old}");

    gateway.start_again_with(&[]);
    gateway.wait_ready(SOON);
    connected(&gateway);
    assert_eq!(instance(&control)["id"], id, "the identity is kept");
}

#[test]
fn without_a_way_to_a_certificate_a_gateway_does_not_start() {
    let control = control(&[]);
    let control_url = control.delivery_url();
    let folder = tempfile::tempdir().expect("can be made");
    let output = Command::new(binary("ferryway-gateway"))
        .args([
            "--control",
            &control_url,
            "--group",
            "test",
            "--http",
            "127.0.0.1:0",
        ])
        .args([
            "--https",
            "127.0.0.1:0",
            "--status",
            "127.0.0.1:0",
            "--data-dir",
        ])
        .arg(folder.path())
        .output()
        .expect("starts");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("start it with --join-token TOKEN"), "{said}");
}

#[test]
fn what_is_refused_is_said_on_both_sides() {
    let mut control = control(&[]);
    let production = json!({"name": "production"});
    control
        .api()
        .post("/gateway-groups", &production)
        .json_of(201);
    let made = control
        .api()
        .post("/gateway-groups/production/join-tokens", &json!({}))
        .json_of(201);
    let wrong_group = made["secret"].as_str().expect("is shown");
    let mut stranger = gateway(&control, &["--join-token", wrong_group]);
    let why = "the join token is for the gateway group production";
    says(&mut stranger, why);
    control_says(&mut control, why);

    let token = join_token(&control);
    let mut first = gateway(&control, &["--join-token", &token]);
    first.wait_ready(SOON);
    let mut second = gateway(&control, &["--join-token", &token]);
    let why = "the join token was used by the instance";
    says(&mut second, why);
    control_says(&mut control, why);

    // Another installation's token: its authority is another one.
    let other = self::control(&[]);
    let mut lost = gateway(&control, &["--join-token", &join_token(&other)]);
    says(&mut lost, "of another authority than the join token's");
    control_says(&mut control, "the other end does not");
}

#[test]
fn certificates_are_renewed_while_clients_are_served() {
    let control = control(&["--certificate-lifetime", "6s"]);
    let gateway = joined(&control);
    connected(&gateway);
    let mut serials = vec![serial(&gateway)];
    for _ in 0..2 {
        let next = eventually(SOON, "a new certificate", || {
            let now = serial(&gateway);
            (Some(&now) != serials.last()).then_some(now)
        });
        serials.push(next);
    }
    // Its stream ends with the certificate that it was opened with, and comes again with the new one.
    connected(&gateway);
}

#[test]
fn a_deleted_instance_stays_out_and_serves_on() {
    let mut control = control(&[]);
    let mut gateway = joined(&control);
    connected(&gateway);
    let id = instance(&control)["id"]
        .as_str()
        .expect("has an id")
        .to_owned();
    gateway.program().kill();
    let path = format!("/gateway-groups/test/instances/{id}");
    eventually(SOON, "the instance can be deleted", || {
        (control.api().delete(&path).status == 204).then_some(())
    });
    gateway.start_again_with(&[]);
    gateway.wait_ready(SOON);
    let why = "was deleted, or has joined anew since it was given this certificate";
    says(&mut gateway, why);
    control_says(&mut control, why);
    assert_eq!(gateway.status()["control"]["connected"], false);

    let token = join_token(&control);
    gateway.start_again_with(&["--join-token", &token]);
    gateway.wait_ready(SOON);
    connected(&gateway);
    assert_eq!(instance(&control)["id"], id);
}

#[test]
fn the_authority_is_exchanged_without_an_outage() {
    let mut control = control(&["--certificate-lifetime", "6s"]);
    let gateway = joined(&control);
    connected(&gateway);
    let old = join_token(&control);
    let rotated = control
        .api()
        .call("POST", "/authority/rotate", &[], None)
        .json_of(200);
    let new = rotated["authorities"][1]["fingerprint"].clone();
    let authority = || control.api().get("/authority").json_of(200)["authorities"].clone();
    // A token of before still leads to the control plane.
    let mut late = self::gateway(&control, &["--join-token", &old]);
    late.wait_ready(SOON);
    let left = eventually(
        Duration::from_secs(40),
        "the old authority is dropped",
        || {
            let all = authority();
            (all.as_array().map(Vec::len) == Some(1)).then_some(all)
        },
    );
    assert_eq!(left[0]["fingerprint"], new);
    assert_eq!(left[0]["instances"], json!({"test": 2}));
    control.start_again();
    for gateway in [&gateway, &late] {
        connected(gateway);
    }
}

#[test]
fn a_data_folder_in_use_twice_is_said_everywhere() {
    let mut control = control(&[]);
    let mut first = joined(&control);
    connected(&first);
    // The thief's copy, and then the owner starts again: the later start is served.
    let copy = tempfile::tempdir().expect("can be made");
    first.program().kill();
    for file in std::fs::read_dir(first.data_dir()).expect("is there") {
        let file = file.expect("is there");
        std::fs::copy(file.path(), copy.path().join(file.file_name())).expect("can be copied");
    }
    let stolen = stolen(&control, copy.path());
    eventually(SOON, "the copy is served", || {
        (instance(&control)["state"] == "online").then_some(())
    });
    first.start_again_with(&[]);
    connected(&first);
    let conflict = eventually(SOON, "the conflict is shown", || {
        instance(&control)["conflict"]
            .as_str()
            .map(ToOwned::to_owned)
    });
    assert!(
        conflict.contains("is the data folder in use twice?"),
        "{conflict}"
    );
    control_says(&mut control, "its data folder is in use twice");
    eventually(SOON, "the copy is told", || {
        let said = stolen.stderr();
        said.contains("a later start of this instance is connected")
            .then_some(())
    });
    assert_eq!(first.status()["control"]["connected"], true);
}

/// A gateway on a folder that was copied from another one.
fn stolen(control: &Control, folder: &Path) -> Program {
    let mut command = Command::new(binary("ferryway-gateway"));
    command.args(["--control", &control.delivery_url(), "--group", "test"]);
    command.args(["--http", "127.0.0.1:0", "--https", "127.0.0.1:0"]);
    command
        .args(["--status", "127.0.0.1:0", "--data-dir"])
        .arg(folder);
    Program::start("a stolen data folder", command)
}

#[test]
fn the_api_speaks_tls_with_the_authority_of_the_gateways() {
    let control = Control::start_secured(&["--api-tls"]);
    let authority = control.data_dir().join("authority.pem");
    let cli = |args: &[&str]| {
        Command::new(binary("ferryway"))
            .args(args)
            .arg("--server")
            .arg(control.origin())
            .env("FERRYWAY_CA", &authority)
            .env("FERRYWAY_TOKEN", control.admin_token())
            .output()
            .expect("starts")
    };
    let made = cli(&["group", "create", "test"]);
    assert!(made.status.success(), "{made:?}");
    let token = cli(&[
        "token",
        "create-join",
        "--group",
        "test",
        "--expires-in",
        "1h",
    ]);
    let token = String::from_utf8(token.stdout).expect("is text");
    let mut gateway = gateway(&control, &["--join-token", token.trim()]);
    gateway.wait_ready(SOON);
    let list = cli(&["token", "list-join", "--group", "test"]);
    let list = String::from_utf8(list.stdout).expect("is text");
    assert!(list.contains("USED BY") && list.contains(" one "), "{list}");

    let stranger = Command::new(binary("ferryway"))
        .args(["group", "list", "--server", &control.origin()])
        .output()
        .expect("starts");
    assert_eq!(stranger.status.code(), Some(5));
    let said = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(said.contains("authority that is not trusted"), "{said}");
}

#[test]
fn wrong_tokens_are_slowed_down_and_right_ones_are_not() {
    let control = control(&[]);
    let wrong = ["Authorization: Bearer fw_wrong"];
    let stranger = Api::at(&control.origin());
    let refused = |_: usize| stranger.call("GET", "/gateway-groups", &wrong, None).status;
    let mut statuses: Vec<u16> = (0..140).map(refused).collect();
    assert_eq!(statuses[0], 401);
    statuses.retain(|status| *status != 401);
    assert!(!statuses.is_empty() && statuses.iter().all(|status| *status == 429));
    control.api().get("/gateway-groups").json_of(200);
    let audit = control.api().get("/audit").json_of(200).to_string();
    assert!(audit.contains("wrong tokens"), "{audit}");
}
