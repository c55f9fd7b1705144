//! HTTP/2 with prior knowledge on the client's side.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::gateway::block_on;
use crate::support::{Gateway, plain, service};

pub(crate) type Sender = SendRequest<Full<Bytes>>;

pub(crate) async fn connect(gateway: &Gateway) -> Sender {
    let socket = TcpStream::connect(gateway.address)
        .await
        .expect("it listens");
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(socket))
        .await
        .expect("it speaks HTTP/2");
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's runtime ends with the test"
    )]
    tokio::spawn(connection);
    sender
}

async fn ask(sender: &mut Sender, request: Request<Full<Bytes>>) -> (u16, String) {
    let response: Response<_> = sender.send_request(request).await.expect("an answer");
    let (head, body) = response.into_parts();
    let code = head
        .headers
        .get("x-ferryway-error")
        .map(|code| code.to_str().unwrap().to_owned());
    let body = body.collect().await.expect("a whole body").to_bytes();
    (
        head.status.as_u16(),
        code.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned()),
    )
}

/// The status, or none where the stream is reset.
pub(crate) async fn ask_or_reset(
    sender: &mut Sender,
    request: Request<Full<Bytes>>,
) -> Option<u16> {
    let response = sender.send_request(request).await.ok()?;
    let status = response.status().as_u16();
    response.into_body().collect().await.ok().map(|_| status)
}

fn get(uri: &str) -> Request<Full<Bytes>> {
    Request::get(uri).body(Full::default()).expect("a request")
}

#[test]
fn requests_go_upstream_as_http_1_1() {
    let gateway = Gateway::start(plain(), &["read|ok one|again"]);
    block_on(async {
        let mut sender = connect(&gateway).await;
        assert_eq!(
            ask(&mut sender, get("http://k.io:81/a/./b?c")).await,
            (200, "one".to_owned())
        );
        let post = Request::post("http://k.io/")
            .body(Full::from("hello"))
            .unwrap();
        assert_eq!(ask(&mut sender, post).await.0, 200);
    });
    let (_, head, _) = gateway.first().request();
    assert!(head.starts_with("GET /a/b?c HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nx-forwarded-host: k.io\r\n"), "{head}");
    assert_eq!(head.matches("\r\nhost: ").count(), 1, "{head}");
    let (_, _, body) = gateway.first().request();
    assert_eq!(body, "hello");
}

#[test]
fn streams_run_side_by_side() {
    let gateway = Gateway::start(plain(), &["read|hold\nread|ok fast|again"]);
    block_on(async {
        let mut sender = connect(&gateway).await;
        #[expect(
            clippy::disallowed_methods,
            reason = "a test's runtime ends with the test"
        )]
        let slow = tokio::spawn(sender.send_request(get("http://k.io/slow")));
        gateway.first().request();
        assert_eq!(
            ask(&mut sender, get("http://k.io/fast")).await,
            (200, "fast".to_owned())
        );
        assert!(!slow.is_finished());
        slow.abort();
    });
}

#[test]
fn refusals() {
    let routes = json!([{"name": "one", "paths": ["/one"], "methods": ["GET"]}]);
    let gateway = Gateway::start(service(json!({"routes": routes})), &["read|close"]);
    let refusal = |status: u16, code: &str| (status, code.to_owned());
    block_on(async {
        let mut sender = connect(&gateway).await;
        assert_eq!(
            ask(&mut sender, get("http://k.io/two")).await,
            refusal(404, "no_route")
        );
        assert_eq!(
            ask(&mut sender, get("http://k.io/..")).await,
            refusal(400, "bad_path")
        );
        assert_eq!(
            ask(&mut sender, get("http://k.io/one")).await,
            refusal(502, "upstream_reset")
        );
        let two_hosts = Request::get("http://k.io/one").header("host", "l.io");
        let two_hosts = two_hosts.body(Full::default()).unwrap();
        assert_eq!(
            ask(&mut sender, two_hosts).await,
            refusal(400, "bad_request")
        );
        let post = Request::post("http://k.io/one")
            .body(Full::default())
            .unwrap();
        assert_eq!(
            ask(&mut sender, post).await,
            refusal(405, "method_not_allowed")
        );
    });
}

/// A refusal that closes an HTTP/1.1 connection ends its own stream here, and no other.
#[test]
fn drain_ends_the_connection() {
    let gateway = Gateway::start(plain(), &["read|ok x|again"]);
    block_on(async {
        let mut sender = connect(&gateway).await;
        assert_eq!(ask(&mut sender, get("http://k.io/")).await.0, 200);
        gateway.drain();
        while sender.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
}
