//! The parts of an instance, put together.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::Path;
use std::sync::Arc;

use ferryway_delivery::{
    Agent, AgentSettings, AgentStatus, Credentials, DiskError, InstanceDisk, Opened, Origin,
};
use ferryway_discovery::{Discovery, Keep, KeepInMemory, Settings as DiscoverySettings};
use ferryway_model::Name;
use ferryway_proto::limits::LABEL_BYTES_MAX;
use ferryway_proxy::{
    Limits, LiveTable, Metrics, Prober, Settings as ProxySettings, Table, Workers,
};
use ferryway_runtime::{Clock, Random, Tasks, signals};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::installer::{CHECK_TIME_MAX, Installer, Tools};
use crate::keep::{KeepAlone, KeepOnDisk};
use crate::phase::{Phase, Phases};
use crate::settings::{Basis, Settings, whole};
use crate::status::{self, BUILD, Pages, Who};
use crate::view_file::{self, Reread};

/// A gateway instance: what runs from the start, whether clients are served or not.
#[derive(Debug)]
pub(crate) struct Instance {
    phases: Phases,
    who: Who,
    agent: watch::Receiver<AgentStatus>,
    disk: Option<Arc<InstanceDisk>>,
    installer: Installer,
    live: Arc<LiveTable>,
    metrics: Arc<Metrics>,
    proxy: ProxySettings,
}

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
        let Beginning {
            origin,
            group,
            keep,
            credentials,
        } = begin(&settings.basis, &clock, &mut random, tasks)?;
        let proxy = ProxySettings {
            trusted_proxies: settings.trusted_proxies.clone(),
            limits: Limits::default(),
            clock: clock.clone(),
        };
        let live = Arc::new(LiveTable::new(Table::empty()));
        let metrics = Metrics::new(settings.workers);
        let who = Who {
            instance: origin.identity.instance,
            group: group.clone(),
            http,
            https: settings.https,
            file: match &settings.basis {
                Basis::Control { .. } => None,
                Basis::File { file, .. } => Some(file.clone()),
            },
        };
        let tools = Tools {
            discovery: discovery(settings, keep, clock, &mut random, tasks),
            live: Arc::clone(&live),
            metrics: Arc::clone(&metrics),
            prober: Prober::start(proxy.clone(), http.port()).map_err(|error| no_thread(&error))?,
            check_time: CHECK_TIME_MAX,
        };
        let installer = Installer::start(tools, Random::seeded(random.next_u64()))
            .map_err(|error| no_thread(&error))?;
        let disk = origin.disk.clone();
        let agent = Agent::new(
            agent_settings(settings, group, http, credentials),
            origin,
            Arc::new(installer.clone()),
            random,
            tasks,
        )
        .map_err(|error| format!("--control: {}", whole(&error)))?;
        let status = agent.status();
        if let Basis::File { file, .. } = &settings.basis {
            let hangup = signals::hangup().map_err(|error| no_signals(&error))?;
            let reread = Reread {
                file: file.clone(),
                group: who.group.clone(),
                agent: agent.files(),
            };
            tasks.spawn("view file", |stop| reread.run(hangup, stop));
        }
        tasks.spawn("agent", |stop| agent.run(stop));
        Ok(Self {
            phases: Phases::new(),
            who,
            agent: status,
            disk,
            installer,
            live,
            metrics,
            proxy,
        })
    }

    /// Serves the status port.
    pub(crate) fn show(&self, listener: TcpListener, tasks: &Tasks) {
        let pages = Pages {
            who: self.who.clone(),
            phases: self.phases.clone(),
            agent: self.agent.clone(),
            disk: self.disk.clone(),
            installer: self.installer.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        status::serve(listener, Arc::new(pages), tasks);
    }

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

    /// The group that it belongs to.
    pub(crate) fn group(&self) -> &Name {
        &self.who.group
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

/// What an instance begins with.
struct Beginning {
    origin: Origin,
    group: Name,
    keep: Arc<dyn Keep>,
    credentials: Option<Credentials>,
}

fn begin(
    basis: &Basis,
    clock: &Clock,
    random: &mut Random,
    tasks: &Tasks,
) -> Result<Beginning, String> {
    let open = |dir: &Path, group: &Name, random: &mut Random| {
        InstanceDisk::open(dir, group, clock.now(), random).map_err(|error| unopened(dir, &error))
    };
    match basis {
        Basis::Control {
            control,
            group,
            data_dir,
            join_token,
        } => {
            let origin = Origin::from(open(data_dir, group, random)?);
            let is_secured = control.iter().any(|url| url.starts_with("https://"));
            let credentials = is_secured.then(|| {
                let instance = origin.identity.instance;
                let (group, token) = (group.clone(), join_token.clone());
                Credentials::open(data_dir, group, instance, token, clock.clone())
            });
            let credentials = credentials.transpose().map_err(|error| whole(&error))?;
            let keep: Arc<dyn Keep> = match &origin.disk {
                Some(disk) => Arc::new(KeepOnDisk(Arc::clone(disk))),
                None => Arc::new(KeepInMemory::default()),
            };
            Ok(Beginning {
                origin,
                group: group.clone(),
                keep,
                credentials,
            })
        }
        Basis::File {
            file,
            group,
            data_dir,
        } => {
            let export = view_file::read(file, group.as_ref())?;
            let group = export.group.clone();
            let mut origin = Origin::of_file(export, random);
            // What a control plane has sent stays on the disk as it is: the view is the file's.
            let keep: Arc<dyn Keep> = match data_dir {
                None => Arc::new(KeepInMemory::default()),
                Some(dir) => {
                    let Opened { disk, identity, .. } = open(dir, &group, random)?;
                    origin.identity = identity;
                    Arc::new(KeepAlone::start(Arc::new(disk), tasks))
                }
            };
            Ok(Beginning {
                origin,
                group,
                keep,
                credentials: None,
            })
        }
    }
}

fn discovery(
    settings: &Settings,
    keep: Arc<dyn Keep>,
    clock: Clock,
    random: &mut Random,
    tasks: &Tasks,
) -> Discovery {
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

fn agent_settings(
    settings: &Settings,
    group: Name,
    http: SocketAddr,
    credentials: Option<Credentials>,
) -> AgentSettings {
    AgentSettings {
        controls: match &settings.basis {
            Basis::Control { control, .. } => control.clone(),
            Basis::File { .. } => Vec::new(),
        },
        credentials,
        group,
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

fn no_signals(error: &io::Error) -> String {
    format!("cannot wait for signals: {error}")
}

fn unopened(dir: &Path, error: &DiskError) -> String {
    let dir = dir.display();
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
