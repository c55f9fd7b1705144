//! Calls that come again, that come at the same time, and that a client of ours sends.

use super::*;

#[tokio::test]
async fn a_repeated_call_is_answered_as_the_first_was() {
    let api = Api::new().await;
    let post = async |key: &str, body: Value| {
        let headers = [("idempotency-key", key)];
        api.with_headers("POST", "/apply", &headers, body).await
    };
    let first = post("a", body(&all())).await;
    let marks = api.marks();
    let second = post("a", body(&all())).await;
    assert_eq!((second.status, second.json()), (first.status, first.json()));
    assert_eq!(api.marks(), marks);
    assert_eq!(post("a", body(&[])).await.line(), "422 required resources");
    let other = post("a", body(&[group("x")])).await;
    assert_eq!(other.line(), "422 idempotency_key_reused");
    // A key is remembered although nothing changes; else its call could change something later.
    let first = post("b", body(&all())).await;
    assert_eq!(first.json()["state"], "unchanged");
    let mut titled = service("a");
    titled["title"] = json!("A");
    api.apply(&body(&[titled])).await;
    let second = post("b", body(&all())).await;
    assert_eq!(second.json(), first.json());
    let revisions = |marks: (usize, usize, Vec<u64>)| marks.2;
    assert_eq!(revisions(api.marks()), [1, 1]);
}

/// Calls at the same time about the same groups: each is whole, in some order.
#[tokio::test]
async fn at_the_same_time() {
    let api = Api::new().await;
    api.apply(&body(&[group("test"), group("production")]))
        .await;
    let call = |name: &'static str| {
        let documents = [
            service(name),
            runs("test", name, "1"),
            runs("production", name, "1"),
        ];
        let api = &api;
        async move { api.apply(&body(&documents)).await.state }
    };
    let states = tokio::join!(call("a"), call("b"), call("c"), call("d"));
    let done = OperationState::Succeeded;
    assert_eq!(states, (done, done, done, done));
    assert_eq!(api.marks().2, [4, 4]);
}

#[test]
fn what_a_client_sends_is_what_is_read() {
    let body = ApplyBody {
        resources: all(),
        prune: None,
        options: OptionsBody::default(),
    };
    let call = ferryway_api::ApplyCall::read(&json!(body)).expect("is a call");
    assert_eq!(call.apply.documents.len(), all().len());
    // An operation without resources is stored and shown without the field.
    let operation: Operation = serde_json::from_value(json!({
        "operation": null, "kind": "sync", "by": "admin", "created_at": "2026-11-24T12:00:00Z",
        "ended_at": null, "state": "planned", "service": null, "version": null, "digest": null,
        "plan": "", "problems": [], "destinations": [],
    }))
    .expect("is one of before");
    assert_eq!(json!(operation).get("resources"), None);
}
