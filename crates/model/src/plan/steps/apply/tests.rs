//! The rules of documents, each on a small state written as documents.

mod prune;
mod state;
mod whole;

use serde_json::{Value, json};

use crate::document::DocumentId;
use crate::plan::{Action, Apply, ApplyPlan, Prune, plan_apply};
use crate::walk::{At, Walk};
use prune::furnished;
use state::State;

fn apply_of(documents: &Value, prune: Option<&Value>) -> Apply {
    let mut walk = Walk::new();
    let apply = Apply {
        documents: Apply::read_documents(&mut walk, documents, &At::Root),
        prune: prune.and_then(|prune| Prune::read(&mut walk, prune, At::Root)),
    };
    walk.finish(Some(apply))
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A plan in lines: `create service a`, and of problems `! code path`, of warnings `? code path`.
fn planned(plan: &ApplyPlan) -> Vec<String> {
    let resources = plan.resources.iter().map(|resource| {
        let action = match plan.action(resource) {
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
            Action::Unchanged => "unchanged",
        };
        format!("{action} {}", resource.id)
    });
    let problems = plan.plan.all_problems().map(|problem| {
        let sign = if problem.is_error() { '!' } else { '?' };
        format!("{sign} {} {}", problem.code, problem.path)
    });
    resources.chain(problems).collect()
}

fn group(name: &str) -> Value {
    json!({"kind": "gateway_group", "name": name})
}

fn team_group(name: &str) -> Value {
    json!({"kind": "gateway_group", "name": name, "labels": {"team": "core"}})
}

fn enforcing(name: &str) -> Value {
    json!({"kind": "gateway_group", "name": name, "enforce_publishing": true})
}

fn registry(group: &str) -> Value {
    json!({"kind": "registry", "group": group, "name": "dns", "type": "dns"})
}

fn service(name: &str, path: &str) -> Value {
    json!({"kind": "service", "name": name, "routes": [{"name": "r", "paths": [path]}]})
}

fn team_service(name: &str, path: &str) -> Value {
    let mut service = service(name, path);
    service["labels"] = json!({"team": "core"});
    service
}

fn definition(name: &str, path: &str) -> Value {
    json!({"name": name, "routes": [{"name": "r", "paths": [path]}]})
}

/// A published service under a version, with nodes.
fn runs(group: &str, service: &str, version: &str) -> Value {
    json!({"kind": "published_service", "group": group, "service": service, "version": version,
        "binding": {"nodes": [{"host": "h"}]}})
}

/// A published service in No Version state, with nodes.
fn edited(group: &str, service: &str, path: &str) -> Value {
    json!({"kind": "published_service", "group": group, "service": service,
        "definition": definition(service, path), "binding": {"nodes": [{"host": "h"}]}})
}

fn with(mut document: Value, field: &str, value: Value) -> Value {
    document[field] = value;
    document
}

fn state_of(documents: &[Value]) -> State {
    let mut state = State::default();
    let plan = plan_apply(&apply_of(&json!(documents), None), &state);
    assert!(!plan.plan.is_refused(), "{:?}", planned(&plan));
    state.carry_out(&plan);
    state
}

/// What documents would do to a state that others made. Warnings of no instances are left out.
#[track_caller]
fn check(standing: &[Value], documents: &[Value], expect: &[&str]) {
    check_on(&state_of(standing), documents, None, expect);
}

#[track_caller]
fn check_on(state: &State, documents: &[Value], prune: Option<&Value>, expect: &[&str]) {
    let plan = plan_apply(&apply_of(&json!(documents), prune), state);
    let lines: Vec<_> = planned(&plan)
        .into_iter()
        .filter(|line| !line.starts_with("? no_instances"))
        .collect();
    assert_eq!(
        lines,
        expect,
        "{:?}",
        plan.plan.all_problems().collect::<Vec<_>>()
    );
}

#[test]
fn all_of_it_at_once_whatever_comes_first() {
    let discovered = json!({"discovery": {"registry": "dns", "service": "a.example"}});
    check(
        &[],
        &[
            with(runs("test", "a", "1.0.0"), "binding", discovered),
            service("a", "/a"),
            registry("test"),
            group("test"),
        ],
        &[
            "create published service a in test",
            "create service a",
            "create registry dns in test",
            "create gateway group test",
        ],
    );
}

#[test]
fn names_that_name_nothing() {
    check(
        &[group("test")],
        &[
            registry("nowhere"),
            runs("nowhere", "a", "1.0.0"),
            runs("test", "b", "1.0.0"),
            with(
                edited("test", "c", "/c"),
                "binding",
                json!({"discovery": {"registry": "dns", "service": "c"}}),
            ),
            with(edited("test", "d", "/d"), "binding", Value::Null),
        ],
        &[
            "create registry dns in nowhere",
            "unchanged published service a in nowhere",
            "unchanged published service b in test",
            "create published service c in test",
            "unchanged published service d in test",
            "! group_missing resources[0].group",
            "! service_missing resources[1].version",
            "! service_missing resources[2].version",
            "! group_missing resources[1].group",
            "! registry_missing resources[3].binding.discovery.registry",
            "! binding_required resources[4].binding",
        ],
    );
}

#[test]
fn the_same_resource_twice() {
    check(
        &[],
        &[
            group("test"),
            group("test"),
            service("a", "/a"),
            with(service("a", "/b"), "title", json!("x")),
        ],
        &[
            "create gateway group test",
            "create service a",
            "! duplicate resources[1]",
            "! duplicate resources[3]",
        ],
    );
}

#[test]
fn what_a_version_is_made_of() {
    let standing = [
        group("test"),
        group("production"),
        service("a", "/a"),
        runs("test", "a", "1"),
    ];
    let one = |document: Value, expect: &[&str]| check(&standing, &[document], expect);
    // It is there already.
    one(
        runs("test", "a", "1"),
        &["unchanged published service a in test"],
    );
    one(
        runs("production", "a", "1"),
        &["create published service a in production"],
    );
    one(
        with(runs("test", "a", "1"), "definition", definition("a", "/a")),
        &["unchanged published service a in test"],
    );
    one(
        with(runs("test", "a", "1"), "definition", definition("a", "/b")),
        &[
            "unchanged published service a in test",
            "! invalid resources[0].definition",
        ],
    );
    one(
        with(
            runs("test", "a", "1"),
            "digest",
            json!(format!("blake3:{}", "0".repeat(64))),
        ),
        &[
            "unchanged published service a in test",
            "! invalid resources[0].digest",
        ],
    );
    // It is made of the hub's, of the document's own, of the service's beside it.
    one(
        runs("test", "a", "2"),
        &["update published service a in test"],
    );
    one(
        with(runs("test", "a", "2"), "definition", definition("a", "/b")),
        &["update published service a in test"],
    );
    let changed = [
        runs("test", "a", "2"),
        with(
            runs("production", "a", "2"),
            "definition",
            definition("a", "/b"),
        ),
        service("a", "/b"),
    ];
    check(
        &standing,
        &changed,
        &[
            "update published service a in test",
            "create published service a in production",
            "update service a",
        ],
    );
    // One number, two contents.
    check(
        &standing,
        &[
            with(runs("test", "a", "2"), "definition", definition("a", "/b")),
            with(
                runs("production", "a", "2"),
                "definition",
                definition("a", "/c"),
            ),
        ],
        &[
            "update published service a in test",
            "create published service a in production",
            "! invalid resources[1].definition",
        ],
    );
}

#[test]
fn a_new_version_holds_what_the_call_says() {
    let mut state = state_of(&[group("test"), service("a", "/old")]);
    let documents = json!([service("a", "/new"), runs("test", "a", "1")]);
    let plan = plan_apply(&apply_of(&documents, None), &state);
    state.carry_out(&plan);
    let paths = |state: &State| {
        let running = state.running.values().next().expect("runs");
        running.definition.content.routes[0].paths[0].to_string()
    };
    assert_eq!(paths(&state), "/new");
    assert_eq!(plan.from_hub.len(), 0, "the hub as it stood was not read");
    let plan = plan_apply(&apply_of(&json!([runs("test", "a", "2")]), None), &state);
    assert_eq!(plan.from_hub.len(), 1);
}

#[test]
fn editing_in_place() {
    let standing = [group("test"), service("a", "/a"), runs("test", "a", "1")];
    let one = |document: Value, expect: &[&str]| check(&standing, &[document], expect);
    one(
        edited("test", "a", "/b"),
        &["update published service a in test"],
    );
    // It edits nothing, so the version stays.
    one(
        edited("test", "a", "/a"),
        &["unchanged published service a in test"],
    );
    // One edit replaces another without a word, a version says that it does.
    let edit = [group("test"), service("a", "/a"), edited("test", "a", "/b")];
    check(
        &edit,
        &[edited("test", "a", "/c")],
        &["update published service a in test"],
    );
    check(
        &edit,
        &[runs("test", "a", "1")],
        &[
            "update published service a in test",
            "? unversioned_edit_replaced resources[0]",
        ],
    );
}

#[test]
fn enforcement() {
    let standing = [
        enforcing("test"),
        service("a", "/a"),
        runs("test", "a", "1"),
    ];
    let refused = "! publishing_enforced resources[0].definition";
    let one = |documents: &[Value], expect: &[&str]| check(&standing, documents, expect);
    one(
        &[edited("test", "a", "/b")],
        &["update published service a in test", refused],
    );
    one(
        &[edited("test", "b", "/b")],
        &["create published service b in test", refused],
    );
    one(
        &[edited("test", "a", "/a")],
        &["unchanged published service a in test"],
    );
    one(
        &[runs("test", "a", "2")],
        &["update published service a in test"],
    );
    // As the call leaves the group.
    one(
        &[edited("test", "a", "/b"), group("test")],
        &[
            "update published service a in test",
            "update gateway group test",
        ],
    );
    // A group that the call makes has nothing to protect yet: a dump comes back whole.
    check(
        &[],
        &[edited("test", "a", "/a"), enforcing("test")],
        &[
            "create published service a in test",
            "create gateway group test",
        ],
    );
}

#[test]
fn flags_and_bindings_that_are_left_out_stay() {
    let off = with(runs("test", "a", "1"), "enabled", json!(false));
    let mut state = state_of(&[group("test"), service("a", "/a"), off]);
    let bare =
        json!({"kind": "published_service", "group": "test", "service": "a", "version": "1"});
    check_on(
        &state,
        std::slice::from_ref(&bare),
        None,
        &["unchanged published service a in test"],
    );
    let on = with(bare, "enabled", json!(true));
    let plan = plan_apply(&apply_of(&json!([on]), None), &state);
    assert_eq!(planned(&plan)[0], "update published service a in test");
    state.carry_out(&plan);
    assert!(state.running.values().all(|running| running.enabled));
}

#[test]
fn conflicts_are_of_all_together_and_said_where_they_come_from() {
    let standing = [
        group("test"),
        service("a", "/x"),
        runs("test", "a", "1"),
        with(edited("test", "off", "/x"), "enabled", json!(false)),
        with(
            edited("test", "h", "/x"),
            "binding",
            json!({"nodes": [{"host": "h"}], "hosts": ["h.io"]}),
        ),
    ];
    let one = |documents: &[Value], expect: &[&str]| check(&standing, documents, expect);
    one(
        &[edited("test", "b", "/x")],
        &[
            "create published service b in test",
            "! route_conflict resources[0].definition.routes[0].paths[0]",
        ],
    );
    one(
        &[runs("test", "b", "1"), service("b", "/x")],
        &[
            "create published service b in test",
            "create service b",
            "! route_conflict resources[1].routes[0].paths[0]",
        ],
    );
    one(
        &[with(edited("test", "off", "/x"), "enabled", json!(true))],
        &[
            "update published service off in test",
            "! route_conflict resources[0].enabled",
        ],
    );
    one(
        &[edited("test", "h", "/x")],
        &[
            "update published service h in test",
            "! route_conflict resources[0].binding",
        ],
    );
    // The one that stood in the way moves in the same call.
    one(
        &[edited("test", "b", "/x"), edited("test", "a", "/y")],
        &[
            "create published service b in test",
            "update published service a in test",
        ],
    );
    // Two that come together.
    one(
        &[edited("test", "c", "/z"), edited("test", "d", "/z")],
        &[
            "create published service c in test",
            "create published service d in test",
            "! route_conflict resources[1].definition.routes[0].paths[0]",
        ],
    );
}

#[test]
fn the_digest_covers_everything() {
    let state = furnished();
    let digest = |documents: &[Value], prune: Option<&Value>| {
        plan_apply(&apply_of(&json!(documents), prune), &state).digest()
    };
    let plain = digest(&[team_group("test")], None);
    assert_eq!(plain, digest(&[team_group("test")], None));
    let prune = json!({"labels": {"team": "core"}});
    let others = [
        digest(&[], None),
        digest(&[with(team_group("test"), "title", json!("x"))], None),
        digest(&[with(registry("test"), "title", json!("x"))], None),
        digest(
            &[with(
                team_service("mine", "/mine"),
                "description",
                json!("x"),
            )],
            None,
        ),
        digest(&[team_service("mine", "/other")], None),
        digest(&[runs("test", "mine", "2")], None),
        digest(&[team_group("test")], Some(&prune)),
    ];
    for (n, other) in others.iter().enumerate() {
        assert_ne!(*other, plain);
        assert!(!others[..n].contains(other), "number {n}");
    }
}

#[test]
fn what_is_shown_of_a_change() {
    let state = furnished();
    let documents = json!([with(team_service("mine", "/other"), "title", json!("Mine"))]);
    let plan = plan_apply(&apply_of(&documents, None), &state);
    let resource = &plan.resources[0];
    let DocumentId { group, name, .. } = &resource.id;
    assert_eq!((group, name.as_str()), (&None, "mine"));
    let (before, after) = plan.sides(resource);
    assert_eq!(
        (&before["title"], &after["title"]),
        (&json!(""), &json!("Mine"))
    );
    assert_ne!(before["digest"], after["digest"]);
    let difference = resource.difference().expect("the definition is another");
    assert_eq!(difference.routes.changed[0].route, "r");
    let documents = json!([with(team_service("mine", "/mine"), "title", json!("Mine"))]);
    let plan = plan_apply(&apply_of(&documents, None), &state);
    assert_eq!(plan.resources[0].difference(), None, "only its title is");
}
