//! The instances' side of the core: one feed for each group, the server that hands them out, and
//! what instances say of themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use ferryway_delivery::server::{Beside, Source, Unavailable};
use ferryway_delivery::{
    DeliveryServer, Feed, Guard, Head, Peer, Presence, Publication, ServerSettings,
};
use ferryway_model::plan::OperationKind;
use ferryway_model::{Digest, Name};
use ferryway_proto::{Ack, AckStage, Cause, Epoch, Hello, Nack, Status, Warnings};
use ferryway_runtime::{Random, Tasks};
use tokio::net::TcpListener;

use super::Core;
use super::follow::{Moved, Taken};
use super::memory::{Group, Memory};

/// The feeds of all groups.
#[derive(Debug)]
pub(super) struct Sessions {
    epoch: Epoch,
    feeds: RwLock<BTreeMap<Name, Arc<Feed>>>,
}

impl Sessions {
    pub(super) fn new(epoch: Epoch, memory: &Memory) -> Self {
        let sessions = Self {
            epoch,
            feeds: RwLock::default(),
        };
        sessions.match_groups(memory);
        sessions
    }

    /// Whose history the views' revisions belong to.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The feed of a group.
    pub(super) fn feed(&self, group: &Name) -> Option<Arc<Feed>> {
        self.feeds
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(group)
            .cloned()
    }

    /// Hands what an event changed to the feeds.
    pub(super) fn take(&self, taken: Taken, core: &Core) {
        let Taken {
            moved,
            groups,
            confirmed,
        } = taken;
        if groups {
            core.read(|memory| self.match_groups(memory));
        }
        moved.into_iter().for_each(|moved| self.publish(moved));
        for (group, record) in confirmed {
            if let Some(feed) = self.feed(&group).filter(|_| record.epoch == self.epoch) {
                feed.confirm_shrink_at(record.head.revision);
            }
        }
    }

    fn publish(&self, moved: Moved) {
        let Moved {
            group,
            to,
            kind,
            changes: _,
            view,
            content,
        } = moved;
        let Some(feed) = self.feed(&group) else {
            return;
        };
        let cause = match kind {
            None => Cause::Resource,
            Some(OperationKind::Rollback) => Cause::Rollback,
            Some(_) => Cause::Operation,
        };
        if feed.head().revision >= to {
            return; // the feed was made with it, or with a later one
        }
        let publication = Publication {
            revision: to,
            view: view.clone(),
            cause,
            content,
        };
        if let Err(error) = feed.publish(publication) {
            tracing::warn!(%group, %error, "the feed starts over; instances compare what they have");
            feed.replace_head(Head {
                epoch: self.epoch,
                revision: to,
                view,
            });
        }
    }

    /// Gives every group a feed, and ends those of groups that are gone.
    fn match_groups(&self, memory: &Memory) {
        let mut feeds = self.feeds.write().unwrap_or_else(PoisonError::into_inner);
        feeds.retain(|name, feed| {
            let stays = memory.groups.contains_key(name);
            if !stays {
                feed.retire();
            }
            stays
        });
        for (name, group) in &memory.groups {
            feeds.entry(name.clone()).or_insert_with(|| {
                let feed = Feed::new(name.clone(), self.head(group));
                let confirmed = memory.shrinks.get(name);
                if let Some(record) = confirmed.filter(|record| record.epoch == self.epoch) {
                    feed.confirm_shrink_at(record.head.revision);
                }
                Arc::new(feed)
            });
        }
    }

    fn head(&self, group: &Group) -> Head {
        Head {
            epoch: self.epoch,
            revision: group.head.revision,
            view: group.view.clone(),
        }
    }
}

impl Core {
    /// Serves instances on this socket until the tasks are stopped; then each is told to go away.
    /// Without a guard in plaintext, and whoever is on this host. `beside` answers the calls of other
    /// control planes.
    pub(crate) fn serve_instances(
        &self,
        listener: TcpListener,
        guard: Option<Guard>,
        beside: Option<Beside>,
        tasks: &Tasks,
    ) {
        let core = Arc::new(self.clone());
        let settings = ServerSettings::default();
        let random = Random::from_entropy();
        let mut server = match guard {
            None => DeliveryServer::new(core.clone(), core, settings, random, tasks),
            Some(guard) => {
                DeliveryServer::guarded(core.clone(), core, settings, guard, random, tasks)
            }
        };
        if let Some(beside) = beside {
            server = server.beside(beside);
        }
        tasks.spawn("serve instances", |stop| async move {
            if let Err(error) = server.serve(listener, stop).await {
                tracing::error!(%error, "instances are no longer served; restart the control plane");
            }
        });
    }
}

impl Source for Core {
    fn feed(&self, group: &Name) -> Option<Arc<Feed>> {
        self.0.sessions.feed(group)
    }

    async fn blobs(&self, _group: &Name, digests: &[Digest]) -> Result<Vec<Bytes>, Unavailable> {
        Ok(self.read(|memory| {
            digests
                .iter()
                .filter_map(|digest| memory.content_bytes(*digest))
                .collect()
        }))
    }

    fn others(&self) -> Vec<String> {
        self.read(|memory| {
            // One that can't be followed may be gone.
            let there = memory.planes.values().filter(|other| other.is_followed);
            there.map(|other| other.record.url.clone()).collect()
        })
    }
}

impl Presence for Core {
    fn connected(&self, peer: &Peer, hello: &Hello) {
        let at = self.0.clock.now();
        tracing::info!(group = %peer.group, instance = %peer.instance, host = hello.hostname, "instance online");
        self.write(|memory| memory.arrives(peer, hello, at));
    }

    fn acked(&self, peer: &Peer, ack: &Ack) {
        if let AckStage::Applied { .. } | AckStage::Durable = ack.stage {
            self.write(|memory| memory.applied(peer, ack, self.0.clock.now()));
        }
    }

    fn rejected(&self, peer: &Peer, nack: &Nack) {
        self.write(|memory| memory.refused(peer, nack, self.0.clock.now()));
    }

    fn warned(&self, peer: &Peer, warnings: &Warnings) {
        self.write(|memory| memory.warned(peer, warnings, self.0.clock.now()));
    }

    fn reported(&self, peer: &Peer, status: &Status) {
        self.write(|memory| memory.stands(peer, status, self.0.clock.now()));
    }

    fn contested(&self, peer: &Peer) {
        self.write(|memory| memory.contested(peer, self.0.clock.now()));
    }

    fn disconnected(&self, peer: &Peer) {
        let at = self.0.clock.now();
        tracing::info!(group = %peer.group, instance = %peer.instance, "instance offline");
        self.write(|memory| memory.leaves(peer, at));
    }
}
