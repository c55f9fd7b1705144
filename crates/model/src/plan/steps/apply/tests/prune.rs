//! What goes by its labels, and what holds it.

use serde_json::{Value, json};

use super::state::State;
use super::{check_on, group, registry, runs, service, state_of, team_group, team_service};

/// Two groups of the team and one of others; the team's service in all of them, another's in two.
pub(super) fn furnished() -> State {
    state_of(&[
        team_group("test"),
        team_group("spare"),
        group("others"),
        registry("test"),
        registry("spare"),
        registry("others"),
        team_service("mine", "/mine"),
        service("theirs", "/theirs"),
        runs("test", "mine", "1"),
        runs("others", "mine", "1"),
        runs("test", "theirs", "1"),
        runs("others", "theirs", "1"),
    ])
}

#[track_caller]
fn check_prune(state: &State, documents: &[Value], keep: &Value, expect: &[&str]) {
    let prune = json!({"labels": {"team": "core"}, "keep": keep});
    check_on(state, documents, Some(&prune), expect);
}

#[test]
fn what_goes_by_its_labels() {
    let state = furnished();
    let expect = [
        "unchanged gateway group test",
        "delete gateway group spare",
        "delete registry dns in spare",
        "delete service mine",
        "delete published service mine in others",
        "delete published service mine in test",
    ];
    check_prune(&state, &[team_group("test")], &json!([]), &expect);
    // A document of what runs names its group and its service too; a registry has no labels, and
    // stays where its group does.
    check_prune(
        &state,
        &[runs("test", "mine", "1")],
        &json!([{"kind": "gateway_group", "name": "spare"}]),
        &[
            "unchanged published service mine in test",
            "delete published service mine in others",
        ],
    );
    // What the call itself puts under the label counts, and what it takes from it.
    check_prune(
        &state,
        &[
            group("test"),
            group("spare"),
            service("mine", "/mine"),
            team_service("theirs", "/theirs"),
        ],
        &json!([]),
        &[
            "update gateway group test",
            "update gateway group spare",
            "update service mine",
            "update service theirs",
            "delete published service theirs in others",
            "delete published service theirs in test",
        ],
    );
    check_on(
        &state,
        &[],
        Some(&json!({"labels": {"team": "core", "tier": "1"}})),
        &[],
    );
}

#[test]
fn what_is_held_does_not_go() {
    let mut state = furnished();
    check_prune(
        &state,
        &[runs("others", "mine", "1")],
        &json!([]),
        &[
            "unchanged published service mine in others",
            "delete gateway group spare",
            "delete gateway group test",
            "delete registry dns in spare",
            "delete registry dns in test",
            "delete published service mine in test",
            // It still has a service of others.
            "! in_use prune.labels",
        ],
    );
    state.online.insert("spare".parse().expect("is a name"));
    let keep_test = json!([
        {"kind": "published_service", "group": "test", "name": "mine"},
        {"kind": "published_service", "group": "others", "name": "mine"},
        {"kind": "registry", "group": "test", "name": "dns"},
    ]);
    check_prune(
        &state,
        &[],
        &keep_test,
        &[
            "delete gateway group spare",
            "delete registry dns in spare",
            "! in_use prune.labels",
        ],
    );
}
