use ferryway_model::plan::{RollbackTo, SyncForm};
use serde_json::json;

use super::*;
use crate::body::{
    GroupTargetBody, OptionsBody, PublishBody, RollbackBody, SetBody, SyncGroupBody, SyncItemBody,
    SyncServiceBody, TargetBody,
};

const DIGEST: &str = "blake3:0000000000000000000000000000000000000000000000000000000000000000";

fn name(text: &str) -> Name {
    text.parse().expect("is a name")
}

fn value(body: &impl serde::Serialize) -> Value {
    serde_json::to_value(body).expect("bodies are JSON")
}

fn publish(body: &Value) -> Result<Call, BadCall> {
    Call::publish(body, &name("s"))
}

fn sync_service(body: &Value) -> Result<Call, BadCall> {
    Call::sync_service(body, &name("test"), &name("s"))
}

fn sync_group(body: &Value) -> Result<Call, BadCall> {
    Call::sync_group(body, &name("test"))
}

fn rollback(body: &Value) -> Result<Call, BadCall> {
    Call::rollback(body, &name("test"), &name("s"))
}

fn set(body: &Value) -> Result<Call, BadCall> {
    Call::set(body, &name("test"), &name("s"), CallOptions::default())
}

type Reader = fn(&Value) -> Result<Call, BadCall>;

/// Each problem as its code and place.
#[track_caller]
fn bad(read: Reader, body: &Value, expect: &[&str]) -> BadCall {
    let bad = read(body).expect_err("there are problems");
    let got: Vec<_> = bad
        .problems
        .iter()
        .map(|p| format!("{} {}", p.code, p.path))
        .collect();
    assert_eq!(got, expect, "{:?}", bad.problems);
    bad
}

fn options() -> OptionsBody {
    OptionsBody {
        rollout: Some(json!({"waves": ["100%"]})),
        supersede: Some(false),
        dry_run: Some(true),
        expect_plan: Some(DIGEST.to_owned()),
    }
}

fn nodes() -> Option<Value> {
    Some(json!({"nodes": [{"host": "a.example"}]}))
}

/// Whatever a typed body can say, its reader takes.
#[test]
fn typed_bodies_are_read_whole() {
    let text = || Some("1.0.0".to_owned());
    let digest = || Some(DIGEST.to_owned());
    let target = || TargetBody {
        group: "production".to_owned(),
        binding: nodes(),
    };
    let bodies: [(Reader, Value); 5] = [
        (
            publish,
            value(&PublishBody {
                version: "1.0.0".to_owned(),
                groups: vec![target()],
                expect_digest: digest(),
                options: options(),
            }),
        ),
        (
            sync_service,
            value(&SyncServiceBody {
                to: vec![target()],
                version: text(),
                expect_version: text(),
                expect_digest: digest(),
                options: options(),
            }),
        ),
        (
            sync_group,
            value(&SyncGroupBody {
                services: vec![SyncItemBody {
                    service: "s".to_owned(),
                    version: text(),
                    expect_version: text(),
                    expect_digest: digest(),
                }],
                to: vec![GroupTargetBody {
                    group: "production".to_owned(),
                    bindings: [("s".to_owned(), nodes().expect("is there"))].into(),
                }],
                options: options(),
            }),
        ),
        (
            rollback,
            value(&RollbackBody {
                version: text(),
                digest: None,
                with_binding: Some(true),
                options: options(),
            }),
        ),
        (
            rollback,
            value(&RollbackBody {
                digest: digest(),
                options: options(),
                ..RollbackBody::default()
            }),
        ),
    ];
    for (read, body) in bodies {
        let call = read(&body).unwrap_or_else(|bad| panic!("{body}: {bad:?}"));
        let plan = Some(DIGEST.parse().expect("is a digest"));
        assert_eq!(
            call.options,
            CallOptions {
                dry_run: true,
                expect_plan: plan
            },
            "{body}"
        );
    }
    let call = set(&value(&SetBody {
        binding: nodes(),
        enabled: Some(false),
    }))
    .expect("is good");
    assert!(matches!(
        call.request,
        Request::Set {
            binding: Some(_),
            enabled: Some(false),
            ..
        }
    ));
}

#[test]
fn what_is_left_out_has_its_default() {
    let call = publish(
        &json!({"version": "1", "groups": [{"group": "a"}, {"group": "b", "binding": null}]}),
    );
    let call = call.expect("is good");
    assert_eq!(call.options, CallOptions::default());
    let Request::Publish {
        groups,
        expect_digest: None,
        ..
    } = call.request
    else {
        panic!("is a publish without a digest")
    };
    assert!(groups.iter().all(|target| target.bindings.is_empty()));

    let call = sync_group(&json!({"services": [{"service": "s"}], "to": [{"group": "a"}]}));
    let Request::Sync {
        services,
        form: SyncForm::Several,
        ..
    } = call.expect("is good").request
    else {
        panic!("is a sync of several")
    };
    assert_eq!(services[0].version, None);

    let call = rollback(&json!({"version": "1"})).expect("is good");
    let Request::Rollback {
        to: RollbackTo::Version(_),
        with_binding: false,
        ..
    } = call.request
    else {
        panic!("is a rollback to a version that keeps the binding")
    };
}

#[test]
fn every_mistake_at_once_with_its_place() {
    bad(
        publish,
        &json!({"groups": [{"group": "A"}, {"grup": "a"}, 5, {"group": "a", "binding": {"nodes": [{}]}}], "verison": 1}),
        &[
            "required version",
            "invalid groups[0].group",
            "required groups[1].group",
            "unknown_field groups[1].grup",
            "wrong_type groups[2]",
            "required groups[3].binding.nodes[0].host",
            "unknown_field verison",
        ],
    );
    bad(
        sync_group,
        &json!({"services": [{"service": "s", "expect_digest": "x"}, {}], "to": [{"group": "a", "bindings": {"S": {}, "s": 1}}]}),
        &[
            "invalid services[0].expect_digest",
            "required services[1].service",
            "invalid to[0].bindings.S",
            "required to[0].bindings.S",
            "wrong_type to[0].bindings.s",
        ],
    );
    bad(publish, &json!([]), &["wrong_type "]);
    bad(sync_service, &json!({}), &["required to"]);
    bad(
        sync_group,
        &json!({"services": [], "to": []}),
        &["required services", "required to"],
    );
    bad(
        sync_group,
        &json!({"services": [{"service": "s"}], "to": [{"group": "a", "bindings": []}]}),
        &["wrong_type to[0].bindings"],
    );
}

#[test]
fn bounds() {
    let groups = |n: usize| {
        (0..n)
            .map(|n| json!({"group": format!("g{n}")}))
            .collect::<Vec<_>>()
    };
    let services = |n: usize| {
        (0..n)
            .map(|n| json!({"service": format!("s{n}")}))
            .collect::<Vec<_>>()
    };
    let body = |s, g| json!({"services": services(s), "to": groups(g)});
    sync_group(&body(64, 32)).expect("is within the bounds");
    bad(
        sync_group,
        &body(65, 33),
        &["limit_exceeded services", "limit_exceeded to"],
    );
    let mut many = serde_json::Map::new();
    for n in 0..65 {
        many.insert(format!("s{n}"), nodes().expect("is there"));
    }
    bad(
        sync_group,
        &json!({"services": services(1), "to": [{"group": "a", "bindings": many}]}),
        &["limit_exceeded to[0].bindings"],
    );
}

#[test]
fn one_of_version_and_digest() {
    bad(rollback, &json!({}), &["required "]);
    bad(rollback, &json!({"version": null}), &["required "]);
    bad(
        rollback,
        &json!({"version": "1", "digest": DIGEST}),
        &["invalid "],
    );
    bad(
        rollback,
        &json!({"digest": "blake3:1"}),
        &["invalid digest"],
    );
    bad(
        rollback,
        &json!({"version": "1", "with_binding": 1}),
        &["wrong_type with_binding"],
    );
}

#[test]
fn rollouts_are_refused_unless_all_at_once() {
    let with = |rollout: Value| json!({"version": "1", "rollout": rollout});
    rollback(&with(Value::Null)).expect("none is all at once");
    rollback(&with(json!({"waves": ["100%"]}))).expect("one wave is all at once");
    bad(
        rollback,
        &with(json!({"waves": ["1", "100%"]})),
        &["rollout_unsupported rollout.waves"],
    );
    bad(
        rollback,
        &with(json!({"waves": []})),
        &["rollout_unsupported rollout.waves"],
    );
    bad(
        rollback,
        &with(json!({"waves": ["100%"], "bake": "30s", "on_failure": "halt"})),
        &[
            "rollout_unsupported rollout.bake",
            "rollout_unsupported rollout.on_failure",
        ],
    );
    bad(
        rollback,
        &with(json!({"wave": []})),
        &["required rollout.waves", "unknown_field rollout.wave"],
    );
    bad(
        rollback,
        &with(json!({"waves": "100%", "bake": 3})),
        &["wrong_type rollout.waves", "wrong_type rollout.bake"],
    );
    bad(rollback, &with(json!("fast")), &["wrong_type rollout"]);
    bad(
        rollback,
        &json!({"version": "1", "supersede": true}),
        &["unsupported supersede"],
    );
}

#[test]
fn set_needs_something_to_set_and_removes_nothing() {
    bad(set, &json!({}), &["required "]);
    bad(
        set,
        &json!({"binding": null, "enabled": null}),
        &["invalid binding", "invalid enabled"],
    );
    bad(
        set,
        &json!({"enabled": "no", "versoin": "1"}),
        &["wrong_type enabled", "unknown_field versoin"],
    );
    // What GET answers may be sent back.
    bad(
        set,
        &json!({"version": "1", "service": "s"}),
        &["required "],
    );
    bad(
        set,
        &json!({"enabled": true, "service": "t"}),
        &["name_mismatch service"],
    );
    let kinds = [
        (json!({"enabled": 0}), OperationKind::Enable),
        (json!({"enabled": false, "x": 1}), OperationKind::Disable),
        (
            json!({"binding": 0, "enabled": false}),
            OperationKind::Binding,
        ),
    ];
    for (body, kind) in kinds {
        assert_eq!(set(&body).expect_err("is bad").kind, kind, "{body}");
    }
}

#[test]
fn edits_are_definitions_under_the_urls_name() {
    let edit = |body: &Value| Call::edit(body, &name("test"), &name("s"), CallOptions::default());
    edit(&json!({"routes": [{"name": "r", "paths": ["/"]}], "schema": 1})).expect("is good");
    bad(
        edit,
        &json!({"name": "t", "routes": []}),
        &["name_mismatch name", "required routes"],
    );
    bad(
        edit,
        &json!({"title": "", "routes": [{"name": "r", "paths": ["/"]}]}),
        &["unknown_field title"],
    );
}

/// A dry run answers with its problems inside where the call can be read; so the options must be
/// known even where the rest is wrong.
#[test]
fn options_are_known_beside_mistakes() {
    let readable = bad(
        publish,
        &json!({"dry_run": true, "version": "!", "groups": []}),
        &["invalid version", "required groups"],
    );
    assert!(readable.options.dry_run && readable.is_readable());
    let unreadable = bad(
        publish,
        &json!({"dry_run": true, "version": "1", "groups": {}}),
        &["wrong_type groups"],
    );
    assert!(unreadable.options.dry_run && !unreadable.is_readable());
}
