//! The listening sockets: made and owned by `main`, so that they can be handed on.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// One listening socket per worker, all at `address` (port 0: any free one, the same for all). The
/// kernel spreads new connections over them.
///
/// # Errors
///
/// When the address cannot be bound; also when another process listens there, which `SO_REUSEPORT`
/// alone would let pass in silence.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    // Bound alone first: this one fails where anybody listens already.
    socket(address)?.bind(&address.into())?;
    let mut address = address;
    let mut listeners = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        // Inherited by accepted sockets: one system call less for each.
        socket.set_tcp_nodelay(true)?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// Connections that wait to be accepted, for each worker; the kernel may allow fewer.
const BACKLOG: i32 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_one_port() {
        let listeners = bind(([127, 0, 0, 1], 0).into(), 3).unwrap();
        let addresses: Vec<_> = listeners
            .iter()
            .map(|it| it.local_addr().unwrap())
            .collect();
        assert_eq!(addresses, vec![addresses[0]; 3]);
        assert_ne!(addresses[0].port(), 0);
    }

    #[test]
    fn a_busy_port_is_an_error() {
        let taken = bind(([127, 0, 0, 1], 0).into(), 1).unwrap();
        let error = bind(taken[0].local_addr().unwrap(), 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
