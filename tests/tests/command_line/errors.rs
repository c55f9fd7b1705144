//! What goes wrong has a code, and a sentence that says what to do.

use ferryway_testkit::ports;
use serde_json::json;

use super::terminal::Terminal;
use crate::calls::{define, service};
use crate::site::{GROUP, Site, make_group};
use crate::upstream::Reply;

#[track_caller]
fn check(terminal: &Terminal, line: &str, code: i32, words: &[&str]) {
    let text = terminal.ends(line, code);
    for word in words {
        assert!(text.contains(word), "{word:?} of {line}:\n{text}");
    }
}

#[test]
fn nobody_answers() {
    let [port] = ports::free();
    let server = format!("127.0.0.1:{port}");
    let terminal = Terminal::at(&format!("http://{server}"));
    for line in ["status", "group list", "publish a --version 1 --to test"] {
        check(&terminal, line, 5, &[&server]);
    }
}

#[test]
fn what_cannot_be_meant_is_usage() {
    let terminal = Terminal::at("http://127.0.0.1:1");
    for (line, word) in [
        ("", "Usage"),
        ("none-such", "none-such"),
        ("publish orders --to test", "--version"),
        ("publish orders --version 1", "--to"),
        ("sync orders --from test", "--to"),
        ("sync orders --from test --to production --node a:b", "a:b"),
        (
            "sync orders --from test --to p --node a --discovery registry=r,service=s",
            "--discovery",
        ),
        ("rollback orders --in test", "--to"),
        ("status -o xml", "xml"),
    ] {
        check(&terminal, line, 2, &[word]);
    }
}

#[test]
fn the_plan_refuses() {
    let site = Site::set();
    make_group(&site.api(), "production");
    let terminal = Terminal::at(&site.control.origin());
    define(&site.api(), &service("orders", &[("all", "/orders")]));
    let publish = format!("publish orders --version 1 --to {GROUP} --node a.example");
    check(&terminal, &publish, 0, &[]);
    for (line, word) in [
        (publish.as_str(), "version_exists"),
        ("publish orders --version 2 --to production", "binding"),
        ("sync orders --from test --to production", "binding"),
        (
            "sync orders --from test --to none-such --node a",
            "none-such",
        ),
        (
            "sync orders --from test --to production --node a --expect-version 7",
            "7",
        ),
        (
            "sync orders --from test --to production --node a --version 7",
            "version",
        ),
        (
            "sync orders --from test --to production --node a --waves 1,100%",
            "waves",
        ),
        ("rollback orders --in test --to 9", "9"),
    ] {
        check(&terminal, line, 3, &[word]);
    }
    // What the URL names and isn't there is no plan's refusal.
    for (line, word) in [
        ("publish none-such --version 2 --to production", "none-such"),
        ("disable orders --in production", "orders"),
    ] {
        check(&terminal, line, 1, &[word]);
    }
    let dry = "publish orders --version 1 --to production --dry-run";
    check(&terminal, dry, 3, &["version", "binding"]);
}

#[test]
fn an_instance_rejects() {
    let site = Site::set();
    let terminal = Terminal::at(&site.control.origin());
    let mut checked = service("orders", &[("all", "/*")]);
    checked["checks"] = json!([{"name": "is-well", "path": "/well", "expect": {"status": 200}}]);
    define(&site.api(), &checked);
    site.upstream
        .reply("/well", [Reply::Text(500, "very sick")]);
    let node = site.upstream.address();
    let publish = format!("publish orders --version 1 --to {GROUP} --node {node}");
    let shown = [
        "0/1 applied, 1 rejected",
        "check `is-well` failed: expected status 200, got 500",
        "check_failed",
        "method: GET",
        "path: /well",
        "status: 500",
        "body: very sick",
    ];
    check(&terminal, &publish, 1, &shown);

    // It never ran, so there is no way back to it.
    site.upstream.reply("/well", [Reply::Text(200, "well")]);
    for version in [2, 3] {
        let publish = format!("publish orders --version {version} --to {GROUP}");
        check(&terminal, &publish, 0, &["1/1 applied"]);
    }
    let back = format!("rollback orders --in {GROUP} --to 1");
    check(&terminal, &back, 3, &["never ran in test"]);

    // On the way back to what ran it only warns.
    site.upstream
        .reply("/well", [Reply::Text(500, "very sick")]);
    let shown = ["1/1 applied", "applied, but warned by", "very sick"];
    let back = format!("rollback orders --in {GROUP} --to 2");
    check(&terminal, &back, 0, &shown);
}

#[test]
fn other_refusals_are_failures() {
    let site = Site::set();
    let terminal = Terminal::at(&site.control.origin());
    check(&terminal, &format!("group create {GROUP}"), 1, &[GROUP]);
    check(&terminal, "group get none-such", 1, &["none-such"]);
    check(
        &terminal,
        &format!("group delete {GROUP} --yes"),
        1,
        &["instance"],
    );
    check(
        &terminal,
        "service create -f none-such.yaml",
        1,
        &["none-such.yaml"],
    );
    terminal.write(
        "wrong.yaml",
        "name: orders\nroutes: [{name: all, path: /x}]\n",
    );
    check(
        &terminal,
        "service create -f wrong.yaml",
        1,
        &["routes[0]", "path"],
    );
}

#[test]
fn a_context_is_remembered() {
    let site = Site::set();
    let server = site.control.origin();
    let terminal = Terminal::at("http://127.0.0.1:1");
    check(
        &terminal,
        &format!("context add here --server {server}"),
        0,
        &[],
    );
    check(&terminal, "context list", 0, &["here", &server]);
    // What the environment says goes before it.
    check(&terminal, "group list", 5, &["127.0.0.1:1"]);
    check(
        &terminal,
        &format!("group list --server {server}"),
        0,
        &[GROUP],
    );
    check(&terminal, "context remove here", 0, &[]);
    check(&terminal, "context use here", 1, &["here"]);
}
