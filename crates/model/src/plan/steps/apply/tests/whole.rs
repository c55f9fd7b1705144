//! What holds for any state: what was dumped comes back whole, and what is as declared stays
//! untouched.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::state::State;
use super::{apply_of, group, planned, registry, service, state_of};
use crate::document::Document;
use crate::limits::{GROUPS_IN_CALL_MAX, SERVICES_IN_CALL_MAX};
use crate::plan::{Apply, plan_apply};

/// One document that a person may write. Few names, so that they meet; a path for each service, so
/// that routes rarely do.
fn document() -> impl Strategy<Value = Value> {
    let group = prop::sample::select(vec!["test", "production", "dr"]);
    let service = prop::sample::select(vec!["a", "b", "c"]);
    let word = prop::sample::select(vec!["", "x", "y"]);
    let definition = (service.clone(), word.clone()).prop_map(|(service, word)| {
        json!({"name": service, "routes": [{"name": "r", "paths": [format!("/{service}/{word}")]}]})
    });
    let binding = prop_oneof![
        word.clone()
            .prop_map(|word| json!({"nodes": [{"host": format!("host{word}")}]})),
        Just(json!({"discovery": {"registry": "dns", "service": "s.example"}})),
        Just(Value::Null),
    ];
    let version = prop::option::of(prop::sample::select(vec!["1", "2", "3"]));
    let labels = prop_oneof![Just(json!({})), Just(json!({"team": "core"}))];
    prop_oneof![
        (group.clone(), word.clone(), any::<bool>(), labels.clone()).prop_map(
            |(name, title, enforce, labels)| json!({"kind": "gateway_group", "name": name,
                "title": title, "enforce_publishing": enforce, "labels": labels})
        ),
        (group.clone(), word).prop_map(|(group, title)| json!({"kind": "registry", "group": group,
            "name": "dns", "type": "dns", "title": title})),
        (definition.clone(), labels).prop_map(|(mut body, labels)| {
            body["kind"] = json!("service");
            body["labels"] = labels;
            body
        }),
        (
            group,
            definition,
            version,
            binding,
            any::<bool>(),
            any::<bool>()
        )
            .prop_map(|(group, definition, version, binding, enabled, is_said)| {
                let mut body = json!({"kind": "published_service", "group": group,
                    "service": definition["name"], "version": version, "binding": binding,
                    "enabled": enabled});
                if is_said || version.is_none() {
                    body["definition"] = definition;
                }
                body
            }),
    ]
}

/// Of these documents those that a call takes together, the first ones first.
fn accepted(state: &State, documents: Vec<Value>, prune: Option<&Value>) -> Vec<Value> {
    let mut taken = Vec::new();
    for document in documents {
        taken.push(document);
        let plan = plan_apply(&apply_of(&json!(taken), prune), state);
        if plan.plan.is_refused() {
            taken.pop();
        }
    }
    taken
}

/// A state that calls have led to.
fn state() -> impl Strategy<Value = State> {
    let call = prop::collection::vec(document(), 1..6);
    prop::collection::vec(call, 0..6).prop_map(|calls| {
        let standing = [
            group("test"),
            group("production"),
            registry("test"),
            service("a", "/a"),
        ];
        let mut state = state_of(&standing);
        for documents in calls {
            let documents = accepted(&state, documents, None);
            let plan = plan_apply(&apply_of(&json!(documents), None), &state);
            state.carry_out(&plan);
        }
        state
    })
}

fn dump_of(state: &State) -> Apply {
    // As it is written and read.
    let values: Vec<_> = state.dump().iter().map(Document::to_value).collect();
    apply_of(&json!(values), None)
}

proptest! {
    #[test]
    fn what_is_dumped_comes_back_whole(state in state()) {
        let dump = dump_of(&state);
        let mut other = State::default();
        let plan = plan_apply(&dump, &other);
        prop_assert!(!plan.plan.is_refused(), "{:?}", planned(&plan));
        other.carry_out(&plan);
        prop_assert_eq!(other.shown(), state.shown());
        let again = plan_apply(&dump, &other);
        prop_assert!(again.is_unchanged(), "{:?}", planned(&again));
    }

    #[test]
    fn what_is_as_declared_stays_untouched(state in state(), prune in any::<bool>()) {
        let prune = prune.then(|| json!({"labels": {"team": "core"}}));
        let values: Vec<_> = state.dump().iter().map(Document::to_value).collect();
        let plan = plan_apply(&apply_of(&json!(values), prune.as_ref()), &state);
        prop_assert!(!plan.plan.is_refused() && plan.is_unchanged(), "{:?}", planned(&plan));
    }

    #[test]
    fn a_second_time_changes_nothing(
        mut state in state(),
        documents in prop::collection::vec(document(), 0..6),
        prune in any::<bool>(),
    ) {
        let prune = prune.then(|| json!({"labels": {"team": "core"}}));
        let documents = accepted(&state, documents, prune.as_ref());
        let apply = apply_of(&json!(documents), prune.as_ref());
        let plan = plan_apply(&apply, &state);
        if plan.plan.is_refused() {
            return Ok(()); // what would go is held, whatever is declared
        }
        state.carry_out(&plan);
        let again = plan_apply(&apply, &state);
        prop_assert!(!again.plan.is_refused() && again.is_unchanged(), "{:?}", planned(&again));
    }

    #[test]
    fn the_order_of_documents_says_nothing(
        state in state(),
        documents in prop::collection::vec(document(), 0..6),
    ) {
        let plan = |documents: &[Value]| plan_apply(&apply_of(&json!(documents), None), &state);
        let turned = |documents: &[Value]| documents.iter().rev().cloned().collect::<Vec<_>>();
        let (one, other) = (plan(&documents), plan(&turned(&documents)));
        prop_assert_eq!(one.plan.is_refused(), other.plan.is_refused());
        let documents = accepted(&state, documents, None);
        let (mut a, mut b) = (state.clone(), state.clone());
        a.carry_out(&plan(&documents));
        b.carry_out(&plan(&turned(&documents)));
        prop_assert_eq!(a.shown(), b.shown());
    }
}

#[test]
fn a_call_takes_so_many_groups_and_services() {
    let groups = |count| {
        let all = (0..count).map(|n| json!({"kind": "gateway_group", "name": format!("g{n}")}));
        Value::Array(all.collect())
    };
    let services = |count| {
        let all = (0..count).map(|n| {
            json!({"kind": "service", "name": format!("s{n}"), "routes": [{"name": "r", "paths": ["/"]}]})
        });
        Value::Array(all.collect())
    };
    let refused = |documents: &Value| {
        let plan = plan_apply(&apply_of(documents, None), &State::default());
        planned(&plan)
            .into_iter()
            .filter(|line| line.starts_with('!'))
            .collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(refused(&groups(GROUPS_IN_CALL_MAX)), none);
    assert_eq!(
        refused(&groups(GROUPS_IN_CALL_MAX + 1)),
        ["! limit_exceeded resources"]
    );
    assert_eq!(refused(&services(SERVICES_IN_CALL_MAX)), none);
    assert_eq!(
        refused(&services(SERVICES_IN_CALL_MAX + 1)),
        ["! limit_exceeded resources"]
    );
}
