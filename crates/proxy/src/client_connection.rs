//! One client connection: which protocol it speaks, its deadlines and its end.

mod http1;
mod http2;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use bytes::BytesMut;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::client::Client;
use crate::worker::Worker;

pub(crate) use http1::Http1;

/// The client has taken more time than it may.
#[derive(Clone, Copy, Debug)]
struct Late;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// Serves a connection that was accepted at `port`.
pub(crate) async fn serve(worker: Rc<Worker>, mut socket: TcpStream, peer: SocketAddr, port: u16) {
    let client = Client::new(worker.settings(), worker.ticks(), peer, port);
    let mut first = worker.buffers().take();
    let protocol = protocol(&mut socket, &mut first, &client);
    let known = supervise(pin!(protocol), |_| {}, &worker, &client).await;
    match known {
        Ok(Some(Protocol::Http1)) => http1::serve(worker, client, socket, first).await,
        Ok(Some(Protocol::Http2)) => http2::serve(worker, client, socket, first).await,
        // Gone before it was known, or too slow even for that.
        Ok(None) => {}
        Err(Late) => http1::time_out(&worker, &client, &socket),
    }
}

/// Reads until the client's first bytes tell what it speaks: HTTP/2 if they are its preface.
async fn protocol(
    socket: &mut TcpStream,
    first: &mut BytesMut,
    client: &Client,
) -> Option<Protocol> {
    loop {
        let read = first.len().min(PREFACE.len());
        if first[..read] != PREFACE[..read] {
            return Some(Protocol::Http1);
        }
        if read == PREFACE.len() {
            return Some(Protocol::Http2);
        }
        if socket.read_buf(first).await.ok()? == 0 {
            return None;
        }
        client.has_read();
    }
}

/// Polls a connection until it is over, or the client is late. When the worker drains, the
/// connection is told once to wind down.
async fn supervise<C: Future>(
    mut connection: Pin<&mut C>,
    wind_down: impl Fn(Pin<&mut C>),
    worker: &Worker,
    client: &Client,
) -> Result<C::Output, Late> {
    let mut told = false;
    poll_fn(|cx| {
        if worker.is_draining() && !told {
            told = true;
            client.parts();
            wind_down(connection.as_mut());
        }
        if let Poll::Ready(output) = connection.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        client.timer.poll_expired(cx).map(|()| Err(Late))
    })
    .await
}

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, C, D, F: Future>(_: fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    /// A connection is a task: what its future may grow to is held for as long as it is open.
    #[test]
    fn a_connections_future_is_small() {
        let size = size(serve);
        assert!(
            size <= 3_500,
            "{size} bytes, http1 {}",
            self::size(http1::serve)
        );
    }
}
