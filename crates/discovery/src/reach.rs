//! Addresses this machine has a way to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::answer::Addresses;

/// Leaves out the family that this machine has no route to, where it has one to the other.
///
/// A name often has IPv6 addresses that a machine without IPv6 cannot reach: they would be
/// endpoints like all others, and half of the first attempts would fail. Where neither family has
/// a route, something else is wrong, and nothing is left out.
pub(crate) fn reachable(mut found: Addresses, routed: impl Fn(IpAddr) -> bool) -> Addresses {
    // One address speaks for its family: this is about machines that have none of it.
    let v4 = found
        .v4
        .as_ref()
        .and_then(|it| it.first())
        .map(|it| routed(IpAddr::V4(*it)));
    let v6 = found
        .v6
        .as_ref()
        .and_then(|it| it.first())
        .map(|it| routed(IpAddr::V6(*it)));
    match (v4, v6) {
        (Some(true), Some(false)) => found.v6 = Some(Vec::new()),
        (Some(false), Some(true)) => found.v4 = Some(Vec::new()),
        _ => {}
    }
    found
}

/// Whether the system would know where to send a packet for this address. Sends none.
pub(crate) fn has_route(address: IpAddr) -> bool {
    let any = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let connect = |socket: UdpSocket| socket.connect(SocketAddr::new(address, PROBE_PORT));
    UdpSocket::bind(SocketAddr::new(any, 0))
        .and_then(connect)
        .is_ok()
}

/// Any port but 0: a route does not depend on it.
const PROBE_PORT: u16 = 80;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether there is a route to 10.0.0.1 and to 2001:db8::1, and how many of each are left.
    #[track_caller]
    fn check(v4: bool, v6: bool, expect: (usize, usize)) {
        let found = Addresses {
            v4: Some(vec!["10.0.0.1".parse().unwrap()]),
            v6: Some(vec!["2001:db8::1".parse().unwrap()]),
        };
        let left = reachable(found, |address| if address.is_ipv4() { v4 } else { v6 });
        assert_eq!((left.v4.unwrap().len(), left.v6.unwrap().len()), expect);
    }

    #[test]
    fn a_family_without_route_is_left_out_if_the_other_has_one() {
        check(true, true, (1, 1));
        check(true, false, (1, 0));
        check(false, true, (0, 1));
        check(false, false, (1, 1));
    }

    #[test]
    fn one_family_alone_is_never_left_out() {
        let found = Addresses {
            v4: Some(vec![]),
            v6: Some(vec!["::1".parse().unwrap()]),
        };
        assert_eq!(reachable(found.clone(), |_| false), found);
        let found = Addresses {
            v4: None,
            v6: Some(vec!["::1".parse().unwrap()]),
        };
        assert_eq!(reachable(found.clone(), |_| false), found);
    }

    #[test]
    fn loopback_has_a_route() {
        assert!(has_route(Ipv4Addr::LOCALHOST.into()));
    }
}
