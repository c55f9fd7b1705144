//! Certificates where the store moves to etcd, and more than one control plane gives them out.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use ferryway_testkit::{Api, Control, Etcd, START_TIME_MAX, Signal, binary, eventually};

use super::{SOON, connected, control, gateway, join_token, joined};

/// A control plane that is started on this store and ends by itself.
fn refused_to_start(store: &str, key: &Path) -> Output {
    let data = tempfile::tempdir().expect("can be made");
    let mut command = Command::new(binary("ferryway-control"));
    command.args(["--api", "127.0.0.1:0", "--delivery", "127.0.0.1:0"]);
    command.args(["--store", store]);
    command.arg("--secret-key-file").arg(key);
    command.arg("--data-dir").arg(data.path());
    command.output().expect("starts")
}

/// The fingerprint of the authority that issues, and how many certificates of it there are.
fn authority(api: &Api) -> (String, u64) {
    let state = api.get("/authority").json_of(200);
    let one = &state["authorities"][0];
    let fingerprint = one["fingerprint"].as_str().expect("is a text").to_owned();
    (fingerprint, one["instances"]["test"].as_u64().unwrap_or(0))
}

#[test]
fn authority_and_tokens_go_where_the_store_goes() {
    let etcd = Etcd::start();
    let mut first = control(&[]);
    let earlier = joined(&first);
    connected(&earlier);
    let token = join_token(&first);
    let (fingerprint, count) = authority(&first.api());
    assert_eq!(count, 1);

    first.program().signal(Signal::TERM);
    first.program().wait_exit(START_TIME_MAX);
    let mut copy = Command::new(binary("ferryway-control"));
    copy.args(["store", "copy", "--to", &etcd.url(), "--from"]);
    let copied = copy.arg(first.data_dir()).output().expect("starts");
    assert!(copied.status.success(), "{copied:?}");
    first.set_further(&["--store", &etcd.url()]);
    first.start_again();
    connected(&earlier);
    assert_eq!(authority(&first.api()), (fingerprint.clone(), 1));

    // One more control plane needs the same secret key, and says so.
    let other = tempfile::tempdir().expect("can be made");
    let other = other.path().join("secret.key");
    for is_there in [false, true] {
        if is_there {
            std::fs::write(&other, format!("{}=\n", "A".repeat(43))).expect("can be written");
            let owners = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&other, owners).expect("can be set");
        }
        let refused = refused_to_start(&etcd.url(), &other);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("have the same secret key"), "{said}");
    }
    let key = first.data_dir().join("secret.key").display().to_string();
    let second = Control::start_secured(&["--store", &etcd.url(), "--secret-key-file", &key]);
    assert_eq!(authority(&second.api()), (fingerprint, 1));

    // A token that one made lets in at the other, once.
    let mut late = gateway(&second, &["--join-token", &token]);
    late.wait_ready(SOON);
    eventually(SOON, "both know of two certificates", || {
        let known = [&first, &second].map(|control| authority(&control.api()));
        known.iter().all(|known| known.1 == 2).then_some(())
    });
    let mut another = gateway(&first, &["--join-token", &token]);
    super::says(&mut another, "was used by the instance");

    // What stands at one is known at the other, which they tell each other by certificates; and what
    // one refuses, the other does.
    let id = late.status()["instance"]
        .as_str()
        .expect("is a text")
        .to_owned();
    let place = format!("/gateway-groups/test/instances/{id}");
    let is = |state: &str| {
        eventually(SOON, state, || {
            let shown = first.api().get(&place);
            (shown.status == 200 && shown.json()["state"] == state).then_some(())
        });
    };
    is("online");
    late.program().kill();
    is("offline");
    assert_eq!(first.api().delete(&place).status, 204);
    late.start_again_with(&[]);
    super::says(&mut late, "was deleted");
}
