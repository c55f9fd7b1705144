//! The parts of an instance, put together.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use ferryway_delivery::{Agent, AgentSettings, AgentStatus, DiskError, InstanceDisk, Origin};
use ferryway_discovery::{Discovery, Keep, KeepInMemory, Settings as DiscoverySettings};
use ferryway_proto::limits::LABEL_BYTES_MAX;
use ferryway_proxy::{
    Limits, LiveTable, Metrics, Prober, Settings as ProxySettings, Table, Workers,
};
use ferryway_runtime::{Clock, Random, Tasks};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::installer::{Installer, Tools};
use crate::keep::KeepOnDisk;
use crate::phase::{Phase, Phases};
use crate::settings::{Settings, whole};
use crate::status::{self, BUILD, Pages, Who};

/// A gateway instance: what runs from the start, whether clients are served or not.
#[derive(Debug)]
pub(crate) struct Instance {
    phases: Phases,
    who: Who,
    agent: watch::Receiver<AgentStatus>,
    installer: Installer,
    live: Arc<LiveTable>,
    metrics: Arc<Metrics>,
    proxy: ProxySettings,
}
    disk: Option<Arc<InstanceDisk>>,

impl Instance {
    /// Opens the instance's disk and starts what serves from it: discovery, the installer, and the
    /// agent, which offers what is on the disk at once. `http` is where clients will be served.
    ///
    /// # Errors
    ///
    /// A sentence for people.
    pub(crate) fn start(
        settings: &Settings,
        http: SocketAddr,
        tasks: &Tasks,
    ) -> Result<Self, String> {
        let clock = Clock::system();
        let mut random = Random::from_entropy();
        let origin: Origin = InstanceDisk::open(
            &settings.data_dir,
            &settings.group,
            clock.now(),
            &mut random,
        )
        .map_err(|error| unopened(settings, &error))?
        .into();
        let proxy = ProxySettings {
            trusted_proxies: settings.trusted_proxies.clone(),
            limits: Limits::default(),
            clock: clock.clone(),
        };
        let live = Arc::new(LiveTable::new(Table::empty()));
        let metrics = Metrics::new(settings.workers);
        let who = Who {
            instance: origin.identity.instance,
            group: settings.group.clone(),
            http,
            https: settings.https,
        };
        let tools = Tools {
            discovery: discovery(settings, &origin, clock, &mut random, tasks),
            live: Arc::clone(&live),
            metrics: Arc::clone(&metrics),
            prober: Prober::start(proxy.clone(), http.port()).map_err(|error| no_thread(&error))?,
        };
        let installer = Installer::start(tools, Random::seeded(random.next_u64()))
            .map_err(|error| no_thread(&error))?;
        let agent = Agent::new(
            agent_settings(settings, http),
            origin,
            Arc::new(installer.clone()),
            random,
            tasks,
        let disk = origin.disk.clone();
        )
        .map_err(|error| format!("--control: {}", whole(&error)))?;
        let status = agent.status();
        tasks.spawn("agent", |stop| agent.run(stop));
        Ok(Self {
            phases: Phases::new(),
            who,
            agent: status,
            installer,
            live,
            metrics,
            proxy,
        })
    }
            disk,

    /// Serves the status port.
    pub(crate) fn show(&self, listener: TcpListener, tasks: &Tasks) {
        let pages = Pages {
            who: self.who.clone(),
            phases: self.phases.clone(),
            agent: self.agent.clone(),
            installer: self.installer.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        status::serve(listener, Arc::new(pages), tasks);
    }

            disk: self.disk.clone(),
    /// Waits until a complete view is effective; an empty one counts.
    pub(crate) async fn effective(&self) {
        let mut agent = self.agent.clone();
        let effective = agent.wait_for(|status| status.effective.is_some());
        if effective.await.is_err() {
            // The agent has ended with the instance: nothing will ever be.
            std::future::pending().await
        }
    }

    /// Serves clients with a worker for each listener.
    pub(crate) fn serve(&self, listeners: Vec<StdListener>) -> io::Result<Workers> {
        let workers = Workers::start(&self.proxy, listeners, &self.live, &self.metrics)?;
        self.phases.enter(Phase::Serving);
        Ok(workers)
    }

    /// Where the instance is in its life.
    pub(crate) fn phases(&self) -> &Phases {
        &self.phases
    }

    /// What clients may take.
    pub(crate) fn limits(&self) -> &Limits {
        &self.proxy.limits
    }
}

fn discovery(
    settings: &Settings,
    origin: &Origin,
    clock: Clock,
    random: &mut Random,
    tasks: &Tasks,
) -> Discovery {
    let keep: Arc<dyn Keep> = match &origin.disk {
        Some(disk) => Arc::new(KeepOnDisk(Arc::clone(disk))),
        None => Arc::new(KeepInMemory::default()),
    };
    let discovery = DiscoverySettings {
        dns_servers: settings.dns_servers.clone(),
        ..DiscoverySettings::default()
    };
    Discovery::new(
        discovery,
        keep,
        tasks,
        clock,
        Random::seeded(random.next_u64()),
    )
}

fn agent_settings(settings: &Settings, http: SocketAddr) -> AgentSettings {
    AgentSettings {
        controls: settings.control.clone(),
        group: settings.group.clone(),
        build: BUILD.to_owned(),
        hostname: hostname(),
        addresses: vec![http.to_string()],
    }
}

/// The name of the host, as far as a hello takes it.
fn hostname() -> String {
    let mut name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    name.truncate(name.floor_char_boundary(LABEL_BYTES_MAX));
    name
}

fn unopened(settings: &Settings, error: &DiskError) -> String {
    let dir = settings.data_dir.display();
    let why = whole(error);
    let hint = match error {
        DiskError::Busy { .. } | DiskError::OtherGroup { .. } => return why,
        DiskError::Io { .. } => "make it writable, or choose another folder",
        DiskError::Damaged { .. } => "choose another folder",
    };
    format!("cannot use --data-dir {dir}: {why}; {hint}")
}

fn no_thread(error: &io::Error) -> String {
    format!("cannot start a thread: {error}")
}
