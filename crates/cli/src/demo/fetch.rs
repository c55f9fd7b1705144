//! One GET, as a client of a gateway makes it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Asks `address` for `path` and reads the whole answer.
pub(super) async fn get(address: SocketAddr, path: &str) -> io::Result<Response<Bytes>> {
    timeout(ANSWER_TIME_MAX, exchange(address, path))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn exchange(address: SocketAddr, path: &str) -> io::Result<Response<Bytes>> {
    let stream = TcpStream::connect(address).await?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .header(
            USER_AGENT,
            concat!("ferryway-demo/", env!("CARGO_PKG_VERSION")),
        )
        .header(ACCEPT, "*/*")
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let ask = async move {
        let (head, body) = sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?
            .into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX)
            .collect()
            .await
            .map_err(io::Error::other)?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    // The connection ends when the sender, which `ask` owns, is gone; how it ends, `ask` knows.
    let (answer, _) = tokio::join!(ask, connection);
    answer
}

/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// The largest body read, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use ferryway_runtime::Tasks;
    use ferryway_sandbox::upstream::Upstream;

    #[tokio::test]
    async fn what_the_upstream_answers() {
        let tasks = Tasks::new("test");
        let upstream = Upstream::start(([127, 0, 0, 1], 0).into(), &tasks)
            .await
            .unwrap();
        let answer = get(upstream.address(), "/headers").await.unwrap();
        assert_eq!(answer.status(), 200);
        let body = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(body.contains("ferryway-demo/"), "{body}");
        let answer = get(upstream.address(), "/status/418").await.unwrap();
        assert_eq!(answer.status(), 418);
        assert!(tasks.stop(Duration::from_secs(10)).await);
        get(upstream.address(), "/headers").await.unwrap_err();
    }
}
