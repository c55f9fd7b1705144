//! Links between control planes over real sockets, in one process.

use std::sync::Arc;
use std::time::Duration;

use ferryway_delivery::{Peer, Presence as _};
use ferryway_proto::{Hello, Limits, Source};
use ferryway_runtime::{Clock, Tasks};
use ferryway_store::Store;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::timeout;
use uuid::Uuid;

use super::{follow_others, service};
use crate::core::{Core, Plane};

/// How long something that another control plane tells may take.
const TOLD_MAX: Duration = Duration::from_secs(30);

struct Control {
    core: Core,
    tasks: Tasks,
}

async fn store() -> (Arc<TempDir>, Store) {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let opened = Store::open(dir.path(), Uuid::now_v7()).await;
    (Arc::new(dir), opened.expect("opens"))
}

impl Control {
    async fn on(store: &Store, address: &str) -> Self {
        let listener = TcpListener::bind(address).await.expect("is free");
        let plane = Plane {
            id: Uuid::now_v7(),
            url: format!("http://{}", listener.local_addr().expect("is bound")),
            build: "test".to_owned(),
        };
        let (tasks, id) = (Tasks::new("test"), plane.id);
        let clock = Clock::system();
        let core = Core::open(store.clone(), Some(plane), clock, &tasks).await;
        let core = core.expect("opens");
        let beside = service(core.clone(), id, &tasks);
        core.serve_instances(listener, None, Some(beside), &tasks);
        follow_others(core.clone(), id, &tasks);
        Self { core, tasks }
    }

    async fn start(store: &Store) -> Self {
        Self::on(store, "127.0.0.1:0").await
    }

    fn url(&self) -> String {
        self.core.read(|memory| {
            memory
                .planes
                .values()
                .map(|it| it.record.url.clone())
                .collect()
        })
    }

    fn online(&self) -> usize {
        self.core.read(|memory| {
            let all = memory.instances.values().flatten();
            all.filter(|(_, instance)| instance.is_online()).count()
        })
    }

    fn followed(&self) -> usize {
        self.core
            .read(|memory| memory.planes.values().filter(|it| it.is_followed).count())
    }

    fn joins(&self) -> Peer {
        let peer = Peer {
            instance: Uuid::now_v7(),
            boot: 1,
            attempt: 1,
            session: Uuid::now_v7(),
            group: "test".parse().expect("is a name"),
            address: None,
        };
        let hello = Hello {
            protocol: (1, 1),
            instance: peer.instance,
            boot: 1,
            attempt: 1,
            group: peer.group.clone(),
            build: "test".into(),
            hostname: "host".into(),
            addresses: vec![],
            schemas: vec![1],
            plugins: vec![],
            limits: Limits {
                entries: 1,
                blob_bytes: 1,
                transaction_bytes: 1,
            },
            desired: None,
            effective: None,
            holds: vec![],
            held: 0,
            source: Source::Empty,
        };
        self.core.connected(&peer, &hello);
        peer
    }

    /// Waits for something that another control plane tells.
    async fn until(&self, is: impl Fn(&Self) -> bool) {
        let mut changes = self.core.changes();
        let wait = async {
            while !is(self) {
                changes.changed().await.expect("the core has the sender");
            }
        };
        let waited = timeout(TOLD_MAX, wait).await;
        assert!(
            waited.is_ok(),
            "online {}, followed {}",
            self.online(),
            self.followed()
        );
    }
}

#[tokio::test]
async fn each_is_told_how_instances_of_the_others_stand() {
    let (_dir, store) = store().await;
    let one = Control::start(&store).await;
    let first = one.joins();
    let two = Control::start(&store).await;
    for control in [&one, &two] {
        control.until(|it| it.followed() == 1).await;
    }
    two.until(|it| it.online() == 1).await;
    let second = two.joins();
    one.until(|it| it.online() == 2).await;
    let three = Control::start(&store).await;
    three
        .until(|it| it.followed() == 2 && it.online() == 2)
        .await;
    one.core.disconnected(&first);
    for control in [&two, &three] {
        control.until(|it| it.online() == 1).await;
    }
    two.core.disconnected(&second);
    three.until(|it| it.online() == 0).await;
}

#[tokio::test]
async fn more_than_one_message_holds_is_told_in_several() {
    let (_dir, store) = store().await;
    let one = Control::start(&store).await;
    for _ in 0..700 {
        one.joins();
    }
    let two = Control::start(&store).await;
    two.until(|it| it.followed() == 1).await;
    assert_eq!(
        two.online(),
        700,
        "all is told before it is said that it was all"
    );
}

#[tokio::test]
async fn one_that_is_another_than_was_meant_is_found_out() {
    let (_dir, store) = store().await;
    let one = Control::start(&store).await;
    let two = Control::start(&store).await;
    one.until(|it| it.followed() == 1).await;
    let url = one.url();
    let address = url.trim_start_matches("http://").to_owned();
    two.joins();
    one.until(|it| it.online() == 1).await;
    // It ends without a word, and another one starts where it was.
    two.tasks.stop(Duration::from_secs(5)).await;
    let dead = two.core.clone();
    drop(two);
    let three = Control::on(&store, &address).await;
    one.until(|it| it.followed() == 1 && it.url() == url).await;
    three.joins();
    one.until(|it| it.online() >= 1).await;
    drop(dead);
}
