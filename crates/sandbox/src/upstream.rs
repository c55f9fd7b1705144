//! An upstream that answers as [httpbin](https://httpbin.org) does.
//!
//! `/headers`, `/anything` and all below it, `/status/CODE` and `/delay/SECONDS`, byte for byte
//! what httpbin answers; an end-to-end test holds the two side by side. Everything else of httpbin
//! is 404 here. Some things are different on purpose: a `multipart/form-data` body is shown as data
//! and not taken apart; `/status` takes one code of 200 to 599 and no list, and its codes have no
//! jokes for bodies; a delay that is no number is a 400 and not a 500.

mod answers;
mod seen;
mod text;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferryway_runtime::{Stop, Tasks};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// A running upstream. It ends with the [`Tasks`] it was started with.
#[derive(Clone, Debug)]
pub struct Upstream {
    address: SocketAddr,
}

impl Upstream {
    /// Listens at `address` (port 0: any free one) and answers until `tasks` are stopped.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub async fn start(address: SocketAddr, tasks: &Tasks) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let connections = tasks.clone();
        tasks.spawn("upstream", |stop| accept(listener, connections, stop));
        Ok(Self { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Connections served at once; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 1_024;
/// How long a connection may take to send the head of its next request, idle time included.
const HEAD_TIME_MAX: Duration = Duration::from_secs(120);
/// The largest request body that is read; a longer one is answered with 413.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a request body may take to arrive; a slower one is answered with 408.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a connection may go on with its present request once a stop is requested.
const LAST_ANSWER_TIME_MAX: Duration = Duration::from_secs(1);
/// The pause after a failed accept: what it fails for (no file descriptor left) takes a while.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

async fn accept(listener: TcpListener, connections: Tasks, stop: Stop) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = stop.requested() => return,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn("upstream-connection", move |stop| async move {
                    serve(stream, peer.ip(), stop).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: IpAddr, stop: Stop) {
    let service = service_fn(|request| respond(request, peer));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.requested() => {
            connection.as_mut().graceful_shutdown();
            // One that is in the middle of a long `/delay` is cut off.
            timeout(LAST_ANSWER_TIME_MAX, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

async fn respond(
    request: Request<Incoming>,
    peer: IpAddr,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = match timeout(BODY_TIME_MAX, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Ok(answers::plain(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is over 1 MiB",
            ));
        }
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "a body ended early");
            return Ok(answers::plain(
                StatusCode::BAD_REQUEST,
                "the body ended early",
            ));
        }
        Err(_) => {
            return Ok(answers::plain(
                StatusCode::REQUEST_TIMEOUT,
                "the body took too long",
            ));
        }
    };
    let seen = seen::Seen {
        head: &head,
        body: &body,
        peer,
    };
    if let Some(delay) = answers::delay(&head) {
        sleep(delay).await;
    }
    Ok(answers::answer(&seen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn exchange(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn answers_until_it_is_stopped() {
        let tasks = Tasks::new("test");
        let upstream = Upstream::start("127.0.0.1:0".parse().unwrap(), &tasks)
            .await
            .unwrap();
        let request = "GET /headers HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let answer = exchange(upstream.address(), request).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\"Host\": \"a\""), "{answer}");

        let mut idle = TcpStream::connect(upstream.address()).await.unwrap();
        let request = b"GET /status/200 HTTP/1.1\r\nhost: a\r\n\r\n";
        idle.write_all(request).await.unwrap();
        // It has been accepted, then: a stop closes it, where it would reset one that still waits.
        assert!(idle.read(&mut [0; 1024]).await.unwrap() > 0);
        assert!(
            tasks.stop(Duration::from_secs(10)).await,
            "left: {:?}",
            tasks.running()
        );
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).await.unwrap();
        TcpStream::connect(upstream.address())
            .await
            .expect_err("nobody listens any more");
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let tasks = Tasks::new("test");
        let upstream = Upstream::start("127.0.0.1:0".parse().unwrap(), &tasks)
            .await
            .unwrap();
        // Only announced: the answer does not wait for what it will not read.
        let length = BODY_BYTES_MAX + 1;
        let request =
            format!("POST /anything HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
        let mut stream = TcpStream::connect(upstream.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; length]).await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 413");
        assert!(tasks.stop(Duration::from_secs(10)).await);
    }
}
