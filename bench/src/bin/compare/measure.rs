//! Rounds: each proxy in turn, again and again.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ferryway_bench::Outcome;
use ferryway_bench::cpu::{Company, Watch};
use ferryway_testkit::ports;
use tempfile::TempDir;

use crate::case::{Case, FILES};
use crate::contender::{Contender, Ferryway};
use crate::load::{Sent, load};
use crate::server::Server;
use crate::{Name, Options, conf};

/// What all cases share: the upstream, and a folder for everybody's files.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    options: &'a Options,
    ferryway: Ferryway,
    /// Before the folder: dropped, and so ended, while its files are still there.
    upstream: Server,
    folder: TempDir,
}

/// One proxy's rounds.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) name: String,
    /// Whether it is what the others are compared with.
    pub(crate) peer: bool,
    pub(crate) rounds: Vec<Round>,
}

/// One proxy under load once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// Of the proxy, per request.
    pub(crate) cpu: Duration,
    /// Of the control plane, per request, where there is one.
    pub(crate) beside: Duration,
    /// Requests per second.
    pub(crate) rate: f64,
    /// What the machine did for others meanwhile.
    pub(crate) company: Company,
}

impl<'a> Bench<'a> {
    /// Starts the upstream.
    pub(crate) async fn new(options: &'a Options, ferryway: Ferryway) -> Outcome<Self> {
        let folder = TempDir::new()?;
        let files = folder.path().join("files");
        fs::create_dir(&files)?;
        for (name, bytes) in FILES {
            fs::write(files.join(name), "x".repeat(bytes))?;
        }
        let address = free();
        let conf = conf::upstream(address, &files);
        let mut upstream = Server::nginx(LOAD_CORE, "upstream", folder.path(), &conf, address)?;
        upstream.answers("/1k").await?;
        Ok(Self {
            options,
            ferryway,
            upstream,
            folder,
        })
    }

    /// Starts all proxies, warms them up, and measures them in turn.
    pub(crate) async fn run(&self, case: &Case) -> Outcome<Vec<Figures>> {
        let contenders = self.start(case).await?;
        let mut figures: Vec<Figures> = Vec::new();
        for (peer, contender) in &contenders {
            self.load(case, contender, WARM_UP_SECONDS)?;
            figures.push(Figures {
                name: contender.name.clone(),
                peer: *peer,
                rounds: Vec::new(),
            });
        }
        for round in 1..=self.options.rounds {
            eprintln!("{}: round {round} of {}", case.name, self.options.rounds);
            for ((_, contender), figures) in contenders.iter().zip(&mut figures) {
                figures.rounds.push(self.round(case, contender)?);
            }
        }
        Ok(figures)
    }

    /// All that are wanted, and whether each is a peer.
    async fn start(&self, case: &Case) -> Outcome<Vec<(bool, Contender)>> {
        let (options, folder) = (self.options, self.folder.path());
        let upstream = self.upstream.address;
        let mut contenders = Vec::new();
        if options.wants(Name::Nginx) {
            let address = free();
            let conf = conf::nginx_proxy(address, upstream, options.peer_headers);
            let server = Server::nginx(PROXY_CORE, "nginx", folder, &conf, address)?;
            contenders.push((true, Contender::of(server, "nginx", case).await?));
        }
        if options.wants(Name::Haproxy) {
            let address = free();
            let conf = conf::haproxy(address, upstream, options.peer_headers);
            let server = Server::haproxy(PROXY_CORE, folder, &conf, address)?;
            contenders.push((true, Contender::of(server, "haproxy", case).await?));
        }
        if options.wants(Name::Ferryway) {
            let contender = self.ferryway.start(case, upstream).await?;
            contenders.push((false, contender));
        }
        Ok(contenders)
    }

    fn round(&self, case: &Case, contender: &Contender) -> Outcome<Round> {
        let watch = Watch::start()?;
        let (own, beside) = (contender.tree(), contender.tree_beside());
        let sent = self.load(case, contender, self.options.seconds)?;
        let own = contender.tree().since(&own);
        let beside = contender.tree_beside().since(&beside);
        let company = watch.end()?;
        let each = |time: Duration| time.div_f64(sent.requests as f64);
        Ok(Round {
            cpu: each(own),
            beside: each(beside),
            rate: sent.rate,
            company,
        })
    }

    fn load(&self, case: &Case, to: &Contender, seconds: u32) -> Outcome<Sent> {
        let folder: &Path = self.folder.path();
        let connections = self.options.connections;
        load(LOAD_CORE, folder, case, to.address, connections, seconds)
    }
}

fn free() -> SocketAddr {
    let [port] = ports::free();
    ([127, 0, 0, 1], port).into()
}

/// Where the proxies are.
pub(crate) const PROXY_CORE: usize = 0;
/// Where everything else is: the load, its upstream, the control plane.
pub(crate) const LOAD_CORE: usize = 1;
/// How long each proxy is under load before the first round.
const WARM_UP_SECONDS: u32 = 1;
