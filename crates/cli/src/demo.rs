//! `ferryway demo`: a control plane and two gateway groups on this machine, and a tour of them.
//!
//! The two other programs are started as anyone would start them, on loopback and in a temporary
//! folder. The outside world is played by the sandbox: an upstream, and a DNS server that calls it
//! `httpbin.org`. The tour types commands of this very program and shows what they say, and asks
//! the gateways what a client would ask them.

mod fetch;
mod ports;
mod program;
mod stage;
mod tour;

use std::convert::Infallible;

use ferryway_runtime::signals::{self, Hangup, Shutdown};

use crate::args::Demo;
use crate::exit::{Exit, Failure};
use crate::screen::Screen;
use ports::Ports;
use stage::Stage;

/// Runs until somebody ends it, or one of the programs dies.
pub(crate) async fn run(demo: Demo, screen: Screen) -> Result<Exit, Failure> {
    let ports = match demo.ports_from {
        Some(first) => Ports::from(first)?,
        None => Ports::USUAL,
    };
    ports.check()?;
    let mut signals = Signals::listen()?;
    let mut stage = Stage::empty(ports)?;
    let played = tokio::select! {
        () = signals.end() => Ok(()),
        ended = play(&mut stage, screen) => ended.map(|never| match never {}),
    };
    // What a dead program has to say explains every other failure.
    let played = match (played, stage.dead()) {
        (Err(_), Some(death)) => Err(death),
        (played, _) => played,
    };
    if played.is_ok() {
        screen.line("\nending everything")?;
    }
    tokio::select! {
        () = stage.end() => {}
        // A second Ctrl-C means now; dropping the stage kills what is left.
        () = signals.end() => {}
    }
    played.map(|()| Exit::Done)
}

async fn play(stage: &mut Stage, screen: Screen) -> Result<Infallible, Failure> {
    screen.line("starting a control plane and two gateway groups")?;
    stage.start().await?;
    screen.print(&stage.ports().text())?;
    tour::show(stage, screen).await?;
    Err(stage.death().await)
}

/// What ends the demo: Ctrl-C, a supervisor, or a terminal that was closed.
struct Signals {
    shutdown: Shutdown,
    hangup: Hangup,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = || Ok((signals::shutdown()?, signals::hangup()?));
        let (shutdown, hangup) = listen().map_err(Failure::local("cannot listen for signals"))?;
        Ok(Self { shutdown, hangup })
    }

    async fn end(&mut self) {
        tokio::select! {
            _ = self.shutdown.requested() => {}
            () = self.hangup.next() => {}
        }
    }
}
