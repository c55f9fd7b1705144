//! Starts from disk, while there is no control plane.

use std::net::SocketAddr;

use ferryway_bench::stage::{Memory, Stage};
use ferryway_bench::{Outcome, Times, content};

use crate::measure::GROUP;

/// What was measured of starts from disk.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    /// From making the process to the first 200 of `/readyz`.
    pub(crate) ready: Times,
    /// To the first 200 that a client sees.
    pub(crate) first_answer: Times,
    /// After the first answer of the last start.
    pub(crate) memory: Option<Memory>,
}

/// Starts the instance with this data again and again, each time killing it. Nobody listens at
/// `delivery`.
pub(crate) async fn measure(
    stage: &Stage,
    data: &str,
    delivery: SocketAddr,
    count: usize,
) -> Outcome<Restarts> {
    let (host, path) = (content::host(0), content::steady_path(0));
    let mut restarts = Restarts::default();
    for _ in 0..count {
        let (mut gateway, started) = stage.gateway(data, GROUP, delivery).await?;
        restarts.ready.add(started.ready);
        let answer = gateway.first_answer(started, &host, &path).await?;
        restarts.first_answer.add(answer);
        restarts.memory = Some(gateway.memory()?);
    }
    Ok(restarts)
}
