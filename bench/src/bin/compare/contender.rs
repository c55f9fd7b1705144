//! Who is measured: nginx, haproxy, and Ferryway as one of several things.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ferryway_bench::api::Api;
use ferryway_bench::cpu::{self, Tree};
use ferryway_bench::stage::{Control, Gateway, Stage};
use ferryway_bench::{Outcome, content};
use serde_json::json;

use crate::case::Case;
use crate::measure::{LOAD_CORE, PROXY_CORE};
use crate::server::{Server, answers};

/// What stands for Ferryway.
#[derive(Debug)]
pub(crate) enum Ferryway {
    /// A gateway instance, with the control plane that it has its services from.
    Gateway(Stage),
    /// Another program: its name, and the command with its places to be filled.
    Command(String, String),
}

/// A proxy that runs.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    running: Running,
}

#[derive(Debug)]
enum Running {
    Server(Server),
    Gateway { gateway: Gateway, control: Control },
}

impl Ferryway {
    /// The data plane alone, which lies in `programs` or beside this program.
    pub(crate) fn bare(programs: Option<&Path>) -> Outcome<Self> {
        let beside = std::env::current_exe()?;
        let program = programs.map_or_else(
            || beside.with_file_name(BARE),
            |folder| -> PathBuf { folder.join(BARE) },
        );
        if !program.is_file() {
            let why = format!("no {}: run `cargo xtask bench`", program.display());
            return Err(why.into());
        }
        let command = format!("{} {{listen}} {{upstream}} {{routes}} 1", program.display());
        Ok(Self::Command(BARE.to_owned(), command))
    }

    /// Any command.
    pub(crate) fn command(command: &str) -> Outcome<Self> {
        let program = command.split_whitespace().next();
        let program = program.and_then(|program| Path::new(program).file_name());
        let name = program.ok_or("--proxy names no program")?.to_string_lossy();
        Ok(Self::Command(name.into_owned(), command.to_owned()))
    }

    /// The name of the program that is measured.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Gateway(_) => "ferryway-gateway",
            Self::Command(name, _) => name,
        }
    }

    /// Starts it for a case, and waits until it answers.
    pub(crate) async fn start(&self, case: &Case, upstream: SocketAddr) -> Outcome<Contender> {
        match self {
            Self::Gateway(stage) => {
                let running = gateway(stage, case, upstream).await?;
                let address = running.0.http;
                if !answers(address, case.path).await {
                    let why = format!("the gateway is ready and does not answer {}", case.path);
                    return Err(why.into());
                }
                let (gateway, control) = running;
                Ok(Contender {
                    name: self.name().to_owned(),
                    address,
                    running: Running::Gateway { gateway, control },
                })
            }
            Self::Command(name, command) => {
                let [port] = ferryway_testkit::ports::free();
                let listen = SocketAddr::from(([127, 0, 0, 1], port));
                let command = command
                    .replace("{listen}", &listen.to_string())
                    .replace("{upstream}", &upstream.to_string())
                    .replace("{routes}", &case.routes.to_string());
                let mut words = command.split_whitespace();
                let program = words.next().ok_or("--proxy names no program")?;
                let mut command = cpu::pinned(PROXY_CORE, program);
                command.args(words);
                Contender::of(Server::start(name, command, listen), name, case).await
            }
        }
    }
}

impl Contender {
    /// A server, once it answers.
    pub(crate) async fn of(mut server: Server, name: &str, case: &Case) -> Outcome<Self> {
        server.answers(case.path).await?;
        Ok(Self {
            name: name.to_owned(),
            address: server.address,
            running: Running::Server(server),
        })
    }

    /// What is counted of it.
    pub(crate) fn tree(&self) -> Tree {
        Tree::of(match &self.running {
            Running::Server(server) => server.id(),
            Running::Gateway { gateway, .. } => gateway.id(),
        })
    }

    /// What is needed beside it and is not counted.
    pub(crate) fn tree_beside(&self) -> Tree {
        match &self.running {
            Running::Server(_) => Tree::default(),
            Running::Gateway { control, .. } => Tree::of(control.id()),
        }
    }
}

/// A control plane that has published the case's services, and an instance that has taken them.
async fn gateway(stage: &Stage, case: &Case, upstream: SocketAddr) -> Outcome<(Gateway, Control)> {
    let data = |what: &str| format!("{}-{what}", case.name);
    let control = stage.control_on(LOAD_CORE, &data("control")).await?;
    let mut api = Api::open(control.api).await?;
    api.create_group(GROUP).await?;
    let groups = json!([{"group": GROUP, "binding": content::binding(upstream)}]);
    for (service, definition) in content::catch_all(case.routes).enumerate() {
        api.create_service(&definition).await?;
        let name = content::name(service);
        api.publish(&name, "1.0.0", &groups).await?;
    }
    let gateway = stage
        .gateway_on(PROXY_CORE, &data("gateway"), GROUP, control.delivery)
        .await?;
    Ok((gateway, control))
}

const BARE: &str = "bare_proxy";
/// The group that everything is published to.
const GROUP: &str = "bench";
