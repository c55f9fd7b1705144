//! The client against a server that says exactly what a test wrote down.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::event::OperationEvent;

/// Answers one request with `answer` while `ask` runs; the request's text, and what `ask` found.
async fn against<T, F: Future<Output = T>>(
    answer: &str,
    ask: impl FnOnce(Client) -> F,
) -> (String, T) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("is bound");
    let client = Client::new(&format!("http://{address}"), Some("secret")).expect("an address");
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("a caller");
        let (mut request, mut piece) = (Vec::new(), [0; 4096]);
        while !is_whole(&request) {
            let length = stream.read(&mut piece).await.expect("a request");
            assert!(length > 0, "the request ended early");
            request.extend_from_slice(&piece[..length]);
        }
        stream.write_all(answer.as_bytes()).await.expect("listens");
        String::from_utf8(request).expect("text")
    };
    tokio::join!(serve, ask(client))
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().expect("a number"));
    body.len() >= length
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_call_says_who_asks_and_for_what() {
    let body = json!({"title": "Test"});
    let reply = answer("201 Created", "etag: \"b\"\r\n", r#"{"name": "test"}"#);
    let (request, got) = against(&reply, |client| async move {
        let call = Ask {
            method: Method::PUT,
            path: "/gateway-groups/test?x=%20",
            body: Some(&body),
            require: Require::Seen("\"a\""),
        };
        client.call::<Value>(call).await
    })
    .await;
    for line in [
        "PUT /api/v1/gateway-groups/test?x=%20 HTTP/1.1\r\n",
        "authorization: Bearer secret\r\n",
        "content-type: application/json\r\n",
        "if-match: \"a\"\r\n",
        "host: 127.0.0.1:",
        "\r\n\r\n{\"title\":\"Test\"}",
    ] {
        assert!(request.contains(line), "{line:?} in {request}");
    }
    let got = got.expect("an answer");
    assert_eq!(
        (got.status, got.etag.as_deref()),
        (StatusCode::CREATED, Some("\"b\""))
    );
    assert_eq!(got.body, json!({"name": "test"}));
}

/// What a GET of a `T` makes of an answer, as the user sees it.
async fn check<T: DeserializeOwned + std::fmt::Debug>(reply: &str, expect: &str) {
    let (_, got) = against(reply, |client| async move { client.get::<T>("/x").await }).await;
    let got = match got {
        Ok(value) => format!("{value:?}"),
        Err(ClientError::Unreachable { .. }) => "unreachable".to_owned(),
        Err(ClientError::Refused(details)) => {
            format!("refused {} {}", details.status, details.detail)
        }
        Err(ClientError::Protocol { what, .. }) => what,
    };
    assert!(got.starts_with(expect), "{got}, not {expect}");
}

#[tokio::test]
async fn answers_and_what_is_made_of_them() {
    let problem = json!({
        "type": "/problems/in_use", "title": "in use", "status": 409, "detail": "is in use",
        "problems": [],
    });
    check::<u32>(&answer("200 OK", "", "7"), "7").await;
    check::<()>("HTTP/1.1 204 No Content\r\n\r\n", "()").await;
    let refused = answer("409 Conflict", "", &problem.to_string());
    check::<u32>(&refused, "refused 409 is in use").await;
    check::<u32>(
        &answer("502 Bad Gateway", "", "<html>"),
        "status 502 Bad Gateway without",
    )
    .await;
    check::<u32>(&answer("302 Found", "", ""), "status 302 Found without").await;
    check::<u32>(&answer("200 OK", "", "<html>"), "cannot read the answer").await;
    check::<u32>(
        &answer("200 OK", "", ""),
        "cannot read the answer: invalid type: null",
    )
    .await;
    check::<u32>("SSH-2.0-OpenSSH_9\r\n", "it is not HTTP").await;
    check::<u32>(
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n7",
        "unreachable",
    )
    .await;
    check::<u32>("", "unreachable").await;
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("is bound");
    drop(listener);
    let client = Client::new(&format!("http://{address}"), None).expect("an address");
    let error = client.get::<Value>("/x").await.expect_err("nobody listens");
    let ClientError::Unreachable { server, source } = error else {
        panic!("{error:?}");
    };
    assert_eq!(server, format!("http://{address}"));
    assert_eq!(source.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn events_come_one_by_one_and_unknown_ones_are_passed_over() {
    let operation = Uuid::nil();
    let state = "id: 4\nevent: state\ndata: {\"group\": null, \"service\": null, \"state\": \"failed\"}\n\n";
    let stream = format!(": hello\n\nid: 3\nevent: weather\ndata: {{}}\n\n{state}");
    let reply = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{stream}");
    let (request, ()) = against(&reply, |client| async move {
        let mut events = client.events(operation, Some("2")).await.expect("a stream");
        assert_eq!(events.last_id(), Some("2"));
        let event = events.next().await.expect("can be read");
        assert!(matches!(event, Some(OperationEvent::State(_))), "{event:?}");
        assert_eq!(events.last_id(), Some("4"));
        assert_eq!(events.next().await.expect("ends well"), None);
    })
    .await;
    assert!(request.contains("last-event-id: 2\r\n"), "{request}");
    assert!(
        request.contains("accept: text/event-stream\r\n"),
        "{request}"
    );
}

#[test]
fn pages_and_escapes() {
    assert_eq!(page("/audit", None), "/audit?limit=1000");
    assert_eq!(
        page("/audit?q=x", Some("a=b")),
        "/audit?q=x&limit=1000&cursor=a%3Db"
    );
    assert_eq!(escape("a-Z_0.~ é/"), "a-Z_0.~%20%C3%A9%2F");
}

#[test]
fn a_token_never_shows() {
    let client = Client::new("http://control", Some("secret")).expect("an address");
    assert!(!format!("{client:?}").contains("secret"));
    assert_eq!(
        Client::new("http://control", Some("a\nb")).err(),
        Some(InvalidServer::Token)
    );
}
