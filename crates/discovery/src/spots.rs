//! Where endpoints are expected: what nodes and SRV records have in common.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferryway_model::{DnsQuery, HostName, Node, NodeHost};

use crate::answer::Service;
use crate::target::Target;

/// A host, not yet resolved, and what its endpoints will have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) host: NodeHost,
    pub(crate) name: Arc<str>,
    pub(crate) port: u16,
    pub(crate) weight: u16,
    pub(crate) priority: i32,
}

impl Spot {
    fn new(host: NodeHost, port: u16, weight: u16, priority: i32) -> Self {
        let name = match &host {
            NodeHost::Name(name) => name.as_str().into(),
            NodeHost::V4(address) => address.to_string().into(),
            NodeHost::V6(address) => format!("[{address}]").into(),
        };
        Self {
            host,
            name,
            port,
            weight,
            priority,
        }
    }
}

/// The spots that are fixed, and the service whose answers give the others.
pub(crate) fn spots_of_target(target: &Target) -> (Vec<Spot>, Option<HostName>) {
    match target {
        Target::Nodes {
            nodes,
            default_port,
        } => {
            let spot = |node: &Node| {
                let Node {
                    host,
                    port,
                    weight,
                    priority,
                } = node;
                Spot::new(
                    host.clone(),
                    port.unwrap_or(*default_port),
                    *weight,
                    *priority,
                )
            };
            (nodes.iter().map(spot).collect(), None)
        }
        Target::Dns {
            query: DnsQuery::Address { name, port },
            default_port,
            ..
        } => {
            // An address in place of a name needs no asking.
            let host = name
                .as_str()
                .parse()
                .unwrap_or_else(|_| NodeHost::Name(name.clone()));
            (
                vec![Spot::new(
                    host,
                    port.unwrap_or(*default_port),
                    WEIGHT_DEFAULT,
                    0,
                )],
                None,
            )
        }
        Target::Dns {
            query: DnsQuery::Service { name },
            ..
        } => (Vec::new(), Some(name.clone())),
    }
}

/// The spots that SRV records name.
///
/// SRV counts priorities downwards. Its weight 0 means "hardly ever" (RFC 2782), which is 1 here,
/// as 0 means "never"; where all of one priority have 0, they are meant to be equal.
pub(crate) fn spots_of_services(services: &[Service]) -> Vec<Spot> {
    let mut heaviest = BTreeMap::<u16, u16>::new();
    for service in services {
        let heaviest = heaviest.entry(service.priority).or_default();
        *heaviest = service.weight.max(*heaviest);
    }
    let spot = |service: &Service| {
        let Service {
            target,
            port,
            priority,
            weight,
        } = service;
        let weight = match heaviest.get(priority) {
            None | Some(0) => WEIGHT_DEFAULT,
            Some(_) => (*weight).max(1),
        };
        Spot::new(
            NodeHost::Name(target.clone()),
            *port,
            weight,
            -i32::from(*priority),
        )
    };
    services.iter().map(spot).collect()
}

/// The weight of what no weight is given for.
const WEIGHT_DEFAULT: u16 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    /// `TARGET PRIORITY WEIGHT PORT`, and `NAME:PORT*WEIGHT@PRIORITY`.
    #[track_caller]
    fn check(services: &str, expect: &str) {
        let services: Vec<_> = services
            .split(", ")
            .map(|service| {
                let parts: Vec<_> = service.split(' ').collect();
                Service {
                    target: parts[0].parse().unwrap(),
                    priority: parts[1].parse().unwrap(),
                    weight: parts[2].parse().unwrap(),
                    port: parts[3].parse().unwrap(),
                }
            })
            .collect();
        let show = |it: Spot| format!("{}:{}*{}@{}", it.name, it.port, it.weight, it.priority);
        let spots: Vec<_> = spots_of_services(&services).into_iter().map(show).collect();
        assert_eq!(spots.join(", "), expect);
    }

    #[test]
    fn priorities_turn_round_and_ports_come_along() {
        check("a 10 5 80, b 65535 7 8080", "a:80*5@-10, b:8080*7@-65535");
    }

    #[test]
    fn weight_zero_is_small_unless_all_are_zero() {
        check("a 1 0 80, b 1 9 80", "a:80*1@-1, b:80*9@-1");
        check(
            "a 1 0 80, b 1 0 80, c 2 5 80",
            "a:80*100@-1, b:80*100@-1, c:80*5@-2",
        );
    }

    #[test]
    fn an_ipv6_address_is_named_as_a_host() {
        let nodes = vec![Node {
            host: NodeHost::V6(std::net::Ipv6Addr::LOCALHOST),
            port: None,
            weight: 1,
            priority: 0,
        }];
        let (spots, service) = spots_of_target(&Target::Nodes {
            nodes,
            default_port: 80,
        });
        assert_eq!(
            (&*spots[0].name, spots[0].port, service),
            ("[::1]", 80, None)
        );
    }
}
