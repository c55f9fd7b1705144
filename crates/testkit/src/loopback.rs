//! Loopback addresses of one's own, for services that must be at a well-known port.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{Ipv4Addr, TcpListener};

/// An address in 127.0.0.0/8 at which `port` is free.
///
/// Nobody else uses these addresses, so a random one is as good as a reserved one: two of a
/// thousand tests that run together meet once in some thirty runs of all, and then the second is
/// told that its port is busy.
///
/// # Panics
///
/// When the port cannot be bound: in practice because it is below 1024 and the user may not.
pub fn free_at(port: u16) -> Ipv4Addr {
    let address = random();
    if let Err(error) = TcpListener::bind((address, port)) {
        panic!(
            "cannot listen on {address}:{port}: {error}. Tests need ports from 80 on: run them as \
             root, or allow it with `sysctl net.ipv4.ip_unprivileged_port_start=80`"
        );
    }
    address
}

/// One of 127.1.1.1 to 127.254.254.254.
fn random() -> Ipv4Addr {
    let bits = RandomState::new().build_hasher().finish().to_be_bytes();
    let part = |byte: u8| byte % 254 + 1;
    Ipv4Addr::new(127, part(bits[0]), part(bits[1]), part(bits[2]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports;

    #[test]
    fn is_free_and_not_the_usual_one() {
        let [port] = ports::free();
        let address = free_at(port);
        assert!(address.is_loopback());
        assert_ne!(address, Ipv4Addr::LOCALHOST);
        TcpListener::bind((address, port)).expect("it is free");
    }
}
