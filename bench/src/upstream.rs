//! An upstream that costs little: the same small answer to every request.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use ferryway_runtime::{Stop, Tasks};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Listens on a port of its own choice and answers until `tasks` are stopped.
///
/// # Errors
///
/// No port can be bound.
pub async fn start(tasks: &Tasks) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let connections = tasks.clone();
    tasks.spawn("upstream", |stop| accept(listener, connections, stop));
    Ok(address)
}

async fn accept(listener: TcpListener, connections: Tasks, stop: Stop) {
    loop {
        let accepted = tokio::select! {
            () = stop.requested() => return,
            accepted = listener.accept() => accepted,
        };
        // Connections come from the gateway alone, which bounds them.
        if let Ok((stream, _)) = accepted {
            connections.spawn("upstream-connection", |stop| async move {
                tokio::select! {
                    () = stop.requested() => {}
                    // The gateway closes what it no longer needs, and counts what fails.
                    _ = answer(stream) => {}
                }
            });
        }
    }
}

/// Answers every end of a head. Requests with bodies do not come here.
async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY_BYTES}\r\n\r\n");
    let answer = [head.as_bytes(), &[b'x'; BODY_BYTES]].concat();
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(HEAD_BYTES_MAX);
    while stream.read_buf(&mut received).await? > 0 {
        if received.ends_with(b"\r\n\r\n") {
            received.clear();
            stream.write_all(&answer).await?;
        } else if received.len() > HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(())
}

/// The length of every answer's body.
pub const BODY_BYTES: usize = 1_024;
/// The longest head of a request that is read.
const HEAD_BYTES_MAX: usize = 16 * 1024;
