//! Accepting connections: bounded, and not ended by an error.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ferryway_runtime::{Stop, Tasks};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// A connection, and its place among those that may be open.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

/// How long accepting rests after an error such as "too many open files": trying again at once
/// would only burn a core.
const REST: Duration = Duration::from_millis(100);

/// Accepts connections until the tasks are stopped; at most `open_max` are open at one time, and
/// others wait in the kernel.
pub(super) fn accept(
    listener: TcpListener,
    open_max: usize,
    tasks: &Tasks,
) -> ReceiverStream<io::Result<Connection>> {
    let (accepted, incoming) = mpsc::channel(1);
    tasks.spawn("accept", move |stop| {
        run(listener, open_max, accepted, stop)
    });
    ReceiverStream::new(incoming)
}

async fn run(
    listener: TcpListener,
    open_max: usize,
    accepted: mpsc::Sender<io::Result<Connection>>,
    stop: Stop,
) {
    let permits = Arc::new(Semaphore::new(open_max.min(Semaphore::MAX_PERMITS)));
    let accept_all = async {
        // Ends when nobody takes connections any more; the semaphore is never closed.
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            let connection = Connection {
                stream: accept_one(&listener).await,
                _permit: permit,
            };
            if accepted.send(Ok(connection)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        () = accept_all => {}
        () = stop.requested() => {}
    }
}

async fn accept_one(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // A socket that refuses it is closed already; reading from it will say so.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a delivery connection");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
