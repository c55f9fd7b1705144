//! Forwarding: pick an endpoint, take a connection, send, wait no longer than allowed, and try again
//! where that is allowed.
//!
//! When a request is tried again:
//!
//! - A kept-alive connection that turned out to be closed hands the request back untouched. It is
//!   sent again over a fresh connection, whatever its method, once, and that counts as no retry.
//! - Where it certainly was not sent (no connection came about, or a fresh one handed it back), it
//!   may be tried again whatever its method: that is the condition `connect_failure`.
//! - Otherwise only an idempotent one, for the conditions that the policy names, and only while its
//!   body can be sent again from the start. (Its head can always: it is written from where it stays.)
//!
//! Another try goes to another endpoint, where there is one.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use ferryway_balance::{EndpointId, EndpointState, InFlight, Member};
use ferryway_model::RetryOn;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode};
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::body::RequestBody;
use crate::headers::Told;
use crate::patience::Patience;
use crate::pool::Lease;
use crate::refusal::{Refusal, Wait};
use crate::replay::Replay;
use crate::settings::Limits;
use crate::table::{HostMode, ProxyRoute};
use crate::ticks::Timer;
use crate::upstream_connection::{Connection, Failure};
use crate::worker::Worker;

/// One request on its way to its upstream.
#[derive(Debug)]
pub(crate) struct Forward<'a> {
    pub(crate) worker: &'a Rc<Worker>,
    pub(crate) route: &'a ProxyRoute,
    pub(crate) timer: &'a Timer,
    pub(crate) limits: &'a Limits,
    /// What the upstream is told about the client.
    pub(crate) told: Told,
    /// What the client said it asks.
    pub(crate) host: Option<HeaderValue>,
    pub(crate) started: Instant,
}

/// The head of an upstream's answer, and where its body comes from.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) response: Response<()>,
    pub(crate) lease: Lease,
}

/// The endpoint of one try.
struct Picked {
    id: EndpointId,
    address: SocketAddr,
    state: Arc<EndpointState>,
    in_flight: InFlight,
    host: HeaderValue,
}

/// What came of one try that failed.
struct Failed {
    refusal: Refusal,
    /// The request certainly was not sent; its body is where it was.
    unsent: bool,
    /// It was a kept connection that failed.
    reused: bool,
}

impl Forward<'_> {
    /// Sends the request, and answers with the head of the response.
    pub(crate) async fn run(&self, request: &mut Request<RequestBody>) -> Result<Reply, Refusal> {
        say_length(request);
        let mut retries = self.route.retry.retries;
        let may_repeat = self.route.retry.after_sending() && request.method().is_idempotent();
        if may_repeat {
            keep_body(request);
        }
        let mut tried = SmallVec::<[EndpointId; 4]>::new();
        let (mut fresh, mut began) = (false, self.started);
        loop {
            // The head stays here whatever happens; of the body another view may be had.
            let again = Some(request.body()).filter(|_| may_repeat && retries > 0);
            let again = again.and_then(RequestBody::again);
            let picked = self.pick(&tried)?;
            let id = picked.id;
            let body = match self.attempt(picked, request, fresh, began).await {
                Ok(reply) if !is_gateway_error(reply.response.status()) => return Ok(reply),
                Ok(reply) => match again.filter(|body| self.may(RetryOn::GatewayError, body)) {
                    Some(body) => Some(body),
                    None => return Ok(reply),
                },
                Err(Failed {
                    unsent: true,
                    reused: true,
                    ..
                }) if !fresh => {
                    fresh = true;
                    began = Instant::now();
                    continue;
                }
                Err(failed) => self.after(failed, again, retries)?,
            };
            if let Some(body) = body {
                *request.body_mut() = body;
            }
            began = Instant::now();
            tried.push(id);
            retries -= 1;
            self.worker.retries();
        }
    }

    /// The body to try again with after a failure, or none if it is where it was; or the failure, if
    /// that is the end.
    fn after(
        &self,
        failed: Failed,
        again: Option<RequestBody>,
        retries: u32,
    ) -> Result<Option<RequestBody>, Refusal> {
        let Failed {
            refusal,
            unsent,
            reused: _,
        } = failed;
        if unsent {
            let may = retries > 0 && self.route.retry.has(RetryOn::ConnectFailure);
            return if may { Ok(None) } else { Err(refusal) };
        }
        let condition = refusal.may_retry();
        let again = again.filter(|body| condition.is_some_and(|on| self.may(on, body)));
        again.map(Some).ok_or(refusal)
    }

    /// Whether the policy has the condition, and the body can be sent again from its start.
    fn may(&self, condition: RetryOn, body: &RequestBody) -> bool {
        let whole = match body {
            RequestBody::Empty => true,
            RequestBody::Replay(replay) => replay.take_over(),
            RequestBody::Stream(_) => false,
        };
        self.route.retry.has(condition) && whole
    }

    fn pick(&self, tried: &[EndpointId]) -> Result<Picked, Refusal> {
        let upstream = &self.route.upstream;
        let picked = upstream.endpoints().read(|set| {
            let member: &Member = upstream.balancer().pick(set, tried)?;
            Some(Picked {
                id: member.id(),
                address: member.endpoint().address,
                state: Arc::clone(member.state()),
                in_flight: member.begin(),
                host: self.host(member),
            })
        });
        picked.ok_or(Refusal::NoEndpoint)
    }

    /// What `Host` says.
    fn host(&self, member: &Member) -> HeaderValue {
        // The pool is asked in any mode: it makes the endpoint's place.
        let node = self
            .worker
            .pool()
            .host(&self.route.upstream, member.id(), member.endpoint());
        match (&self.route.host, &self.host) {
            (HostMode::Rewrite(value), _) => value.clone(),
            (HostMode::Pass, Some(host)) => host.clone(),
            (HostMode::Pass, None) | (HostMode::Node, _) => node,
        }
    }

    async fn attempt(
        &self,
        picked: Picked,
        request: &mut Request<RequestBody>,
        fresh: bool,
        began: Instant,
    ) -> Result<Reply, Failed> {
        let Picked {
            id,
            address,
            state,
            in_flight,
            host,
        } = picked;
        request.headers_mut().insert(HOST, host);
        let once = !request.method().is_idempotent();
        let kept = match fresh {
            false => self.worker.pool().take(&self.route.upstream, id, once),
            true => None,
        };
        let reused = kept.is_some();
        let (connection, sent) = match kept {
            Some(connection) => (connection, began),
            None => match self.connect(address, &state).await {
                Ok(connection) => (connection, Instant::now()),
                Err(refusal) => {
                    return Err(Failed {
                        refusal,
                        unsent: true,
                        reused,
                    });
                }
            },
        };
        self.worker.sends(reused);
        let mut lease = Lease {
            connection,
            key: (self.route.upstream.id(), id),
            _in_flight: in_flight,
        };
        match self.send(&mut lease.connection, request, sent).await {
            Ok(response) => Ok(Reply { response, lease }),
            Err(Failure { refusal, unsent }) => {
                let failed = Failed {
                    refusal,
                    unsent: unsent.is_some(),
                    reused,
                };
                *request.body_mut() = unsent.unwrap_or(RequestBody::Empty);
                Err(failed)
            }
        }
    }

    async fn connect(
        &self,
        address: SocketAddr,
        state: &EndpointState,
    ) -> Result<Connection, Refusal> {
        let deadline = Instant::now() + self.route.connect_time;
        let opening = Connection::open(address, self.worker.buffers());
        match self.timer.until(deadline, opening).await {
            Some(Ok(connection)) => {
                state.connected();
                Ok(connection)
            }
            Some(Err(error)) => {
                state.connect_failed();
                tracing::debug!(%address, %error, "cannot connect to an upstream");
                Err(Refusal::UpstreamConnect)
            }
            None => {
                state.connect_failed();
                Err(Refusal::UpstreamTimeout(Wait::Connect))
            }
        }
    }

    /// Sends the request, and waits for the head of the response.
    async fn send(
        &self,
        connection: &mut Connection,
        request: &mut Request<RequestBody>,
        sent: Instant,
    ) -> Result<Response<()>, Failure> {
        let patience = Patience {
            body_time: self.limits.body_time,
            send_time: self.route.send_time,
            read_time: self.route.read_time,
            sent,
            progress: request.body().progress().cloned(),
        };
        connection.start(request, &self.told);
        let answer = patience.wait(self.timer, connection.response()).await;
        answer.unwrap_or_else(|refusal| {
            Err(Failure {
                refusal,
                unsent: None,
            })
        })
    }
}

/// A body whose length nobody said goes in chunks, whatever the method: there is no end to it
/// otherwise. Where the client said that too, it is said as every reader knows it, not as `chunkeD`.
fn say_length(request: &mut Request<RequestBody>) {
    if !request.body().is_empty() && !request.headers().contains_key(CONTENT_LENGTH) {
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().insert(TRANSFER_ENCODING, chunked);
    }
}

/// Keeps what is sent of a body for further tries, if it is not known to be too large.
fn keep_body(request: &mut Request<RequestBody>) {
    let body = std::mem::replace(request.body_mut(), RequestBody::Empty);
    *request.body_mut() = match body {
        RequestBody::Stream(upload) => match Replay::keep(upload) {
            Ok(replay) => RequestBody::Replay(replay),
            Err(upload) => RequestBody::Stream(upload),
        },
        body => body,
    };
}

fn is_gateway_error(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}
