//! The status port: what an instance tells about itself, to probes, to Prometheus and to people.
//!
//! Plain HTTP/1.1 on its own port, by default on loopback. It answers from the start of the
//! process, also while no client is served yet, and reads only: GET and HEAD.

mod metrics;
mod report;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferryway_delivery::{AgentStatus, InstanceDisk};
use ferryway_model::Name;
use ferryway_proxy::Metrics;
use ferryway_runtime::{Stop, Tasks};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;
use uuid::Uuid;

use crate::installer::Installer;
use crate::phase::{Phase, Phases};

/// Where everything that is told comes from.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) who: Who,
    pub(crate) phases: Phases,
    pub(crate) agent: watch::Receiver<AgentStatus>,
    /// The instance's disk, if it has one.
    pub(crate) disk: Option<Arc<InstanceDisk>>,
    pub(crate) installer: Installer,
    pub(crate) metrics: Arc<Metrics>,
}

/// Who the instance is, and where it listens.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) instance: Uuid,
    pub(crate) group: Name,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    /// The file that the view comes from; none: a control plane's.
    pub(crate) file: Option<PathBuf>,
}

/// The build of this program.
pub(crate) const BUILD: &str = env!("CARGO_PKG_VERSION");

/// Connections served at once; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection may take to send the head of its next request, idle time included.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a connection is kept. Whoever asks again later makes another one; whoever does not read
/// its answer would else keep its place from others for ever.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(60);
/// How long the answer that is on its way then may take.
const LAST_ANSWER_MAX: Duration = Duration::from_secs(10);
/// The pause after a failed accept: what it fails for (no file descriptor left) takes a while.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves the pages until `tasks` are stopped.
pub(crate) fn serve(listener: TcpListener, pages: Arc<Pages>, tasks: &Tasks) {
    let connections = tasks.clone();
    tasks.spawn("status", |stop| accept(listener, pages, connections, stop));
}

async fn accept(listener: TcpListener, pages: Arc<Pages>, connections: Tasks, stop: Stop) {
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
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection on the status port");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let pages = Arc::clone(&pages);
        connections.spawn("status connection", |stop| async move {
            connection(socket, pages, stop).await;
            drop(permit);
        });
    }
}

async fn connection<S>(socket: S, pages: Arc<Pages>, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = service_fn(move |request: Request<Incoming>| {
        let response = pages.answer(request.method(), request.uri().path());
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .serve_connection(TokioIo::new(socket), answer);
    let mut connection = pin!(connection);
    tokio::select! {
        // Whoever asked has gone, or wrote something else than HTTP: neither is news.
        _ = connection.as_mut() => return,
        () = stop.requested() => return,
        () = sleep(CONNECTION_AGE_MAX) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = stop.requested() => {}
        () = sleep(LAST_ANSWER_MAX) => {}
    }
}

impl Pages {
    /// Answers a request.
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let Some(page) = Page::at(path) else {
            return error(StatusCode::NOT_FOUND, "404 Not Found");
        };
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "405 Method Not Allowed");
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match page {
            Page::Health => response(StatusCode::OK, TEXT, "ok\n".to_owned()),
            Page::Ready => self.ready(),
            Page::Metrics => response(StatusCode::OK, PROMETHEUS, self.metrics()),
            Page::Status => found(&self.status()),
            Page::Services => found(&report::services(&self.installer.services())),
            Page::Upstreams => found(&report::upstreams(&self.installer.services())),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let (status, text) = match self.phases.now() {
            Phase::Starting => (
                StatusCode::SERVICE_UNAVAILABLE,
                "starting: no complete view is effective yet\n",
            ),
            Phase::Serving => (StatusCode::OK, "ready\n"),
            Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        };
        response(status, TEXT, text.to_owned())
    }

    fn status(&self) -> Value {
        let disk = self.disk.as_deref();
        report::instance(&self.who, self.phases.now(), &self.agent.borrow(), disk)
    }

    fn metrics(&self) -> String {
        let mut out = String::new();
        self.metrics.render(&mut out);
        metrics::agent(&self.agent.borrow(), &mut out);
        metrics::installer(&self.installer, &mut out);
        out
    }
}

/// What there is to see.
#[derive(Clone, Copy, Debug)]
enum Page {
    Health,
    Ready,
    Metrics,
    Status,
    Services,
    Upstreams,
}

impl Page {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/healthz" => Self::Health,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            "/status" => Self::Status,
            "/status/services" => Self::Services,
            "/status/upstreams" => Self::Upstreams,
            _ => return None,
        })
    }
}

fn found(body: &Value) -> Response<Full<Bytes>> {
    response(StatusCode::OK, JSON, format!("{body:#}\n"))
}

fn error(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    response(status, JSON, json!({"error_msg": message}).to_string())
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
