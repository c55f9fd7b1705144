//! One request and its answer, from the head that has been read to the last byte that is relayed.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use ferryway_router::{RequestHead, request_host};
use http::{Request, Response, Version};
use tokio::time::Instant;

use crate::body::{Relay, RequestBody, ResponseBody};
use crate::client::Client;
use crate::forward::{Forward, Reply};
use crate::headers;
use crate::pool::Lease;
use crate::refusal::Refusal;
use crate::table::ProxyRoute;
use crate::target::Target;
use crate::ticks::Timer;
use crate::worker::Worker;

/// One request and its answer. Dropped at its end, however it ends, it counts itself.
pub(crate) struct Exchange {
    worker: Rc<Worker>,
    client: Rc<Client>,
    version: Version,
    started: Instant,
    /// The route, and nothing else of the table: a download of hours does not pin an old table.
    route: Option<Arc<ProxyRoute>>,
    /// The status of the answer; none as long as there is none.
    status: Option<u16>,
    /// The deadline for whatever is waited for now.
    timer: Timer,
}

/// Answers a request: with its upstream's answer, or with a refusal.
///
/// The request is lent, here and on: a future that takes something large by value has room for it
/// twice, and a connection's future is held for as long as the connection is open.
pub(crate) async fn answer(
    worker: Rc<Worker>,
    client: Rc<Client>,
    request: &mut Request<RequestBody>,
) -> Response<ResponseBody> {
    let mut exchange = Exchange::begin(worker, client, request.version());
    match exchange.run(request).await {
        Ok(reply) => exchange.relay(reply, request),
        Err(refusal) => exchange.refuse(&refusal),
    }
}

impl Exchange {
    fn begin(worker: Rc<Worker>, client: Rc<Client>, version: Version) -> Self {
        client.begins();
        worker.request_begins();
        Self {
            version,
            started: Instant::now(),
            route: None,
            status: None,
            timer: worker.ticks().timer(),
            worker,
            client,
        }
    }

    async fn run(&mut self, request: &mut Request<RequestBody>) -> Result<Reply, Refusal> {
        let target = Target::read(request, self.client.known_host())?;
        let route = self.find(request, &target)?;
        let route = self.route.insert(route);
        target.rewrite(request.uri_mut(), &route.base_path)?;
        let (version, host) = (request.version(), target.into_host());
        let (headers, settings) = (request.headers_mut(), self.worker.settings());
        let peer = &self.client.peer;
        let forward = Forward {
            worker: &self.worker,
            route,
            timer: &self.timer,
            limits: self.client.limits(),
            told: headers::to_upstream(headers, version, host.as_ref(), peer, settings),
            host,
            started: self.started,
        };
        forward.run(request).await
    }

    /// Takes the live table, and finds the route in it.
    fn find(
        &self,
        request: &Request<RequestBody>,
        target: &Target,
    ) -> Result<Arc<ProxyRoute>, Refusal> {
        let host = target.host().map(request_host);
        self.worker.find(&RequestHead {
            method: request.method(),
            host: host.as_deref(),
            path: target.path(request.uri()),
            query: request.uri().query(),
            headers: request.headers(),
        })
    }

    /// Turns the upstream's answer into the client's.
    fn relay(mut self, reply: Reply, request: &mut Request<RequestBody>) -> Response<ResponseBody> {
        let Reply { response, lease } = reply;
        let headers = std::mem::take(request.headers_mut());
        self.worker.buffers().give_back_headers(headers);
        self.status = Some(response.status().as_u16());
        self.counts(|route, worker| route.shard(worker).upstream.record(self.started.elapsed()));
        response.map(|()| ResponseBody::Relay(Relay::new(lease, self)))
    }

    fn refuse(mut self, refusal: &Refusal) -> Response<ResponseBody> {
        self.status = Some(refusal.status().as_u16());
        self.count(refusal);
        let mut response = refusal.response().map(ResponseBody::Text);
        refusal.close(self.version, &mut response);
        response
    }

    /// Counts a refusal, also one that came too late to be told.
    pub(crate) fn count(&self, refusal: &Refusal) {
        self.worker.refused(refusal);
    }

    /// The upstream owes more of its body from now on.
    pub(crate) fn wait_for_more(&self) {
        if let Some(route) = &self.route
            && let Some(deadline) = Instant::now().checked_add(route.read_time)
        {
            self.timer.set(deadline);
        }
    }

    /// Whether it is late with it.
    pub(crate) fn poll_late(&self, cx: &Context<'_>) -> Poll<()> {
        self.timer.poll_expired(cx)
    }

    /// The response is over: its connection may serve another.
    pub(crate) fn give_back(&self, lease: Lease) {
        if let Some(route) = &self.route {
            let now = self.worker.ticks().now();
            self.worker.pool().give_back(&route.upstream, lease, now);
        }
    }

    fn counts(&self, count: impl FnOnce(&crate::RouteMetrics, usize)) {
        let Some((metrics, worker)) = self.worker.counted() else {
            return;
        };
        let route = self.route.as_ref().map(|route| &*route.metrics);
        count(route.unwrap_or_else(|| metrics.unmatched()), worker);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.client.ends(self.version == Version::HTTP_2);
        self.worker.request_ends();
        let status = self.status.unwrap_or(CLIENT_GONE);
        let took = self.started.elapsed();
        self.counts(|route, worker| {
            let shard = route.shard(worker);
            shard.codes.count(status);
            shard.request.record(took);
        });
    }
}

/// What is counted as the status of a request whose client left before there was one.
const CLIENT_GONE: u16 = 499;
