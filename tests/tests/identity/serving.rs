//! What clients get of a gateway that joined from elsewhere: the same, whatever becomes of its
//! certificate.

use ferryway_testkit::{Control, Gateway, START_TIME_MAX, curl, eventually};
use serde_json::json;

use super::{SOON, connected, control, gateway, instance, join_token, openssl, says};
use crate::calls::{define, nodes, publish, succeeded};
use crate::upstream::Upstream;

#[track_caller]
fn serves(gateway: &Gateway) {
    let answer = curl([gateway.url("/a")]);
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn a_gateway_serves_on_whatever_becomes_of_its_certificate() {
    let mut control = control(&["--certificate-lifetime", "5s"]);
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("can be made");
    let file = folder.path().join("token");
    std::fs::write(&file, join_token(&control)).expect("can be written");
    let with_file = ["--join-token-file", file.to_str().expect("is text")];
    let mut gateway = gateway(&control, &with_file);
    gateway.wait_ready(SOON);
    connected(&gateway);
    let service = json!({"name": "a", "routes": [{"name": "r", "paths": ["/a"]}]});
    define(&control.api(), &service);
    let binding = nodes(&[upstream.address()]);
    let publishes = |control: &Control, version: &str| {
        let published = publish(&control.api(), "a", version, &[("test", Some(&binding))]);
        succeeded(&published);
    };
    publishes(&control, "1.0.0");
    serves(&gateway);

    // It ends while nobody is there to renew it, and the gateway is started again.
    control.program().kill();
    eventually(SOON, "the certificate ends", || {
        let args = ["x509", "-in", "CERTIFICATE", "-noout", "-checkend", "0"];
        openssl(&args, &gateway)
            .contains("will expire")
            .then_some(())
    });
    serves(&gateway);
    std::fs::remove_file(&file).expect("was there");
    gateway.start_again_with(&with_file);
    gateway.wait_ready(SOON);
    serves(&gateway);
    control.start_again();
    connected(&gateway);
    publishes(&control, "1.0.1");
    serves(&gateway);

    // It is refused for good.
    let id = instance(&control)["id"]
        .as_str()
        .expect("is a text")
        .to_owned();
    gateway.program().kill();
    eventually(START_TIME_MAX, "the instance is deleted", || {
        let path = format!("/gateway-groups/test/instances/{id}");
        (control.api().delete(&path).status == 204).then_some(())
    });
    gateway.start_again_with(&with_file);
    gateway.wait_ready(SOON);
    says(&mut gateway, "was deleted");
    serves(&gateway);
}
