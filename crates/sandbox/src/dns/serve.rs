//! The two transports.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ferryway_runtime::{Stop, Tasks};
use hickory_proto::op::{Message, ResponseCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::zone::UDP_BYTES_MAX;
use super::{Fault, Queries, Shared};

#[derive(Clone, Copy)]
enum Transport {
    Udp,
    Tcp,
}

/// Starts answering on both sockets.
pub(super) fn spawn(udp: UdpSocket, tcp: TcpListener, shared: &Arc<Shared>, tasks: &Tasks) {
    let over_udp = Arc::clone(shared);
    tasks.spawn("dns-udp", async move |stop: Stop| {
        tokio::select! {
            () = stop.requested() => {}
            () = datagrams(&udp, &over_udp) => {}
        }
    });
    let (over_tcp, connections) = (Arc::clone(shared), tasks.clone());
    tasks.spawn("dns-tcp", async move |stop: Stop| {
        tokio::select! {
            () = stop.requested() => {}
            () = accept(&tcp, &over_tcp, &connections) => {}
        }
    });
}

async fn datagrams(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        // An error here is about one datagram (a client whose port has closed).
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        shared
            .queries
            .send_modify(|queries: &mut Queries| queries.udp += 1);
        if let Some(answer) = reply(shared, &buffer[..length], Transport::Udp) {
            // A client that has gone away misses nothing.
            let _ = socket.send_to(&answer, client).await;
        }
    }
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>, tasks: &Tasks) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        // An error here is about one connection, or passes when others end.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = Arc::clone(shared);
        tasks.spawn("dns-connection", async move |stop: Stop| {
            let _permit = permit;
            tokio::select! {
                () = stop.requested() => {}
                // However a client's connection ends, only that client is concerned.
                _ = connection(stream, &shared) => {}
            }
        });
    }
}

/// Messages of a connection, each behind its length, until the client ends it or idles.
async fn connection(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let length = timeout(IDLE_MAX, stream.read_u16()).await??;
        let mut request = vec![0; usize::from(length)];
        timeout(IDLE_MAX, stream.read_exact(&mut request)).await??;
        shared
            .queries
            .send_modify(|queries: &mut Queries| queries.tcp += 1);
        if let Some(answer) = reply(shared, &request, Transport::Tcp) {
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            let framed = [&length.to_be_bytes(), answer.as_slice()].concat();
            timeout(IDLE_MAX, stream.write_all(&framed)).await??;
        }
    }
}

/// The bytes to answer a request with; `None` where there is nothing to say.
fn reply(shared: &Shared, request: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let request = Message::from_vec(request).ok()?;
    let (fault, answer) = {
        let zone = shared.zone();
        (zone.fault, zone.answer(&request))
    };
    match (fault, transport) {
        (Fault::Silent, _) => None,
        (Fault::Garbage, _) => Some(garbage(request.metadata.id)),
        (Fault::Truncate, Transport::Udp) => encode(&answer.truncate(), UDP_BYTES_MAX),
        (_, Transport::Udp) => encode(&answer, UDP_BYTES_MAX.min(request.max_payload()))
            .or_else(|| encode(&answer.truncate(), UDP_BYTES_MAX)),
        (_, Transport::Tcp) => encode(&answer, u16::MAX).or_else(|| failure(&request)),
    }
}

/// SERVFAIL, for an answer that does not even fit into TCP's 64 KiB.
fn failure(request: &Message) -> Option<Vec<u8>> {
    let (id, code) = (request.metadata.id, request.metadata.op_code);
    encode(
        &Message::error_msg(id, code, ResponseCode::ServFail),
        u16::MAX,
    )
}

/// The start of an answer to the query of this id, and nonsense after it.
fn garbage(id: u16) -> Vec<u8> {
    let mut bytes = [id.to_be_bytes(), [0x84, 0x00]].concat();
    bytes.resize(GARBAGE_BYTES, 0xff);
    bytes
}

/// The message's bytes, if they are few enough.
fn encode(message: &Message, most: u16) -> Option<Vec<u8>> {
    message
        .to_vec()
        .ok()
        .filter(|bytes| bytes.len() <= usize::from(most))
}

/// The longest query read over UDP.
const DATAGRAM_BYTES_MAX: usize = 4096;
/// Connections at once; more wait in the listen queue.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection may neither send nor take a byte.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// The length of an answer that is no DNS message.
const GARBAGE_BYTES: usize = 40;
