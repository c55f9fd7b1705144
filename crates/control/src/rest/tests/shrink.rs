//! `confirm-shrink`: an operator's word, durable, over a real feed.

use ferryway_delivery::SHRINK_UNCONFIRMED;

use super::delivery::Puppet;
use super::*;

const CONFIRM: &str = "/gateway-groups/test/confirm-shrink";

#[tokio::test]
async fn only_where_an_instance_waits() {
    let api = Api::furnished().await;
    let call = format!("POST {CONFIRM}");
    api.check(
        "POST /gateway-groups/none/confirm-shrink",
        Value::Null,
        "404 not_found",
    )
    .await;
    let refused = api
        .check(&call, Value::Null, "409 nothing_to_confirm")
        .await;
    assert_eq!(refused["problems"][0]["group"], "test");
    let puppet = Puppet::joins(&api);
    puppet.rejects();
    api.check(&call, Value::Null, "409 nothing_to_confirm")
        .await;
    api.check(&call, json!({"x": 1}), "400 unknown_field x")
        .await;
    api.check(&call, json!([]), "400 wrong_type").await;
    api.check(&format!("{call}?x=1"), Value::Null, "400 invalid_query")
        .await;

    puppet.holds(SHRINK_UNCONFIRMED);
    let instances = api.get("/gateway-groups/test/instances").await.json();
    assert_eq!(
        instances["items"][0]["held"][0]["code"], SHRINK_UNCONFIRMED,
        "as the refusal says"
    );
    let group = api.get("/gateway-groups/test").await.json();
    let key = [("idempotency-key", "a")];
    for _ in 0..2 {
        let said = api.with_headers("POST", CONFIRM, &key, Value::Null).await;
        assert_eq!((said.status.as_u16(), said.json()), (200, group.clone()));
    }
    api.check(&call, json!({}), "200").await;
    let audit = api.get("/audit?q=confirm").await.json();
    let entries = audit["items"].as_array().expect("is a list");
    assert_eq!(entries.len(), 1, "said again, it changes nothing: {audit}");
    assert_eq!(entries[0]["target"], "gateway-groups/test");
    assert_eq!(
        entries[0]["after"],
        json!({"revision": group["revision"], "root": group["root"]})
    );

    // The next view is another one.
    let body = json!({"version": "2", "groups": [{"group": "test"}]});
    let published = api.send("POST", "/services/httpbin/publish", body).await;
    assert!(published.status.is_success());
    puppet.holds(SHRINK_UNCONFIRMED);
    api.check(&call, Value::Null, "200").await;
    let audit = api.get("/audit?q=confirm").await.json();
    assert_eq!(audit["items"][0]["before"]["revision"], group["revision"]);
}
