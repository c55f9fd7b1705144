//! What runs: etcd, control planes, instances.

use std::net::SocketAddr;
use std::time::Duration;

use ferryway_bench::Outcome;
use ferryway_bench::api::Api;
use ferryway_bench::stage::{Control, Gateway, Stage, local};
use ferryway_bench::wire::{Connection, request};
use ferryway_testkit::{Etcd, ports};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// Members of etcd, and control planes.
const COUNT: usize = 3;
/// Instances of [`FLEET`].
const INSTANCES: usize = 6;
/// The group of the one instance that changes are delivered to.
pub(crate) const ONE: &str = "one";
/// The group of the instances that are left alone by control planes.
const FLEET: &str = "fleet";
/// How long an instance may take to be with another control plane.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);
/// Between two questions: what a measured time may be too long by.
const ASK_EVERY: Duration = Duration::from_millis(2);
/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Everything that runs.
pub(crate) struct Fleet<'a> {
    stage: &'a Stage,
    instances: Vec<Gateway>,
    one: Gateway,
    /// Each with its addresses of API and delivery; none while it is not there.
    pub(crate) controls: Vec<([SocketAddr; 2], Option<Control>)>,
    etcd: Etcd,
}

/// One instance's word on which control plane it is with.
pub(crate) struct Witness {
    address: SocketAddr,
    connection: Connection,
}

impl<'a> Fleet<'a> {
    /// The control planes, and one instance in a group of its own.
    pub(crate) async fn start(stage: &'a Stage) -> Outcome<Self> {
        let etcd = Etcd::start_three();
        let mut controls = Vec::new();
        for number in 0..COUNT {
            let at = ports::free().map(local);
            let control = stage.control_beside(&data(number), &etcd.url(), at).await?;
            controls.push((at, Some(control)));
        }
        let mut api = Api::open(controls[0].0[0]).await?;
        for group in [ONE, FLEET] {
            api.create_group(group).await?;
        }
        let one = stage
            .gateway_of_several("instance", ONE, &deliveries(&controls))
            .await?;
        Ok(Self {
            stage,
            instances: Vec::new(),
            one,
            controls,
            etcd,
        })
    }

    /// The instances that will have to go elsewhere.
    pub(crate) async fn grow(&mut self) -> Outcome<()> {
        let deliveries = deliveries(&self.controls);
        for number in 0..INSTANCES {
            let data = format!("instance-{number}");
            let started = self.stage.gateway_of_several(&data, FLEET, &deliveries);
            self.instances.push(started.await?);
        }
        Ok(())
    }

    /// Starts a control plane again where it was, and waits until it is ready.
    pub(crate) async fn start_again(&mut self, number: usize) -> Outcome<()> {
        let (at, control) = &mut self.controls[number];
        *control = None;
        let (data, url) = (data(number), self.etcd.url());
        *control = Some(self.stage.control_beside(&data, &url, *at).await?);
        Ok(())
    }

    /// The number of the control plane that the one instance is with.
    pub(crate) async fn home(&self) -> Outcome<usize> {
        self.number(&Witness::of(&self.one).await?.home().await?)
    }

    /// Where each of the instances is, with its witness.
    pub(crate) async fn homes(&self) -> Outcome<Vec<(Witness, usize)>> {
        let mut homes = Vec::new();
        for instance in &self.instances {
            let mut witness = Witness::of(instance).await?;
            let home = self.number(&witness.home().await?)?;
            homes.push((witness, home));
        }
        Ok(homes)
    }

    /// What a gateway calls a control plane.
    pub(crate) fn url(&self, number: usize) -> String {
        let [_, delivery] = self.controls[number].0;
        format!("http://{delivery}")
    }

    fn number(&self, url: &str) -> Outcome<usize> {
        let number = (0..COUNT).find(|number| self.url(*number) == url);
        number.ok_or_else(|| format!("{url} is no control plane of ours").into())
    }
}

impl Witness {
    async fn of(gateway: &Gateway) -> Outcome<Self> {
        let address = gateway.status;
        let connection = Connection::open(address, ANSWER_MAX).await?;
        Ok(Self {
            address,
            connection,
        })
    }

    /// The address of the control plane that the instance is with, once it is with one.
    async fn home(&mut self) -> Outcome<String> {
        self.leaves("").await.map(|(home, _)| home)
    }

    /// Waits until the instance is with another control plane than this one; which, and when.
    pub(crate) async fn leaves(&mut self, old: &str) -> Outcome<(String, Instant)> {
        let ask = request("GET", &self.address.to_string(), "/status", "", b"");
        let end = Instant::now() + ARRIVES_WITHIN;
        while Instant::now() < end {
            let reply = self.connection.exchange(&ask).await?;
            let status: Value = serde_json::from_slice(&reply.body)?;
            let control = &status["control"];
            let home = control["address"].as_str().unwrap_or_default();
            if control["connected"] == true && home != old {
                return Ok((home.to_owned(), Instant::now()));
            }
            sleep(ASK_EVERY).await;
        }
        Err(format!("{} did not arrive within {ARRIVES_WITHIN:?}", self.address).into())
    }
}

fn data(number: usize) -> String {
    format!("control-{number}")
}

fn deliveries(controls: &[([SocketAddr; 2], Option<Control>)]) -> Vec<SocketAddr> {
    controls
        .iter()
        .map(|([_, delivery], _)| *delivery)
        .collect()
}
