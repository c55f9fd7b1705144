//! What control planes tell each other, over the wire: each follows every other one, and is told how
//! the instances stand that are connected there.
//!
//! - `server`: answers those who follow this control plane;
//! - `link`: follows another one, for as long as its record is in the store;
//! - `wire`: to and from the messages.
//!
//! Outside `--dev` each shows the other a certificate of the authority that they share; nobody else may
//! follow.
//!
//! A link that breaks changes nothing by itself: what was known stays, and is said to be old
//! (`/readyz`, `ferryway_control_peers`), until the link is there again or the other one is gone.

mod link;
mod server;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use ferryway_runtime::{Stop, Tasks};
use uuid::Uuid;

use crate::core::Core;
use crate::identity::Identity;

pub(crate) use server::service;

/// How often something is said, if only that there is nothing to say.
const BEAT: Duration = Duration::from_secs(1);
/// A link on which nothing was said for so long is down. Short: what a cut network has swallowed
/// comes the later the longer the connection waits for it, and a fresh one has it at once.
const SILENCE_MAX: Duration = Duration::from_secs(4);
/// How long a link that is no longer wanted may take to end.
const GRACE: Duration = Duration::from_secs(1);

/// Follows every other control plane that the store knows of, until the tasks are stopped.
pub(crate) fn follow_others(core: Core, identity: Identity, plane: Uuid, tasks: &Tasks) {
    let links = tasks.child("links");
    tasks.spawn("follow other control planes", move |stop| async move {
        run(&core, &identity, plane, &links, &stop).await;
    });
}

async fn run(core: &Core, identity: &Identity, plane: Uuid, tasks: &Tasks, stop: &Stop) {
    let mut links: BTreeMap<Uuid, Tasks> = BTreeMap::new();
    let mut changed = core.planes_changed();
    loop {
        changed.borrow_and_update();
        let others = core.read(|memory| memory.planes.clone());
        let gone: Vec<Uuid> = links
            .keys()
            .filter(|id| !others.contains_key(id))
            .copied()
            .collect();
        for id in gone {
            if let Some(link) = links.remove(&id) {
                link.stop(GRACE).await;
            }
        }
        for (id, other) in others {
            links.entry(id).or_insert_with(|| {
                let link = tasks.child("link");
                let (state, url) = ((core.clone(), identity.clone()), other.record.url);
                link.spawn("follow a control plane", move |stop| {
                    link::run(state, plane, id, url, stop)
                });
                link
            });
        }
        tokio::select! {
            () = stop.requested() => return,
            changed = changed.changed() => if changed.is_err() { return },
        }
    }
}
