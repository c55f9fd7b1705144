//! One request and its answer, from the head that has been read to the last byte that is relayed.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use ferryway_router::{RequestHead, request_host};
use http::request::Parts;
use http::{Request, Response, Version};
use tokio::time::Instant;

use crate::body::{Relay, RequestBody, ResponseBody};
use crate::client::Client;
use crate::forward::{Forward, Reply};
use crate::headers::{self, Told};
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
pub(crate) async fn answer(
    worker: Rc<Worker>,
    client: Rc<Client>,
    request: Request<RequestBody>,
) -> Response<ResponseBody> {
    let mut exchange = Exchange::begin(worker, client, request.version());
    match exchange.run(request).await {
        Ok(reply) => exchange.relay(reply),
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

    async fn run(&mut self, request: Request<RequestBody>) -> Result<Reply, Refusal> {
        let (mut head, body) = request.into_parts();
        let target = Target::read(&head, self.client.known_host())?;
        let route = self.find(&head, &target)?;
        let told = self.prepare(&mut head, &target, &route)?;
        let route = self.route.insert(route);
        let forward = Forward {
            worker: &self.worker,
            route,
            timer: &self.timer,
            limits: self.client.limits(),
            told: &told,
            host: target.host,
            started: self.started,
        };
        forward.run(head, body).await
    }

    /// Takes the live table, and finds the route in it.
    fn find(&self, head: &Parts, target: &Target) -> Result<Arc<ProxyRoute>, Refusal> {
        let host = target.host().map(request_host);
        self.worker.find(&RequestHead {
            method: &head.method,
            host: host.as_deref(),
            path: target.path(&head.uri),
            query: head.uri.query(),
            headers: &head.headers,
        })
    }

    /// Makes the client's head the one that goes upstream, and says what that is told besides.
    fn prepare(
        &self,
        head: &mut Parts,
        target: &Target,
        route: &ProxyRoute,
    ) -> Result<Told, Refusal> {
        target.rewrite(&mut head.uri, &route.base_path)?;
        Ok(headers::to_upstream(
            &mut head.headers,
            head.version,
            target.host.as_ref(),
            &self.client.peer,
            self.worker.settings(),
        ))
    }

    /// Turns the upstream's answer into the client's.
    fn relay(mut self, reply: Reply) -> Response<ResponseBody> {
        let Reply { response, lease } = reply;
        let (mut head, ()) = response.into_parts();
        head.version = Version::HTTP_11;
        self.status = Some(head.status.as_u16());
        self.counts(|route, worker| route.shard(worker).upstream.record(self.started.elapsed()));
        Response::from_parts(head, ResponseBody::Relay(Relay::new(lease, self)))
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
