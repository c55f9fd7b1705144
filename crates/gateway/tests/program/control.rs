//! A control plane's delivery half, in the test's own process.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ferryway_delivery::server::{Source, Unavailable};
use ferryway_delivery::{
    Ack, AckStage, Cause, DeliveryServer, Epoch, Feed, Head, Hello, Nack, Peer, Presence,
    Publication, ServerSettings, Status,
};
use ferryway_model::{
    Binding, Changes, Definition, Digest, Entry, Key, Name, Revision, ServiceEntry, View,
};
use ferryway_runtime::{Random, Tasks};
use ferryway_sandbox::upstream::Upstream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use uuid::Uuid;

use crate::setup::PATIENCE;

/// A control plane with one group, `test`, and an upstream. Both end when it is dropped.
pub(crate) struct Control {
    pub(crate) url: String,
    feed: Arc<Feed>,
    heard: Arc<Heard>,
    upstream: Upstream,
    runtime: Runtime,
}

/// What an instance has said.
struct Heard {
    feed: Arc<Feed>,
    content: Mutex<BTreeMap<Digest, Bytes>>,
    durable: watch::Sender<Revision>,
    rejected: Mutex<Vec<Nack>>,
}

impl Control {
    pub(crate) fn start() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("threads can be made");
        let head = Head {
            epoch: Epoch {
                store: Uuid::from_u128(1),
                restores: 0,
            },
            revision: Revision(0),
            view: View::empty(),
        };
        let feed = Arc::new(Feed::new("test".parse().expect("is a name"), head));
        let heard = Arc::new(Heard {
            feed: Arc::clone(&feed),
            content: Mutex::default(),
            durable: watch::Sender::new(Revision(0)),
            rejected: Mutex::default(),
        });
        let tasks = Tasks::new("control");
        let (address, upstream) = runtime.block_on(async {
            let loopback = (Ipv4Addr::LOCALHOST, 0);
            let upstream = Upstream::start(loopback.into(), &tasks)
                .await
                .expect("a free port");
            let listener = TcpListener::bind(loopback).await.expect("a free port");
            let address = listener.local_addr().expect("it is bound");
            let (source, presence) = (Arc::clone(&heard), Arc::clone(&heard));
            let settings = ServerSettings::default();
            let random = Random::seeded(1);
            let server = DeliveryServer::new(source, presence, settings, random, &tasks);
            tasks.spawn("delivery", |stop| async move {
                let _ = server.serve(listener, stop).await;
            });
            (address, upstream)
        });
        Self {
            url: format!("http://{address}"),
            feed,
            heard,
            upstream,
            runtime,
        }
    }

    /// Makes a service that goes to the upstream the whole of the view; answers the revision.
    pub(crate) fn publish(&self, definition: &Value) -> Revision {
        let address = self.upstream.address();
        let binding =
            json!({"nodes": [{"host": address.ip().to_string(), "port": address.port()}]});
        let definition = Definition::parse(definition, None).expect("is a definition");
        let binding = Binding::parse(&binding).expect("is a binding");
        let entry = ServiceEntry {
            version: None,
            definition: definition.digest,
            binding: binding.digest,
            enabled: true,
            candidate: None,
            rollout: None,
        };
        let key = Key::service(&definition.content.name);
        let changes = Changes {
            upserts: [(key, Entry::Service(entry))].into(),
            ..Changes::default()
        };
        let content = [definition.bytes, binding.bytes].map(Bytes::from);
        let named = content
            .iter()
            .map(|bytes| (Digest::of(bytes), bytes.clone()));
        self.heard
            .content
            .lock()
            .expect("nobody panicked with it")
            .extend(named);
        let revision = self.feed.head().revision.next();
        let publication = Publication {
            revision,
            view: View::empty().with(&changes),
            cause: Cause::Operation,
            content: content.into(),
        };
        self.feed.publish(publication).expect("it is the next one");
        revision
    }

    /// Waits until an instance has `revision` on its disk.
    #[track_caller]
    pub(crate) fn wait_durable(&self, revision: Revision) {
        let mut durable = self.heard.durable.subscribe();
        let waited = self.runtime.block_on(async {
            let durable = durable.wait_for(|it| *it >= revision);
            tokio::time::timeout(PATIENCE, durable).await.is_ok()
        });
        assert!(waited, "revision {revision} is not durable");
    }

    /// What was rejected so far.
    pub(crate) fn rejected(&self) -> Vec<Nack> {
        self.heard
            .rejected
            .lock()
            .expect("nobody panicked with it")
            .clone()
    }
}

impl Source for Heard {
    fn feed(&self, group: &Name) -> Option<Arc<Feed>> {
        (group == self.feed.group()).then(|| Arc::clone(&self.feed))
    }

    async fn blobs(&self, _: &Name, digests: &[Digest]) -> Result<Vec<Bytes>, Unavailable> {
        let content = self.content.lock().expect("nobody panicked with it");
        Ok(digests
            .iter()
            .filter_map(|it| content.get(it).cloned())
            .collect())
    }
}

impl Presence for Heard {
    fn connected(&self, _: &Peer, _: &Hello) {}

    fn acked(&self, _: &Peer, ack: &Ack) {
        if ack.stage == AckStage::Durable {
            self.durable.send_replace(ack.transaction);
        }
    }

    fn rejected(&self, _: &Peer, nack: &Nack) {
        self.rejected
            .lock()
            .expect("nobody panicked with it")
            .push(nack.clone());
    }

    fn reported(&self, _: &Peer, _: &Status) {}

    fn disconnected(&self, _: &Peer) {}
}
