//! The gateway as a program: the parts put together, started and stopped.
//!
//! The order of the start: the signals, so that the end is polite from the first moment on; the
//! sockets, so that a busy port is said before anything is written; the instance's disk; the status
//! port, which answers from here on; the agent, which offers what is on disk at once and dials the
//! control plane beside that; and, when a complete view is effective, the clients' port.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ferryway_proxy::Workers;
use ferryway_runtime::{Tasks, signals, telemetry};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use crate::drain::drain;
use crate::hangup;
use crate::instance::Instance;
use crate::phase::Phase;
use crate::settings::{Asked, Basis, Settings, whole};
use crate::sockets::Reserved;
use crate::view_file;

/// Threads for all that isn't traffic.
const CONTROL_THREADS: usize = 2;
/// How long tasks get to end after the last client.
const GRACE: Duration = Duration::from_secs(10);
/// How long what still blocks a thread is waited for at the very end.
const LAST_GRACE: Duration = Duration::from_secs(1);

/// Runs a gateway until it is told to stop. `read_again` reads the settings as they are by then.
///
/// # Errors
///
/// A sentence for people: what could not be done, on which thing, what to do.
pub fn run(
    settings: &Settings,
    read_again: impl Fn() -> Result<Asked, String> + Send + Sync + 'static,
) -> Result<(), String> {
    let log = telemetry::init(&settings.log_level).map_err(|error| whole(&error))?;
    if settings.check {
        return match &settings.basis {
            Basis::Control { .. } => Ok(()),
            Basis::File { file, group, .. } => view_file::read(file, group.as_ref()).map(drop),
        };
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start threads: {error}"))?;
    let ended = runtime.block_on(async {
        let no_signals = |error| format!("cannot wait for signals: {error}");
        let shutdown = signals::shutdown().map_err(no_signals)?;
        let hangup = signals::hangup().map_err(no_signals)?;
        let tasks = Tasks::new("gateway");
        tasks.spawn("hangup", |stop| hangup::run(hangup, log, read_again, stop));
        serve(settings, shutdown, &tasks).await
    });
    runtime.shutdown_timeout(LAST_GRACE);
    ended
}

async fn serve(
    settings: &Settings,
    mut shutdown: signals::Shutdown,
    tasks: &Tasks,
) -> Result<(), String> {
    let clients = Reserved::bind(settings.http, settings.workers)
        .map_err(|error| unbound(settings.http, "--http", &error))?;
    let status = TcpListener::bind(settings.status)
        .await
        .map_err(|error| unbound(settings.status, "--status", &error))?;
    let instance = Instance::start(settings, clients.address(), tasks)?;
    instance.show(status, tasks);
    tracing::info!(
        group = %instance.group(),
        status = %settings.status,
        "started"
    );
    let cause = tokio::select! {
        () = instance.effective() => None,
        cause = shutdown.requested() => Some(cause),
    };
    if let Some(cause) = cause {
        tracing::info!(%cause, "stopping before any client was served");
        instance.phases().enter(Phase::Draining);
    } else {
        let address = clients.address();
        let listeners = clients
            .listen()
            .map_err(|error| unbound(address, "--http", &error))?;
        let workers = instance
            .serve(listeners)
            .map_err(|error| format!("cannot start the workers: {error}"))?;
        tracing::info!(%address, workers = settings.workers, "serving clients");
        end(settings, &instance, workers, &mut shutdown).await;
    }
    // The agent is among them: it ends when everything is on the disk.
    tasks.stop(GRACE).await;
    Ok(())
}

/// Waits for the word to end, and drains the workers.
async fn end(
    settings: &Settings,
    instance: &Instance,
    workers: Workers,
    shutdown: &mut signals::Shutdown,
) {
    let cause = shutdown.requested().await;
    tracing::info!(%cause, delay = ?settings.drain_delay, "draining");
    let again = async {
        let cause = shutdown.requested().await;
        tracing::warn!(%cause, "ending at once");
    };
    let clean = drain(
        workers,
        instance.phases(),
        settings.drain_delay,
        instance.limits(),
        again,
    )
    .await;
    tracing::info!(clean, "drained");
}

fn unbound(address: SocketAddr, flag: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{address} is in use by another process; stop it, or choose another address with {flag}"
        ),
        _ => format!("cannot listen on {address}: {error}; choose another address with {flag}"),
    }
}
