//! Three members of etcd, three control planes, three instances.

use std::net::SocketAddr;
use std::time::Duration;

use ferryway_testkit::{
    Control, Deadline, Etcd, Gateway, GatewayOptions, START_TIME_MAX, Signal, eventually,
};
use serde_json::{Value, json};

use super::pressure::Pressure;
use crate::calls::{define, nodes, publish, service, succeeded};
use crate::site::make_group;
use crate::upstream::Upstream;

/// Of members, of control planes and of instances.
pub(super) const COUNT: usize = 3;
/// The group of all instances.
pub(super) const GROUP: &str = "test";
/// The path at which every instance answers.
pub(super) const PATH: &str = "/steady";

pub(super) struct Fleet {
    // Dropped in this order, so that last words are not about what was stopped before.
    pub(super) gateways: Vec<Gateway>,
    pub(super) controls: Vec<Control>,
    pub(super) etcd: Etcd,
    pub(super) upstream: Upstream,
}

impl Fleet {
    /// Everything runs, and the instances serve one service.
    #[track_caller]
    pub(super) fn start() -> Self {
        let etcd = Etcd::start_three();
        let controls: Vec<_> = (0..COUNT).map(|n| control(&etcd, n)).collect();
        let upstream = Upstream::start();
        let api = controls[0].api();
        make_group(&api, GROUP);
        define(&api, &service("steady", &[("all", PATH)]));
        let binding = nodes(&[upstream.address()]);
        let published = publish(&api, "steady", "1.0", &[(GROUP, Some(&binding))]);
        succeeded(&published);
        let further = controls[1..].iter();
        let further = further.flat_map(|it| ["--control".to_owned(), it.delivery_url()]);
        let options = GatewayOptions {
            control: controls[0].delivery_url(),
            group: GROUP.to_owned(),
            dns_servers: Vec::new(),
            further: further.collect(),
        };
        let gateways = (0..COUNT).map(|_| Gateway::start(options.clone()));
        let mut gateways: Vec<_> = gateways.collect();
        for gateway in &mut gateways {
            gateway.wait_ready(START_TIME_MAX);
        }
        let fleet = Self {
            gateways,
            controls,
            etcd,
            upstream,
        };
        fleet.agree(&[0, 1, 2], START_TIME_MAX);
        fleet
    }

    /// Where the control planes' APIs are.
    pub(super) fn apis(&self) -> Vec<SocketAddr> {
        self.controls.iter().map(address).collect()
    }

    /// Kills one control plane and stops another with the member of etcd that it follows; then, with
    /// that back and compacted, stops the member that the last control plane follows; and heals it
    /// all. How long that takes to be everywhere.
    #[track_caller]
    pub(super) fn lose(&mut self, round: usize, pressure: &Pressure) -> Duration {
        let [killed, stopped, left] = [0, 1, 2].map(|n| (round + n) % COUNT);
        self.controls[killed].program().kill();
        self.controls[stopped].program().signal(Signal::STOP);
        self.etcd.program(stopped).kill();
        pressure.goes_on();
        self.etcd.start_again(stopped);
        // What the one that is stopped has not been told yet is gone for ever.
        self.etcd
            .ctl(&["compact", &self.etcd.revision().to_string()]);

        self.etcd.freeze(left, true);
        pressure.goes_on();
        self.etcd.freeze(left, false);
        self.etcd.move_leader(killed);
        pressure.goes_on();

        let _quiet = pressure.pause();
        self.agree(&[left], FAILED_OVER_WITHIN);
        let healed = Deadline::after(HEALED_WITHIN);
        self.controls[stopped].program().signal(Signal::CONT);
        self.controls[killed].start_again();
        self.agree(&[0, 1, 2], healed.left());
        HEALED_WITHIN - healed.left()
    }

    /// Waits until these control planes say the same of the group, every instance is online and
    /// converged there, and serves that.
    #[track_caller]
    pub(super) fn agree(&self, planes: &[usize], within: Duration) {
        let instances = json!({"online": COUNT, "offline": 0, "converged": COUNT});
        let mut said = Vec::new();
        let agree = || {
            said = self.said(planes);
            let first = &said[0];
            let same = said.iter().all(|it| it == first) && first["instances"] == instances;
            let effective = self
                .gateways
                .iter()
                .map(|it| it.status()["effective"].take());
            let mut effective = effective.map(|it| it["revision"].clone());
            (same && effective.all(|it| it == first["revision"])).then_some(())
        };
        eventually(within, &format!("{planes:?} agree on all instances"), agree);
    }

    fn said(&self, planes: &[usize]) -> Vec<Value> {
        let path = format!("/gateway-groups/{GROUP}");
        let said = planes.iter().map(|n| {
            let mut group = self.controls[*n].api().get(&path).json_of(200);
            json!({
                "revision": group["revision"].take(),
                "root": group["root"].take(),
                "instances": group["instances"].take(),
            })
        });
        said.collect()
    }
}

/// Silence is noticed within 5 s, the way elsewhere takes up to another one; the rest is a busy
/// machine's.
const FAILED_OVER_WITHIN: Duration = Duration::from_secs(15);
/// What was promised.
const HEALED_WITHIN: Duration = Duration::from_secs(5);

/// A control plane that asks this member of etcd first.
fn control(etcd: &Etcd, first: usize) -> Control {
    let members: Vec<_> = (0..COUNT)
        .map(|n| etcd.member((first + n) % COUNT))
        .collect();
    Control::start_with(&["--store", &format!("etcd://{}", members.join(","))])
}

/// Where a control plane's API is.
pub(super) fn address(control: &Control) -> SocketAddr {
    let origin = control.origin();
    let address = origin.trim_start_matches("http://");
    address.parse().expect("it is an address")
}
