//! A control plane and its gateway groups.

use std::net::SocketAddr;

use serde_json::json;

use crate::api::Api;
use crate::control::Control;
use crate::etcd::Etcd;
use crate::eventually::START_TIME_MAX;
use crate::gateway::{Gateway, GatewayOptions};

/// A running control plane with gateway groups, each with running instances.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: gateways first, so that their last words are not about a lost control
    // plane.
    gateways: Vec<(String, Gateway)>,
    control: Control,
    etcd: Option<Etcd>,
}

impl Cluster {
    /// Begins to describe one.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder {
            groups: Vec::new(),
            dns_servers: Vec::new(),
            is_on_etcd: false,
        }
    }

    /// The admin API.
    pub fn api(&self) -> Api {
        self.control.api()
    }

    /// The control plane.
    pub fn control(&mut self) -> &mut Control {
        &mut self.control
    }

    /// The etcd that the control plane's store is in.
    ///
    /// # Panics
    ///
    /// When it isn't in one.
    #[track_caller]
    pub fn etcd(&mut self) -> &mut Etcd {
        self.etcd.as_mut().expect("the cluster is on etcd")
    }

    /// The first instance of a group.
    #[track_caller]
    pub fn gateway(&self, group: &str) -> &Gateway {
        self.gateways
            .iter()
            .find_map(|(own, gateway)| (own == group).then_some(gateway))
            .unwrap_or_else(|| panic!("the cluster has no instance in group {group}"))
    }

    /// All instances of a group, to stop, kill and start them again.
    pub fn gateways(&mut self, group: &str) -> impl Iterator<Item = &mut Gateway> {
        self.gateways
            .iter_mut()
            .filter(move |(own, _)| own == group)
            .map(|(_, gateway)| gateway)
    }
}

/// What a [`Cluster`] is to have.
#[derive(Clone, Debug)]
pub struct ClusterBuilder {
    groups: Vec<(String, usize)>,
    dns_servers: Vec<SocketAddr>,
    is_on_etcd: bool,
}

impl ClusterBuilder {
    /// A gateway group with so many instances.
    #[must_use]
    pub fn group(mut self, name: &str, instances: usize) -> Self {
        self.groups.push((name.to_owned(), instances));
        self
    }

    /// A DNS server that all instances ask; several are asked in this order.
    #[must_use]
    pub fn dns_server(mut self, address: SocketAddr) -> Self {
        self.dns_servers.push(address);
        self
    }

    /// The control plane's store is an etcd of its own.
    #[must_use]
    pub fn on_etcd(mut self, is_on_etcd: bool) -> Self {
        self.is_on_etcd = is_on_etcd;
        self
    }

    /// Starts everything and waits until each instance serves its group's (empty) view.
    ///
    /// # Panics
    ///
    /// When a program does not come up, or a group is refused.
    #[track_caller]
    pub fn start(self) -> Cluster {
        let etcd = self.is_on_etcd.then(Etcd::start);
        let control = match &etcd {
            None => Control::start(),
            Some(etcd) => Control::start_with(&["--store", &etcd.url()]),
        };
        let mut gateways = Vec::new();
        for (group, instances) in &self.groups {
            control
                .api()
                .post("/gateway-groups", &json!({"name": group}))
                .json_of(201);
            for _ in 0..*instances {
                let gateway = Gateway::start(GatewayOptions {
                    control: control.delivery_url(),
                    group: group.clone(),
                    dns_servers: self.dns_servers.clone(),
                    further: Vec::new(),
                });
                gateways.push((group.clone(), gateway));
            }
        }
        for (_, gateway) in &mut gateways {
            gateway.wait_ready(START_TIME_MAX);
        }
        Cluster {
            gateways,
            control,
            etcd,
        }
    }
}
