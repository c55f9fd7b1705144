//! The API on its socket.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use ferryway_runtime::{Clock, Stop, Tasks};
use ferryway_tls::Acceptor;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::{Access, router};
use crate::core::Core;
use crate::identity::Identity;

/// Connections open at once; more wait in the socket's queue.
const CONNECTIONS_MAX: usize = 1_024;
/// A request's head must have come within this time.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// Largest request head, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long to wait when the system gives no connection, for want of file descriptors say.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves the API on this socket until the tasks are stopped.
pub(crate) fn serve(
    listener: TcpListener,
    state: (Core, Identity),
    access: Access,
    tls: Option<Acceptor>,
    tasks: &Tasks,
) {
    let connections = tasks.child("api");
    let router = router(state, access, Clock::system(), connections.stopping());
    tasks.spawn("accept api connections", |stop| async move {
        let accepting = accept(&listener, tls.as_ref(), &router, &connections);
        tokio::select! {
            () = accepting => {}
            () = stop.requested() => {}
        }
    });
}

/// Takes connections, each with a task of its own, for ever.
async fn accept(
    listener: &TcpListener,
    tls: Option<&Acceptor>,
    router: &Router,
    connections: &Tasks,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return; // only a closed semaphore answers so, and nobody closes this one
        };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no api connection could be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let (router, tls) = (router.clone(), tls.cloned());
        connections.spawn("api connection", move |stop| async move {
            match tls {
                None => converse(stream, peer, router, &stop).await,
                Some(tls) => tokio::select! {
                    accepted = tls.accept(stream) => match accepted {
                        Ok(accepted) => converse(accepted.stream, peer, router, &stop).await,
                        Err(error) => tracing::debug!(%peer, %error, "no TLS connection to the api came about"),
                    },
                    () = stop.requested() => {}
                },
            }
            drop(place);
        });
    }
}

/// Answers what comes on one connection. On a stop, what is being answered is still answered.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    router: Router,
    stop: &Stop,
) {
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = router.clone();
        async move {
            let answered: Result<_, Infallible> = router.oneshot(request).await;
            answered
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.requested() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "an api connection broke");
    }
}
