//! The events of an operation that has ended.

use super::*;

#[tokio::test]
async fn an_ended_operation_is_told_at_once() {
    let api = Api::furnished().await;
    let operation = api.get("/operations").await.json()["items"][0].clone();
    let path = format!(
        "/operations/{}/events",
        operation["operation"].as_str().unwrap()
    );
    let events = api.get(&path).await;
    assert_eq!(
        (events.status.as_u16(), events.header(CONTENT_TYPE)),
        (200, "text/event-stream")
    );
    let mut lines = events.text.lines();
    assert_eq!(lines.next(), Some("event: end"));
    assert_eq!(lines.next(), Some("id: 1"));
    let data = lines
        .next()
        .and_then(|line| line.strip_prefix("data: "))
        .expect("has data");
    assert_eq!(serde_json::from_str::<Value>(data).unwrap(), operation);

    let later = api
        .with_headers("GET", &path, &[("last-event-id", "41")], Value::Null)
        .await;
    assert!(
        later.text.starts_with("event: end\nid: 42\n"),
        "{}",
        later.text
    );
    let bad = api
        .with_headers("GET", &path, &[("last-event-id", "x")], Value::Null)
        .await;
    assert_eq!(bad.line(), "400 invalid_header");
    let none = "/operations/0193b5c8-0000-7000-8000-000000000000/events";
    api.check(&format!("GET {none}"), Value::Null, "404 not_found")
        .await;
    api.check(&format!("GET {path}?x=1"), Value::Null, "400 invalid_query")
        .await;
}
