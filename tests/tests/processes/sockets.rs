//! A busy port is said at once, with its address.

use std::net::TcpListener;

use ferryway_testkit::{Control, START_TIME_MAX, ports};
use tempfile::TempDir;

use super::run::{check_refused, start};
use crate::site::{GROUP, Site, make_group};

/// A port with somebody else on it.
fn busy() -> (TcpListener, String) {
    let [port] = ports::free();
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("it is free");
    (listener, format!("127.0.0.1:{port}"))
}

#[test]
fn of_the_gateway() {
    let control = Control::start();
    make_group(&control.api(), GROUP);
    let url = control.delivery_url();
    for flag in ["--http", "--status"] {
        let (_listener, address) = busy();
        let others = ["--http", "--https", "--status"]
            .iter()
            .filter(|other| **other != flag)
            .map(|other| format!("{other} 127.0.0.1:PORT "))
            .collect::<String>();
        let args =
            format!("--control {url} --group {GROUP} --data-dir DATA {others} {flag} {address}");
        check_refused("ferryway-gateway", &args, 1, &[&address]);
    }
}

#[test]
fn of_the_control_plane() {
    for (flag, other) in [("--api", "--delivery"), ("--delivery", "--api")] {
        let (_listener, address) = busy();
        let args = format!("--dev --data-dir DATA {other} 127.0.0.1:PORT {flag} {address}");
        check_refused("ferryway-control", &args, 1, &[&address]);
    }
}

#[test]
fn another_gateways_port_is_busy_too() {
    let site = Site::set();
    let address = site.address().to_string();
    let url = site.control.delivery_url();
    let args = format!(
        "--control {url} --group {GROUP} --data-dir DATA --https 127.0.0.1:PORT \
         --status 127.0.0.1:PORT --http {address}"
    );
    check_refused("ferryway-gateway", &args, 1, &[&address]);
    assert_eq!(site.get("/").status, 404, "the first serves on");
}

#[test]
fn a_busy_tls_port_is_no_reason_to_end() {
    let control = Control::start();
    make_group(&control.api(), GROUP);
    let (_listener, address) = busy();
    let data = TempDir::new().expect("a temporary folder can be made");
    let [http, status] = ports::free();
    let url = control.delivery_url();
    let args = format!(
        "--control {url} --group {GROUP} --data-dir DATA --http 127.0.0.1:{http} \
         --status 127.0.0.1:{status} --https {address}"
    );
    let mut second = start("ferryway-gateway", &args, data.path());
    second.wait_for_http(&format!("http://127.0.0.1:{status}/readyz"), START_TIME_MAX);
}
