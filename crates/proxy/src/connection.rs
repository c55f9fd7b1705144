//! One client connection: which protocol it speaks, its requests, its deadlines and its end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use tokio::net::TcpStream;

use crate::body::{RequestBody, ResponseBody};
use crate::client::{Client, Phase};
use crate::client_io::{ClientIo, Protocol};
use crate::exchange::answer;
use crate::refusal::Refusal;
use crate::settings::{H2_STREAMS_MAX, HEAD_BYTES_MAX};
use crate::worker::Worker;

/// The client has taken more time than it may.
#[derive(Clone, Copy, Debug)]
struct Late;

/// Serves a connection that was accepted at `port`.
pub(crate) async fn serve(worker: Rc<Worker>, socket: TcpStream, peer: SocketAddr, port: u16) {
    let client = Client::new(worker.settings(), worker.ticks(), peer, port);
    let mut io = ClientIo::new(socket, Rc::clone(&client), Rc::clone(&worker));
    let ends = supervise(pin!(io.protocol()), |_| {}, &worker, &client).await;
    match ends {
        Ok(Ok(Protocol::Http1)) => serve_http1(worker, client, io).await,
        Ok(Ok(Protocol::Http2)) => serve_http2(worker, client, io).await,
        Ok(Err(_reset)) => {}
        Err(Late) => time_out(&client, &io),
    }
}

async fn serve_http1(worker: Rc<Worker>, client: Rc<Client>, io: ClientIo) {
    let service = service(&worker, &client);
    let mut connection = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        // Its timer is one per connection; ours is one per worker.
        .header_read_timeout(None)
        .serve_connection(io, service);
    let wind_down = |connection: Pin<&mut _>| http1::Connection::graceful_shutdown(connection);
    if let Err(Late) = supervise(Pin::new(&mut connection), wind_down, &worker, &client).await {
        time_out(&client, &connection.into_parts().io);
    }
}

async fn serve_http2(worker: Rc<Worker>, client: Rc<Client>, io: ClientIo) {
    client.is_http2();
    let service = service(&worker, &client);
    let connection = http2::Builder::new(OnThisThread)
        .max_concurrent_streams(H2_STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .serve_connection(io, service);
    let wind_down = |connection: Pin<&mut _>| http2::Connection::graceful_shutdown(connection);
    // A connection that is late is dropped: what it was late with is not a request's head.
    let _ = supervise(pin!(connection), wind_down, &worker, &client).await;
}

/// The service that hyper hands the requests of a connection to.
fn service(
    worker: &Rc<Worker>,
    client: &Rc<Client>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<ResponseBody>,
    Error = Infallible,
    Future: 'static,
> + use<> {
    let (worker, client) = (Rc::clone(worker), Rc::clone(client));
    service_fn(move |request: Request<Incoming>| {
        let (worker, client) = (Rc::clone(&worker), Rc::clone(&client));
        async move {
            let request = request.map(RequestBody::client);
            Ok(answer(worker, client, request).await)
        }
    })
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
            wind_down(connection.as_mut());
        }
        if let Poll::Ready(output) = connection.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        client.timer.poll_expired(cx).map(|()| Err(Late))
    })
    .await
}

/// Ends a connection whose client is late: with a word, if it has begun a request.
fn time_out(client: &Client, io: &ClientIo) {
    if client.phase() == Phase::Head {
        io.refuse(&Refusal::RequestTimeout);
    }
}

/// Runs the streams of an HTTP/2 connection where the connection runs. They end with it.
#[derive(Clone, Copy, Debug)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
