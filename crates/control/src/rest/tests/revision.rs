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
    // Nobody can have read what is not written yet.
    for next in [after + 1, u64::MAX] {
        let reply = get(&api, &next.to_string()).await;
        assert_eq!(reply.status, 400, "{next}");
        assert!(reply.text.contains("has not come so far"), "{}", reply.text);
    }
    for malformed in ["", "x", "-1", "1 2"] {
        assert_eq!(get(&api, malformed).await.status, 400, "{malformed:?}");
    }
}
