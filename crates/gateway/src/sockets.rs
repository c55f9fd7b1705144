//! The listening sockets of the data plane: made and owned by the program, one for each worker.
//!
//! They are bound when the program starts, so that a busy port is said at once, and listen only
//! when there is something to serve: until then a client is refused by the kernel, and whoever
//! balances over instances goes elsewhere.
//!
//! Sockets with `SO_REUSEPORT` would let a second process of the same user bind the same port in
//! silence, and take a share of the connections. So the port is first bound once without it, which
//! fails whatever the other has set, with one exception: two sockets with `SO_REUSEADDR` of which
//! none listens yet. That is why the sockets get `SO_REUSEADDR` only when they listen. They need
//! it then: a port with connections in TIME_WAIT, of the process before, can be bound only if both
//! sides have it.
//!
//! A process before that was another program (NGINX, say, which Ferryway takes the place of) left
//! connections in TIME_WAIT with `SO_REUSEADDR` alone. Only then the sockets have it while they are
//! bound; the price is that for this minute a second gateway that starts before the first one
//! listens is not noticed.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// A port that is taken, and at which nobody listens yet.
#[derive(Debug)]
pub(crate) struct Reserved {
    sockets: Vec<Socket>,
    address: SocketAddr,
}

impl Reserved {
    /// Takes `address` (port 0: any free one) for so many workers.
    pub(crate) fn bind(address: SocketAddr, workers: usize) -> io::Result<Self> {
        let alone = socket(address)?;
        alone.set_reuse_address(true)?;
        alone.bind(&address.into())?;
        let address = alone.local_addr()?.as_socket().unwrap_or(address);
        drop(alone);
        let bound = |_| match shared(address, false) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => shared(address, true),
            bound => bound,
        };
        let sockets = (0..workers).map(bound).collect::<io::Result<_>>()?;
        Ok(Self { sockets, address })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets clients connect. The kernel spreads connections over the listeners.
    pub(crate) fn listen(self) -> io::Result<Vec<TcpListener>> {
        let listening = |socket: Socket| {
            socket.set_reuse_address(true)?;
            // Inherited by accepted sockets: one system call less for each.
            socket.set_tcp_nodelay(true)?;
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        };
        self.sockets.into_iter().map(listening).collect()
    }
}

/// One of the sockets that share `address`, which is known to be free; also beside connections in
/// TIME_WAIT of another program.
fn shared(address: SocketAddr, over_time_wait: bool) -> io::Result<Socket> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(over_time_wait)?;
    socket.bind(&address.into())?;
    socket.set_reuse_address(false)?;
    Ok(socket)
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))
}

/// Connections that wait to be accepted, for each worker; the kernel may allow fewer.
const BACKLOG: i32 = 4_096;

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _};
    use std::net::TcpStream;

    use super::*;

    fn anywhere() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    #[track_caller]
    fn is_busy(address: SocketAddr) {
        let error = Reserved::bind(address, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn a_taken_port_is_busy_for_others_and_refuses_clients_until_it_listens() {
        let reserved = Reserved::bind(anywhere(), 2).unwrap();
        let address = reserved.address();
        is_busy(address);
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

        let listeners = reserved.listen().unwrap();
        assert_eq!(listeners.len(), 2);
        TcpStream::connect(address).unwrap();
        is_busy(address);
    }

    #[test]
    fn any_other_listener_is_noticed() {
        let plain = TcpListener::bind(anywhere()).unwrap();
        is_busy(plain.local_addr().unwrap());
        let sharing = ferryway_proxy::bind(anywhere(), 1).unwrap();
        is_busy(sharing[0].local_addr().unwrap());
    }

    #[test]
    fn connections_in_time_wait_do_not_keep_the_port() {
        let reserved = Reserved::bind(anywhere(), 1).unwrap();
        let address = reserved.address();
        let listener = reserved.listen().unwrap().remove(0);
        listener.set_nonblocking(false).unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        // Who closes first, is in TIME_WAIT afterwards.
        drop(listener.accept().unwrap());
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop((client, listener));
        Reserved::bind(address, 1).unwrap().listen().unwrap();
    }

    #[test]
    fn connections_in_time_wait_of_another_program_do_not_keep_the_port() {
        // As most servers do: `SO_REUSEADDR`, and no `SO_REUSEPORT`.
        let listener = TcpListener::bind(anywhere()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        drop(listener.accept().unwrap());
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop((client, listener));
        let reserved = Reserved::bind(address, 2).unwrap();
        let listeners = reserved.listen().unwrap();
        assert_eq!(listeners.len(), 2);
        is_busy(address);
    }
}
