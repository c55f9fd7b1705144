//! What is made, in one transaction, and what stays untouched.

use super::*;

#[tokio::test]
async fn everything_in_one_transaction_and_one_revision() {
    let api = Api::new().await;
    let applied = api.apply(&body(&all())).await;
    assert_eq!(applied.state, OperationState::Succeeded);
    assert!(
        applied
            .resources
            .iter()
            .all(|it| it.action == ResourceAction::Create)
    );
    let (operations, audits, revisions) = api.marks();
    assert_eq!((operations, audits, revisions), (1, 1, vec![1, 1]));

    let operation = applied.operation.expect("was made");
    let id = operation.operation.expect("has an id");
    assert_eq!(operation.kind, OperationKind::Apply);
    let revisions: Vec<_> = operation.destinations.iter().map(|d| d.revision).collect();
    assert_eq!(revisions, [Some(1); 3]);
    let shown = api.get(&format!("/operations/{id}")).await.json();
    assert_eq!(shown, json!(operation), "it is kept as it was answered");
    let listed = api.get("/operations").await.json();
    assert_eq!(listed["items"][0]["kind"], "apply", "{listed}");

    let history = api
        .get("/gateway-groups/test/services/a/history")
        .await
        .json();
    let entry = &history["items"][0];
    assert_eq!(
        (&entry["kind"], &entry["version"]),
        (&json!("apply"), &json!("1"))
    );
    assert_eq!(entry["operation"], json!(id));
    let versions = api.get("/services/b/versions").await.json();
    assert_eq!(
        versions["items"][0]["running_in"],
        json!(["production", "test"])
    );

    let audit = api.get("/audit").await.json();
    let entry = &audit["items"][0];
    assert_eq!(entry["operation"], json!(id));
    assert_eq!(entry["action"], "apply");
    for place in [
        "gateway-groups/test",
        "gateway-groups/production/registries/dns",
        "services/a",
        "gateway-groups/test/services/b",
    ] {
        assert_eq!(entry["before"][place], Value::Null, "{place}");
        assert!(entry["after"][place].is_object(), "{place}: {entry}");
        assert!(
            entry["target"]
                .as_str()
                .is_some_and(|it| it.split(' ').any(|it| it == place))
        );
    }

    // The same store, read again.
    let (roots, dump) = (api.roots().await, api.dump().await);
    let api = api.again().await;
    assert_eq!(api.roots().await, roots);
    assert_eq!(api.dump().await, dump);
    let shown = api.get(&format!("/operations/{id}")).await.json();
    assert_eq!(shown, json!(operation));
}

#[tokio::test]
async fn a_second_time_nothing_is_written() {
    let api = Api::new().await;
    api.apply(&body(&all())).await;
    let marks = api.marks();
    for documents in [all(), api.dump().await] {
        let applied = api.apply(&pruned(&documents)).await;
        assert_eq!(applied.state, OperationState::Unchanged);
        assert_eq!(applied.operation, None);
        assert_eq!(applied.problems, []);
        let stays = |it: &ferryway_api::AppliedResource| {
            it.action == ResourceAction::Unchanged && it.before.is_none() && it.after.is_none()
        };
        assert!(
            applied.resources.iter().all(stays),
            "{:?}",
            applied.resources
        );
        assert_eq!(api.marks(), marks);
    }
}

#[tokio::test]
async fn what_is_dumped_comes_back_whole() {
    let api = Api::furnished().await;
    let mut more = all();
    // A service of each kind: in No Version state under enforcement, disabled, one in the hub only.
    more.push(
        json!({"kind": "published_service", "group": "test", "service": "a", "enabled": false,
        "definition": {"name": "a", "routes": [{"name": "edited", "paths": ["/x/{id}"]}]},
        "binding": {"nodes": [{"host": "::1", "port": 1, "weight": 7}], "hosts": ["*.x.io"]}}),
    );
    more.remove(1);
    api.apply(&body(&more)).await;
    let enforced = json!({"kind": "gateway_group", "name": "test", "title": "Test", "labels": {"x": "y"}, "enforce_publishing": true});
    api.apply(&body(&[enforced, service("spare")])).await;

    let (dump, roots) = (api.dump().await, api.roots().await);
    let other = Api::new().await;
    let applied = other.apply(&body(&dump)).await;
    assert_eq!(applied.state, OperationState::Succeeded);
    assert_eq!(other.roots().await, roots);
    assert_eq!(
        other.apply(&body(&dump)).await.state,
        OperationState::Unchanged
    );
    let same = |documents: &[Value]| {
        let added = ["created_at", "updated_at", "revision", "versions"];
        let mut documents = documents.to_vec();
        for document in &mut documents {
            let fields = document.as_object_mut().expect("is an object");
            fields.retain(|field, _| !added.contains(&field.as_str()));
        }
        documents
    };
    assert_eq!(same(&other.dump().await), same(&dump));
}

#[tokio::test]
async fn only_what_changes_moves() {
    let api = Api::new().await;
    api.apply(&body(&all())).await;
    // Titles move no view.
    let mut titled = service("a");
    titled["title"] = json!("A");
    let mut named = registry("production");
    named["title"] = json!("Names");
    let applied = api
        .apply(&body(&[titled.clone(), named, group("test")]))
        .await;
    assert_eq!(
        actions(&applied),
        ["update a", "update production/dns", "unchanged test"]
    );
    assert_eq!(
        applied.state,
        OperationState::Succeeded,
        "nobody is waited for"
    );
    let change = &applied.resources[0];
    let side = |side: &Option<Value>| side.as_ref().map(|side| side["title"].clone());
    assert_eq!(
        (side(&change.before), side(&change.after)),
        (Some(json!("a")), Some(json!("A")))
    );
    assert_eq!(change.changes, None);
    assert_eq!(api.marks().2, [1, 1]);
    // A registry moves its group's, a new version the one that runs it.
    let mut slower = registry("production");
    slower["min_ttl"] = json!("9s");
    titled["routes"][0]["paths"] = json!(["/other"]);
    let applied = api
        .apply(&body(&[slower, titled, runs("test", "a", "2")]))
        .await;
    assert_eq!(
        actions(&applied),
        ["update production/dns", "update a", "update test/a"]
    );
    let changes = applied.resources[1]
        .changes
        .as_ref()
        .expect("the definition is another");
    assert_eq!(changes.routes.changed[0].route, "r");
    assert_eq!(api.marks().2, [2, 2]);
}

#[tokio::test]
async fn instances_are_waited_for() {
    let api = Api::new().await;
    api.apply(&body(&[group("test"), group("production")]))
        .await;
    let instance = Puppet::joins(&api);
    let reply = api.send("POST", "/apply", body(&all())).await;
    assert_eq!(reply.status, 202);
    let applied: Applied = serde_json::from_value(reply.json()).expect("is an answer");
    assert_eq!(applied.state, OperationState::Progressing);
    let id = applied
        .operation
        .as_ref()
        .and_then(|it| it.operation)
        .expect("was made");
    assert_eq!(reply.header(LOCATION), format!("/api/v1/operations/{id}"));
    instance.applies();
    let ended = api.get(&format!("/operations/{id}")).await.json();
    assert_eq!(ended["state"], "succeeded");
    assert_eq!(
        ended["resources"].as_array().map(Vec::len),
        Some(all().len())
    );
}
