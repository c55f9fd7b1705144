//! What goes because no document names it.

use super::*;

#[tokio::test]
async fn what_no_document_names_goes_by_label() {
    let api = Api::new().await;
    let mut documents = all();
    documents[6]["labels"] = json!({"team": "core"});
    documents.push(runs("production", "other", "1"));
    let mut other = service("other");
    other["labels"] = json!({});
    documents.push(other.clone());
    api.apply(&body(&documents)).await;

    // Everything of the team but `a` in `test`; production still has a service of others.
    let kept = [runs("test", "a", "1"), service("a"), group("test")];
    let refused = api.send("POST", "/apply", pruned(&kept)).await;
    assert_eq!(refused.line(), "409 in_use prune.labels");
    assert!(
        refused.text.contains("other"),
        "holders are named: {}",
        refused.text
    );
    api.check(
        "DELETE /gateway-groups/production/services/other",
        Value::Null,
        "200",
    )
    .await;

    let revision = api.get("/gateway-groups/production").await.json()["revision"].clone();
    let applied = api.apply(&pruned(&kept)).await;
    assert_eq!(
        actions(&applied),
        [
            "unchanged test/a",
            "unchanged a",
            "unchanged test",
            "delete production",
            "delete production/dns",
            "delete b",
            "delete production/b",
            "delete test/b",
        ]
    );
    assert_eq!(applied.state, OperationState::Succeeded);
    api.check(
        "GET /gateway-groups/production",
        Value::Null,
        "404 not_found",
    )
    .await;
    api.check("GET /services/b", Value::Null, "404 not_found")
        .await;
    let left = api.get("/gateway-groups/test/services").await.json();
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1));

    // A group made anew goes on counting, and has nothing of before.
    let applied = api
        .apply(&body(&[group("production"), registry("production")]))
        .await;
    assert_eq!(
        actions(&applied),
        ["create production", "create production/dns"]
    );
    let again = api.get("/gateway-groups/production").await.json()["revision"].clone();
    let number = |revision: &Value| revision.as_u64().expect("is a number");
    assert_eq!(number(&again), number(&revision) + 2);
    let api = api.again().await;
    assert_eq!(
        api.get("/gateway-groups/production").await.json()["revision"],
        again
    );
}

#[tokio::test]
async fn a_group_with_an_instance_online_does_not_go() {
    let api = Api::new().await;
    let mut labelled = group("test");
    labelled["labels"] = json!({"team": "core"});
    api.apply(&body(&[labelled, group("spare")])).await;
    let _instance = Puppet::joins(&api);
    let refused = api.send("POST", "/apply", pruned(&[])).await;
    assert_eq!(refused.line(), "409 in_use prune.labels");
    assert!(refused.text.contains("gate-1"), "{}", refused.text);
}
