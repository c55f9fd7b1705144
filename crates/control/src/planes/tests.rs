//! Links between control planes over real sockets, in one process.

use std::time::Duration;

use ferryway_delivery::{Peer, Presence as _, Registrar as _, dial};
use ferryway_model::Group as GroupModel;
use ferryway_proto::planes_wire::planes_client::PlanesClient;
use ferryway_proto::{EnrollRequest, FollowRequest, Hello, Limits, PROTOCOL, Source, planes_wire};
use ferryway_runtime::{Clock, Tasks};
use ferryway_store::Store;
use ferryway_tls::{Connector, InstanceKey, Now};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::Code;
use uuid::Uuid;

use super::{follow_others, service};
use crate::core::{Actor, Core, IfMatch, Plane};
use crate::identity::{Identity, IdentitySettings, Proof};

/// How long something that another control plane tells may take.
const TOLD_MAX: Duration = Duration::from_secs(30);

struct Control {
    core: Core,
    identity: Identity,
    id: Uuid,
    tasks: Tasks,
}

/// A store, and the folder of the secret key that all have.
struct House {
    dir: TempDir,
    store: Store,
    proof: Proof,
}

async fn house(proof: Proof) -> House {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let opened = Store::open(dir.path(), Uuid::now_v7()).await;
    House {
        dir,
        store: opened.expect("opens"),
        proof,
    }
}

impl Control {
    async fn on(house: &House, address: &str) -> Self {
        let listener = TcpListener::bind(address).await.expect("is free");
        let address = listener.local_addr().expect("is bound");
        let scheme = match house.proof {
            Proof::None => "http",
            Proof::Certificates => "https",
        };
        let plane = Plane {
            id: Uuid::now_v7(),
            url: format!("{scheme}://{address}"),
            build: "test".to_owned(),
        };
        let (tasks, id) = (Tasks::new("test"), plane.id);
        let clock = Clock::system();
        let core = Core::open(house.store.clone(), Some(plane), clock, &tasks).await;
        let core = core.expect("opens");
        let settings = IdentitySettings::for_tests(house.dir.path());
        let identity = Identity::start(&core, &settings, house.proof, &tasks).await;
        let identity = identity.expect("there is an authority");
        let beside = service(core.clone(), id, &tasks);
        core.serve_instances(listener, identity.guard(), Some(beside), &tasks);
        follow_others(core.clone(), identity.clone(), id, &tasks);
        Self {
            core,
            identity,
            id,
            tasks,
        }
    }

    async fn start(house: &House) -> Self {
        Self::on(house, "127.0.0.1:0").await
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
    told_of_each_other(Proof::None).await;
}

#[tokio::test]
async fn each_is_told_so_by_certificates() {
    told_of_each_other(Proof::Certificates).await;
}

async fn told_of_each_other(proof: Proof) {
    let house = house(proof).await;
    let one = Control::start(&house).await;
    let first = one.joins();
    let two = Control::start(&house).await;
    for control in [&one, &two] {
        control.until(|it| it.followed() == 1).await;
    }
    two.until(|it| it.online() == 1).await;
    let second = two.joins();
    one.until(|it| it.online() == 2).await;
    let three = Control::start(&house).await;
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
    let house = house(Proof::None).await;
    let one = Control::start(&house).await;
    for _ in 0..700 {
        one.joins();
    }
    let two = Control::start(&house).await;
    two.until(|it| it.followed() == 1).await;
    assert_eq!(
        two.online(),
        700,
        "all is told before it is said that it was all"
    );
}

#[tokio::test]
async fn one_that_is_another_than_was_meant_is_found_out() {
    let house = house(Proof::None).await;
    let one = Control::start(&house).await;
    let two = Control::start(&house).await;
    one.until(|it| it.followed() == 1).await;
    let url = one.url();
    let address = url.trim_start_matches("http://").to_owned();
    two.joins();
    one.until(|it| it.online() == 1).await;
    // It ends without a word, and another one starts where it was.
    two.tasks.stop(Duration::from_secs(5)).await;
    let dead = two.core.clone();
    drop(two);
    let three = Control::on(&house, &address).await;
    one.until(|it| it.followed() == 1 && it.url() == url).await;
    three.joins();
    one.until(|it| it.online() >= 1).await;
    drop(dead);
}

/// What is answered to a follower that says it is this one.
async fn follow(url: &str, tls: Option<Connector>, says: Uuid, expected: Uuid) -> (Code, String) {
    let channel = dial(url, tls).await.expect("connects");
    let request = FollowRequest {
        protocol: (PROTOCOL, PROTOCOL),
        plane: says,
        expected,
    };
    let mut client = PlanesClient::new(channel);
    match client
        .follow(planes_wire::FollowRequest::from(request))
        .await
    {
        Ok(_) => (Code::Ok, String::new()),
        Err(status) => (status.code(), status.message().to_owned()),
    }
}

#[tokio::test]
async fn nobody_but_control_planes_may_follow() {
    let house = house(Proof::Certificates).await;
    let one = Control::start(&house).await;
    let two = Control::start(&house).await;
    two.until(|it| it.followed() == 1).await;
    let url = two.url();
    let stranger = Uuid::now_v7();
    let as_control = |id| two.identity.caller(id).expect("is made");

    let authority = two.identity.fingerprint().expect("there is one");
    let now = Now::new(|| Clock::system().now());
    let nobody = Connector::pinned(authority, now.clone()).expect("is made");
    let instance = instance_of(&two, now).await;
    for (tls, says, code, part) in [
        (as_control(two.id), two.id, Code::Ok, ""),
        (
            as_control(stranger),
            two.id,
            Code::PermissionDenied,
            "for another control plane",
        ),
        (
            Some(nobody),
            two.id,
            Code::Unauthenticated,
            "none was shown",
        ),
        (
            Some(instance),
            two.id,
            Code::PermissionDenied,
            "is none of a control plane",
        ),
    ] {
        let (got, said) = follow(&url, tls, says, one.id).await;
        assert!(got == code && said.contains(part), "{got:?} {said}");
    }
}

/// The way of an instance that has joined.
async fn instance_of(control: &Control, now: Now) -> Connector {
    let key = InstanceKey::make().expect("is made");
    let request = EnrollRequest {
        token: None,
        certificate_request: key.request().expect("is made").into(),
        group: "test".parse().expect("is a name"),
        instance: Uuid::now_v7(),
    };
    let group = GroupModel::parse(&json!({"name": "test"}), None).expect("is a group");
    let wanted = || Ok((group.clone(), IfMatch::Absent));
    let actor = Actor {
        name: "admin".to_owned(),
        from: "here".to_owned(),
        token: None,
    };
    let made = control.core.put_group(&actor, &group.name, wanted, None);
    made.await.expect("is made");
    let renewed = control
        .identity
        .renew(request, Uuid::now_v7(), "192.0.2.1".to_owned());
    let reply = renewed.await.expect("has a certificate");
    let chain: Vec<_> = reply.chain.iter().map(|der| der.to_vec()).collect();
    let anchors = reply.authorities.iter().map(AsRef::as_ref);
    Connector::of_instance(anchors, &chain, &key, now).expect("fits")
}
