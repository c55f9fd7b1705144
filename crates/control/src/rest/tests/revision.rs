//! `Ferryway-Revision`: how new an answer is, and must be.

use super::*;

fn revision(reply: &Reply) -> u64 {
    let header = reply.headers.get("ferryway-revision");
    let header = header.expect("every answer has it").to_str();
    header.expect("is text").parse().expect("is a number")
}

async fn get(api: &Api, revision: &str) -> Reply {
    let headers = [("ferryway-revision", revision)];
    api.with_headers("GET", "/gateway-groups", &headers, Value::Null)
        .await
}

#[tokio::test]
async fn answers_are_as_new_as_they_say_and_as_new_as_asked() {
    let api = Api::new().await;
    let before = revision(&api.send("GET", "/gateway-groups", Value::Null).await);
    let made = api
        .send("POST", "/gateway-groups", json!({"name": "a"}))
        .await;
    let after = revision(&made);
    assert!(after > before, "{before} {after}");
    assert_eq!(get(&api, &after.to_string()).await.status, 200);
    // One that is written while somebody waits for it is waited for.
    let next = (after + 1).to_string();
    let waits = get(&api, &next);
    let writes = api.send("POST", "/gateway-groups", json!({"name": "b"}));
    let (waited, written) = futures_util::future::join(waits, writes).await;
    assert_eq!(
        (waited.status.as_u16(), written.status.as_u16()),
        (200, 201)
    );
    assert!(revision(&waited) > after);
    for malformed in ["", "x", "-1", "1 2"] {
        assert_eq!(get(&api, malformed).await.status, 400, "{malformed:?}");
    }
}
