//! The verbs that operators need now and then: tokens, `confirm-shrink`, rollouts.

use serde_json::json;

use super::terminal::Terminal;
use crate::calls::service;
use crate::site::{GROUP, Site};

#[test]
fn tokens() {
    let site = Site::set();
    let terminal = Terminal::at(&site.control.origin());
    terminal.shows("token list", &["no tokens"]);
    let made = terminal.run("token create ci --scope read --expires-in 720h");
    assert_eq!(made.code, Some(0), "{made:#?}");
    assert!(made.stdout.starts_with("fw_"), "{made:#?}");
    assert_eq!(made.stdout.lines().count(), 1, "alone: {made:#?}");
    assert!(made.stderr.contains("can't be shown again"), "{made:#?}");
    let secret = made.stdout.trim();

    let listed = terminal.json("token list");
    let tokens = listed["items"].as_array().or(listed.as_array());
    let token = &tokens.expect("is a list")[0];
    assert_eq!(
        (&token["name"], &token["scope"]),
        (&json!("ci"), &json!("read"))
    );
    assert!(!listed.to_string().contains(secret));
    terminal.shows("token list", &["NAME", "ci", "read"]);

    // Even with --dev whoever shows a token is who it says.
    terminal.shows(&format!("group list --token {secret}"), &[GROUP]);
    let line = format!("group create x --token {secret}");
    assert!(terminal.ends(&line, 1).contains("scope"));
    let id = token["id"].as_str().expect("has an id");
    terminal.shows(&format!("token delete {id} --yes"), &["deleted"]);
    let text = terminal.ends(&format!("group list --token {secret}"), 1);
    assert!(text.contains("Authorization"), "{text}");

    let made = terminal.json("token create deploy --scope admin --expires-at 2999-01-01T00:00:00Z");
    assert!(
        made["secret"]
            .as_str()
            .is_some_and(|it| it.starts_with("fw_"))
    );
    assert_eq!(made["expires_at"], "2999-01-01T00:00:00Z");
    for (line, word) in [
        ("token create x", "--scope"),
        ("token create x --scope root", "read, write and admin"),
        ("token create X --scope read", "X"),
        (
            "token create x --scope read --expires-in 1h --expires-at 2999-01-01T00:00:00Z",
            "--expires-at",
        ),
    ] {
        let text = terminal.ends(line, 2);
        assert!(text.contains(word), "{word} of {line}: {text}");
    }
}

#[test]
fn what_there_is_nothing_of() {
    let site = Site::set();
    let terminal = Terminal::at(&site.control.origin());
    let operation = site.serve(&service("orders", &[("all", "/orders")]));
    let id = operation["operation"].as_str().expect("has an id");
    for verb in ["pause", "resume", "abort"] {
        let text = terminal.ends(&format!("operation {verb} {id}"), 1);
        assert!(text.contains("no_rollout"), "{verb}: {text}");
    }
    let text = terminal.ends(&format!("group confirm-shrink {GROUP}"), 1);
    assert!(text.contains("nothing_to_confirm"), "{text}");
}
