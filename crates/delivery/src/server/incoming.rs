//! Accepting connections: bounded, and not ended by an error.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ferryway_runtime::Tasks;
use ferryway_tls::{Accepted, Acceptor, Certificate, HandshakeError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use crate::agent::Io;

/// A connection, and its place among those that may be open.
pub(super) struct Connection {
    stream: Box<dyn Io>,
    origin: Origin,
    /// When it ends, whatever is said on it: who shows no certificate comes for one, and goes.
    until: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    /// What it has shown, its chain verified.
    pub(super) certificate: Option<Arc<Certificate>>,
}

/// How long accepting rests after an error such as "too many open files": trying again at once
/// would only burn a core.
const REST: Duration = Duration::from_millis(100);
/// How often a refused handshake is logged at most: who knocks all the time shall not fill the log.
const SAY_EVERY: Duration = Duration::from_secs(1);
/// How long a connection may live on a port with TLS whose client shows no certificate.
const ANONYMOUS_MAX: Duration = Duration::from_secs(30);

/// Accepts connections until the tasks are stopped; at most `open_max` are open at one time, and
/// others wait in the kernel. With an acceptor they speak TLS.
pub(super) fn accept(
    listener: TcpListener,
    acceptor: Option<Acceptor>,
    open_max: usize,
    tasks: &Tasks,
) -> ReceiverStream<io::Result<Connection>> {
    let (accepted, incoming) = mpsc::channel(1);
    let handshakes = tasks.clone();
    tasks.spawn("accept", move |stop| async move {
        let accepting = accept_all(&listener, acceptor, open_max, &accepted, &handshakes);
        tokio::select! {
            biased;
            () = accepting => {}
            () = stop.requested() => {}
        }
    });
    ReceiverStream::new(incoming)
}

/// Ends when nobody takes connections any more.
async fn accept_all(
    listener: &TcpListener,
    acceptor: Option<Acceptor>,
    open_max: usize,
    accepted: &mpsc::Sender<io::Result<Connection>>,
    handshakes: &Tasks,
) {
    let permits = Arc::new(Semaphore::new(open_max.min(Semaphore::MAX_PERMITS)));
    let refusals = Arc::new(Refusals::default());
    // The semaphore is never closed.
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        let (stream, address) = accept_one(listener).await;
        let Some(acceptor) = acceptor.clone() else {
            let connection = Connection::plain(stream, address, permit);
            if accepted.send(Ok(connection)).await.is_err() {
                return;
            }
            continue;
        };
        if accepted.is_closed() {
            return;
        }
        // A task for each: a client that is slow, or says nothing, keeps nobody waiting.
        let (accepted, refusals) = (accepted.clone(), Arc::clone(&refusals));
        handshakes.spawn("handshake", move |stop| async move {
            tokio::select! {
                biased;
                () = shake(&acceptor, stream, (address, permit), &accepted, &refusals) => {}
                () = stop.requested() => {}
            }
        });
    }
}

async fn shake(
    acceptor: &Acceptor,
    stream: TcpStream,
    (address, permit): (SocketAddr, OwnedSemaphorePermit),
    accepted: &mpsc::Sender<io::Result<Connection>>,
    refusals: &Refusals,
) {
    match acceptor.accept(stream).await {
        Ok(secured) => {
            let connection = Connection::secured(secured, address, permit);
            // Nobody takes connections any more.
            let _ = accepted.send(Ok(connection)).await;
        }
        // Somebody knocked, a health check say.
        Err(error @ (HandshakeError::Io(_) | HandshakeError::TimedOut(_))) => {
            tracing::debug!(%address, %error, "no TLS connection came about on the delivery port");
        }
        Err(error @ (HandshakeError::Refused(_) | HandshakeError::ByPeer(_))) => {
            let Some(left_out) = refusals.say() else {
                return;
            };
            tracing::warn!(%address, %error, left_out, "no TLS connection came about on the delivery port");
        }
    }
}

/// Which refused handshakes are logged.
#[derive(Debug, Default)]
struct Refusals(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    left_out: u64,
}

impl Refusals {
    /// Whether this one is logged, and then how many before it were not.
    fn say(&self) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if said.last.is_some_and(|last| now < last + SAY_EVERY) {
            said.left_out = said.left_out.saturating_add(1);
            return None;
        }
        said.last = Some(now);
        Some(std::mem::take(&mut said.left_out))
    }
}

impl Connection {
    fn plain(stream: TcpStream, address: SocketAddr, permit: OwnedSemaphorePermit) -> Self {
        Self {
            stream: Box::new(stream),
            origin: Origin {
                address,
                certificate: None,
            },
            until: None,
            _permit: permit,
        }
    }

    fn secured(
        secured: Accepted<TcpStream>,
        address: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let Accepted {
            stream,
            certificate,
        } = secured;
        let until = certificate.is_none();
        Self {
            stream: Box::new(stream),
            origin: Origin {
                address,
                certificate: certificate.map(Arc::new),
            },
            until: until.then(|| Box::pin(sleep(ANONYMOUS_MAX))),
            _permit: permit,
        }
    }
}

async fn accept_one(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // A socket that refuses it is closed already; reading from it will say so.
                let _ = stream.set_nodelay(true);
                return (stream, address);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a delivery connection");
                sleep(REST).await;
            }
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Origin;

    fn connect_info(&self) -> Origin {
        self.origin.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(until) = &mut self.until
            && until.as_mut().poll(cx).is_ready()
        {
            let why = "a connection without a certificate is not for staying";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refusals_are_said_once_a_second_with_how_many_were_left_out() {
        let refusals = Refusals::default();
        assert_eq!(refusals.say(), Some(0));
        for _ in 0..1_000 {
            assert_eq!(refusals.say(), None);
        }
        tokio::time::advance(SAY_EVERY).await;
        assert_eq!(refusals.say(), Some(1_000));
        assert_eq!(refusals.say(), None);
        tokio::time::advance(3 * SAY_EVERY).await;
        assert_eq!(refusals.say(), Some(1));
    }
}
