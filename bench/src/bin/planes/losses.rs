//! Control planes that are lost under their instances.

use std::fmt;

use ferryway_bench::{Outcome, Times};
use ferryway_testkit::Signal;
use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::fleet::{Fleet, Witness};

/// How one is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// SIGKILL: its connections break.
    Killed,
    /// SIGSTOP: it only falls silent.
    Stopped,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "killed",
            Self::Stopped => "stopped",
        })
    }
}

/// How long it took until instances were served by another control plane.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// Of each instance.
    pub(crate) each: Times,
    /// Of the last instance of each loss.
    pub(crate) last: Times,
}

/// Loses the control plane of the first instance, again and again.
pub(crate) async fn measure(fleet: &mut Fleet<'_>, loss: Loss, count: usize) -> Outcome<Losses> {
    let mut losses = Losses::default();
    for _ in 0..count {
        let homes = fleet.homes().await?;
        let lost = homes.first().map(|(_, home)| *home).unwrap_or_default();
        let url = fleet.url(lost);
        let theirs = homes.into_iter().filter(|(_, home)| *home == lost);
        let witnesses: Vec<Witness> = theirs.map(|(witness, _)| witness).collect();
        let since = Instant::now();
        if let Some(control) = &mut fleet.controls[lost].1 {
            control.signal(match loss {
                Loss::Killed => Signal::KILL,
                Loss::Stopped => Signal::STOP,
            });
        }
        let leave = witnesses.into_iter().map(|mut witness| {
            let url = &url;
            async move { witness.leaves(url).await.map(|(_, at)| at) }
        });
        let times = try_join_all(leave).await?;
        let times = times.into_iter().map(|at| at - since);
        let mut longest = std::time::Duration::ZERO;
        for took in times {
            losses.each.add(took);
            longest = longest.max(took);
        }
        losses.last.add(longest);
        match (loss, &mut fleet.controls[lost].1) {
            (Loss::Stopped, Some(control)) => control.signal(Signal::CONT),
            (Loss::Killed, _) | (Loss::Stopped, None) => fleet.start_again(lost).await?,
        }
    }
    Ok(losses)
}
