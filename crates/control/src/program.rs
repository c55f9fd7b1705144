//! The control plane as a program: the parts put together, started and stopped.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use ferryway_runtime::{Clock, Tasks, signals, telemetry};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::admin_token;
use crate::core::{Core, Plane};
use crate::identity::{Identity, Proof};
use crate::planes;
use crate::rest;
use crate::settings::{Settings, whole};

/// How long open calls and streams get to end.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the control plane until it is told to stop.
///
/// # Errors
/// A sentence for people: what could not be done, on which thing, what to do.
pub fn run(settings: &Settings) -> Result<(), String> {
    let _level = telemetry::init("info").map_err(|error| whole(&error))?;
    if settings.check {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("control")
        .build()
        .map_err(|error| format!("cannot start threads: {error}"))?;
    runtime.block_on(serve(settings))
}

async fn serve(settings: &Settings) -> Result<(), String> {
    let mut shutdown =
        signals::shutdown().map_err(|error| format!("cannot wait for signals: {error}"))?;
    // The sockets first: a busy port is said before anything is written.
    let api = bind(settings.api, "--api").await?;
    let delivery = bind(settings.delivery, "--delivery").await?;
    let tasks = Tasks::new("control");
    let store = settings.store.open().await;
    let store = store.map_err(|error| whole(&error))?;
    let plane = settings.advertise.clone().map(|url| Plane {
        id: Uuid::now_v7(),
        url,
        build: env!("CARGO_PKG_VERSION").to_owned(),
    });
    let plane_id = plane.as_ref().map(|plane| plane.id);
    let core = Core::open(store, plane, Clock::system(), &tasks).await?;
    let proof = if settings.dev {
        Proof::None
    } else {
        Proof::Certificates
    };
    let identity = Identity::start(&core, &settings.identity, proof, &tasks).await?;
    // With --dev too: it is there when the same folder is started without.
    let token = token(settings)?;
    let access = if settings.dev {
        rest::Access::Dev
    } else {
        rest::Access::Token(token)
    };
    let guard = identity.guard();
    let service = plane_id.map(|id| planes::service(core.clone(), id, &tasks));
    core.serve_instances(delivery, guard, service, &tasks);
    if let Some(id) = plane_id {
        planes::follow_others(core.clone(), identity.clone(), id, &tasks);
    }
    let hangup = signals::hangup().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let tls = settings.api_tls.acceptor(&identity, hangup, &tasks)?;
    if tls.is_none() && !settings.api.ip().is_loopback() {
        tracing::warn!(api = %settings.api, "the API is reached from other machines without TLS, and tokens can be read on the way; use --api-tls, or put it behind something that speaks TLS");
    }
    rest::serve(api, (core.clone(), identity), access, tls, &tasks);
    tracing::info!(api = %settings.api, delivery = %settings.delivery, store = %settings.store, data_dir = %settings.data_dir.display(), dev = settings.dev, "ready");
    let cause = shutdown.requested().await;
    tracing::info!(?cause, "stopping");
    tasks.stop(GRACE).await;
    core.close().await;
    Ok(())
}

async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{address} is in use by another process; stop it, or choose another address with {flag}")
        }
        _ => format!("cannot listen on {address} ({flag}): {error}"),
    })
}

/// The administrator's token. It is shown once, to whoever starts the program first.
fn token(settings: &Settings) -> Result<String, String> {
    let made = admin_token::read_or_make(&settings.data_dir)?;
    if made.is_new {
        // Where it can't be shown (the disk under the output is full, say), it is in the file.
        let _ = writeln!(
            io::stdout(),
            "administrator token (kept in {}/admin-token): {}",
            settings.data_dir.display(),
            made.token
        );
    }
    Ok(made.token)
}
