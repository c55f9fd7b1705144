//! Everything that the demo runs, and its end.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ferryway_runtime::Tasks;
use ferryway_sandbox::dns::{DnsServer, Record};
use ferryway_sandbox::upstream::Upstream;
use futures_util::future::select_all;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::fetch;
use super::ports::{GatewayPorts, Ports, address};
use super::program::Program;
use crate::exit::Failure;

/// The control plane, the gateways, and the outside world.
#[derive(Debug)]
pub(super) struct Stage {
    ports: Ports,
    /// Gateways first: they end first, so that their last words are not about a lost control plane.
    programs: Vec<Program>,
    tasks: Tasks,
    folder: TempDir,
}

impl Stage {
    /// Nothing runs yet.
    pub(super) fn empty(ports: Ports) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("ferryway-demo-")
            .tempdir()
            .map_err(Failure::local("cannot make a folder for the demo's data"))?;
        Ok(Self {
            ports,
            programs: Vec::new(),
            tasks: Tasks::new("demo"),
            folder,
        })
    }

    /// Starts everything but what needs the groups to be there: see [`Self::start_gateways`].
    pub(super) async fn start(&mut self) -> Result<(), Failure> {
        let control = beside_own("ferryway-control")?;
        beside_own("ferryway-gateway")?;
        self.start_outside_world().await?;
        let args = [
            "--dev".to_owned(),
            format!("--api={}", address(self.ports.api)),
            format!("--delivery={}", address(self.ports.delivery)),
            format!("--data-dir={}", self.data("control")),
        ];
        self.programs.push(Program::start(
            "ferryway-control",
            &control,
            &args,
            self.folder(),
        )?);
        self.ready(address(self.ports.api), "the control plane")
            .await
    }

    /// Starts the gateways of both groups, which must be there, and waits until they serve.
    pub(super) async fn start_gateways(&mut self) -> Result<(), Failure> {
        let Ports {
            test, production, ..
        } = self.ports;
        for (group, ports) in [("test", test), ("production", production)] {
            let gateway = self.start_gateway(group, ports)?;
            self.programs.insert(0, gateway);
        }
        for ports in [test, production] {
            self.ready(address(ports.status), "a gateway").await?;
        }
        Ok(())
    }

    /// The ports, all of them known once [`Self::start`] is done.
    pub(super) fn ports(&self) -> Ports {
        self.ports
    }

    /// The folder with all data and logs; it goes with the demo.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until one of the programs dies, which none should.
    pub(super) async fn death(&mut self) -> Failure {
        let deaths = self
            .programs
            .iter_mut()
            .map(|program| Box::pin(program.death()));
        select_all(deaths).await.0
    }

    /// A program that has died, if one has.
    pub(super) fn dead(&mut self) -> Option<Failure> {
        self.programs.iter_mut().find_map(Program::dead)
    }

    /// Ends everything: first the gateways, then the control plane, then the outside world.
    pub(super) async fn end(&mut self) {
        let control = self.programs.pop();
        for gateway in &self.programs {
            gateway.terminate();
        }
        for mut gateway in self.programs.drain(..) {
            gateway.gone().await;
        }
        if let Some(mut control) = control {
            control.terminate();
            control.gone().await;
        }
        self.tasks.stop(TASKS_END_TIME_MAX).await;
    }

    async fn start_outside_world(&mut self) -> Result<(), Failure> {
        let upstream = Upstream::start(address(self.ports.upstream), &self.tasks)
            .await
            .map_err(Failure::local("cannot start the upstream"))?
            .address();
        let dns = DnsServer::start(address(self.ports.dns), &self.tasks)
            .await
            .map_err(Failure::local("cannot start the DNS server"))?;
        call_it_httpbin(&dns, upstream)
            .map_err(Failure::local("cannot give the upstream its name"))?;
        self.ports.upstream = upstream.port();
        self.ports.dns = dns.address().port();
        Ok(())
    }

    fn start_gateway(&self, group: &str, ports: GatewayPorts) -> Result<Program, Failure> {
        let binary = beside_own("ferryway-gateway")?;
        let name = format!("ferryway-gateway-{group}");
        let args = [
            format!("--control=http://{}", address(self.ports.delivery)),
            format!("--group={group}"),
            format!("--data-dir={}", self.data(&name)),
            format!("--http={}", address(ports.http)),
            format!("--https={}", address(ports.https)),
            format!("--status={}", address(ports.status)),
            format!("--dns-server={}", address(self.ports.dns)),
            // Nobody balances load over the demo's gateways, so nobody has to notice their end.
            "--drain-delay=0s".to_owned(),
        ];
        Program::start(&name, &binary, &args, self.folder())
    }

    /// Waits until `/readyz` says 200, as long as all programs live.
    async fn ready(&mut self, at: SocketAddr, what: &str) -> Result<(), Failure> {
        let deadline = Instant::now() + START_TIME_MAX;
        loop {
            if let Some(death) = self.dead() {
                return Err(death);
            }
            let answer = fetch::get(at, "/readyz").await;
            if answer.as_ref().is_ok_and(|answer| answer.status() == 200) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let last = answer.map_or_else(
                    |error| error.to_string(),
                    |answer| {
                        format!(
                            "{} {}",
                            answer.status(),
                            String::from_utf8_lossy(answer.body())
                        )
                    },
                );
                return Err(Failure::Other(format!(
                    "{what} is not ready after {} s: http://{at}/readyz: {last}",
                    START_TIME_MAX.as_secs(),
                )));
            }
            sleep(PAUSE).await;
        }
    }

    fn data(&self, of: &str) -> String {
        self.folder().join(of).display().to_string()
    }
}

/// `httpbin.org` is where the upstream is; and so says a service registry, with the port.
fn call_it_httpbin(dns: &DnsServer, upstream: SocketAddr) -> io::Result<()> {
    let address = match upstream.ip() {
        IpAddr::V4(address) => Record::A {
            ttl: TTL_S,
            address,
        },
        IpAddr::V6(address) => Record::Aaaa {
            ttl: TTL_S,
            address,
        },
    };
    let service = Record::Srv {
        ttl: TTL_S,
        priority: 0,
        weight: 100,
        port: upstream.port(),
        target: UPSTREAM.to_owned(),
    };
    dns.set(UPSTREAM, vec![address]).map_err(io::Error::other)?;
    dns.set(&format!("{SRV_SERVICE}.{SRV_NAMESPACE}"), vec![service])
        .map_err(io::Error::other)
}

/// The path of another program of Ferryway, which lies beside this one.
fn beside_own(name: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()
        .map_err(Failure::local("cannot find out where this program lies"))?;
    let path = own.with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::Other(format!(
        "{} is not there: the demo needs all three programs in one folder, as `cargo xtask demo` \
         builds them",
        path.display()
    )))
}

/// The name that the upstream has in this demo.
pub(super) const UPSTREAM: &str = "httpbin.org";
/// The upstream as a service in DNS.
pub(super) const SRV_SERVICE: &str = "_httpbin._tcp";
/// The domain that the service is in.
pub(super) const SRV_NAMESPACE: &str = "svc.example";

/// How long a DNS record of the demo may be remembered, in seconds.
const TTL_S: u32 = 5;
/// How long a program may take to be ready.
const START_TIME_MAX: Duration = Duration::from_secs(30);
/// Between two looks whether it is.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the upstream and the DNS server may take to end.
const TASKS_END_TIME_MAX: Duration = Duration::from_secs(3);
