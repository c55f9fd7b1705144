//! Discovery against a real DNS server, over real sockets. No test waits for time to pass: each
//! waits for the status to turn into what it must.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ferryway_balance::EndpointSet;
use ferryway_model::DnsQuery;
use ferryway_runtime::{Clock, Random, Tasks};
use ferryway_sandbox::dns::{DnsServer, Fault, Record};

use crate::target::tests::binding;
use crate::{Discovery, Followed, Keep, KeepInMemory, Settings, Source, Status, Target};

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// As short as to make a test quick, as long as not to be a flood.
const TTL: Duration = Duration::from_millis(20);

struct World {
    tasks: Tasks,
    keep: Arc<KeepInMemory>,
    server: DnsServer,
}

impl World {
    async fn new() -> Self {
        let tasks = Tasks::new("test");
        let server = DnsServer::start(LOOPBACK, &tasks).await.unwrap();
        Self {
            tasks,
            keep: Arc::default(),
            server,
        }
    }

    /// A gateway's discovery; another one with the same disk is the same gateway, restarted.
    fn discovery(&self, servers: &[SocketAddr]) -> Discovery {
        let settings = Settings {
            dns_servers: servers.to_vec(),
            node_ttl: TTL..=TTL,
            retry: TTL..=TTL,
        };
        let keep: Arc<dyn Keep> = self.keep.clone();
        Discovery::new(
            settings,
            keep,
            &self.tasks,
            Clock::system(),
            Random::seeded(1),
        )
    }

    fn here(&self) -> Discovery {
        self.discovery(&[self.server.address()])
    }

    fn set(&self, name: &str, addresses: &str) {
        let record = |address: &str| match address.parse().unwrap() {
            IpAddr::V4(address) => Record::A { ttl: 1, address },
            IpAddr::V6(address) => Record::Aaaa { ttl: 1, address },
        };
        self.server
            .set(name, addresses.split(' ').map(record).collect())
            .unwrap();
    }

    fn set_services(&self, name: &str, services: &[(u16, u16, u16, &str)]) {
        let record = |&(priority, weight, port, target): &(u16, u16, u16, &str)| {
            let target = target.to_owned();
            Record::Srv {
                ttl: 1,
                priority,
                weight,
                port,
                target,
            }
        };
        self.server
            .set(name, services.iter().map(record).collect())
            .unwrap();
    }
}

fn node(host: &str) -> Target {
    let binding = binding(&format!(r#"{{"nodes": [{{"host": "{host}"}}]}}"#));
    Target::of(&binding, None, 80).unwrap()
}

fn dns(servers: &[SocketAddr], query: DnsQuery) -> Target {
    Target::Dns {
        servers: servers.to_vec(),
        empty_after: Duration::from_millis(300),
        min_ttl: TTL,
        max_ttl: TTL,
        query,
        default_port: 80,
    }
}

fn dns_name(servers: &[SocketAddr], name: &str) -> Target {
    dns(
        servers,
        DnsQuery::Address {
            name: name.parse().unwrap(),
            port: None,
        },
    )
}

fn show(followed: &Followed) -> String {
    let show = |set: &EndpointSet| {
        let endpoints = set.iter().map(ferryway_balance::Member::endpoint);
        let show = |it: &ferryway_balance::Endpoint| {
            format!("{}={}*{}@{}", it.name, it.address, it.weight, it.priority)
        };
        endpoints.map(show).collect::<Vec<_>>().join(" ")
    };
    followed.endpoints().read(show)
}

/// Waits until the status, or what is served, is as wanted.
async fn until(followed: &Followed, wanted: impl Fn(&Status) -> bool) -> Status {
    let mut changed = followed.changed();
    changed
        .wait_for(|status| wanted(status))
        .await
        .unwrap()
        .clone()
}

async fn serves(followed: &Followed, expect: &str) {
    until(followed, |_| show(followed) == expect).await;
}

#[tokio::test]
async fn a_node_is_followed_through_changes() {
    let world = World::new().await;
    world.set("a.example", "10.0.0.1");
    let followed = world.here().follow(node("a.example"));
    followed.ready().await;
    assert_eq!(show(&followed), "a.example=10.0.0.1:80*100@0");
    let status = followed.status();
    assert_eq!((status.source, status.stale_since), (Source::Fresh, None));

    let health = Arc::clone(followed.endpoints().load().iter().next().unwrap().state());
    health.set_healthy(false);
    world.set("a.example", "10.0.0.1 10.0.0.2");
    serves(
        &followed,
        "a.example=10.0.0.1:80*50@0 a.example=10.0.0.2:80*50@0",
    )
    .await;
    let set = followed.endpoints().load();
    let healthy: Vec<_> = set.iter().map(|member| member.state().healthy()).collect();
    assert_eq!(healthy, [false, true]);
    world.set("a.example", "10.0.0.3");
    serves(&followed, "a.example=10.0.0.3:80*100@0").await;
}

#[tokio::test]
async fn a_service_has_ports_weights_and_priorities() {
    let world = World::new().await;
    world.set("a.example", "10.0.0.1");
    world.set("b.example", "10.0.0.2 10.0.0.3");
    let services = [
        (1, 3, 8080, "a.example"),
        (1, 1, 80, "b.example"),
        (2, 0, 81, "a.example"),
    ];
    world.set_services("_web._tcp.example", &services);
    let name = "_web._tcp.example".parse().unwrap();
    let target = dns(&[world.server.address()], DnsQuery::Service { name });
    // The registry's own server, not the gateway's.
    let followed = world.discovery(&[]).follow(target);
    let all = "a.example=10.0.0.1:8080*6@-1 b.example=10.0.0.2:80*1@-1 \
               b.example=10.0.0.3:80*1@-1 a.example=10.0.0.1:81*100@-2";
    serves(&followed, all).await;
    world.set_services(
        "_web._tcp.example",
        &[(1, 1, 80, "b.example"), (1, 1, 0, "a.example")],
    );
    serves(
        &followed,
        "b.example=10.0.0.2:80*1@-1 b.example=10.0.0.3:80*1@-1",
    )
    .await;
}

#[tokio::test]
async fn a_failing_server_changes_nothing_but_the_status() {
    let world = World::new().await;
    world.set("a.example", "10.0.0.1");
    let followed = world.here().follow(node("a.example"));
    followed.ready().await;
    for fault in [Fault::ServFail, Fault::Garbage] {
        world.server.fail(fault);
        let status = until(&followed, |status| status.last_error.is_some()).await;
        assert!(status.stale_since.is_some());
        assert!(
            status
                .last_error
                .unwrap()
                .starts_with("a.example: 127.0.0.1:")
        );
        assert_eq!(show(&followed), "a.example=10.0.0.1:80*100@0");
        world.server.fail(Fault::None);
        let status = until(&followed, |status| status.last_error.is_none()).await;
        assert_eq!((status.stale_since, status.changes), (None, 1));
    }
}

#[tokio::test]
async fn names_that_go_away() {
    let world = World::new().await;
    world.set("a.example", "10.0.0.1");
    let discovery = world.here();
    let of_node = discovery.follow(node("a.example"));
    let of_registry = discovery.follow(dns_name(&[world.server.address()], "a.example"));
    of_node.ready().await;
    of_registry.ready().await;

    world.server.remove("a.example");
    let doubted = until(&of_registry, |status| status.last_error.is_some()).await;
    assert_eq!(doubted.endpoints, 1);
    let believed = until(&of_registry, |status| status.endpoints == 0).await;
    assert_eq!((believed.source, believed.last_error), (Source::None, None));
    let kept = until(&of_node, |status| status.last_error.is_some()).await;
    assert_eq!(kept.endpoints, 1);
    // The name is back: both see it.
    world.set("a.example", "10.0.0.2");
    serves(&of_registry, "a.example=10.0.0.2:80*100@0").await;
    serves(&of_node, "a.example=10.0.0.2:80*100@0").await;
}

#[tokio::test]
async fn the_next_server_answers_for_one_that_fails() {
    let world = World::new().await;
    world.set("a.example", "10.0.0.1");
    let broken = DnsServer::start(LOOPBACK, &world.tasks).await.unwrap();
    broken.fail(Fault::ServFail);
    let closed = {
        let tasks = Tasks::new("closed");
        let server = DnsServer::start(LOOPBACK, &tasks).await.unwrap();
        assert!(tasks.stop(Duration::from_secs(5)).await);
        server.address()
    };
    let servers = [broken.address(), closed, world.server.address()];
    let followed = world.discovery(&servers).follow(node("a.example"));
    serves(&followed, "a.example=10.0.0.1:80*100@0").await;
    // Who has answered is asked first from then on.
    let before = broken.queries();
    world.set("a.example", "10.0.0.2");
    serves(&followed, "a.example=10.0.0.2:80*100@0").await;
    assert_eq!(broken.queries(), before);
}

#[tokio::test]
async fn long_answers_come_over_tcp() {
    let world = World::new().await;
    let addresses: Vec<_> = (0..250).map(|last| format!("10.0.0.{last}")).collect();
    world.set("many.example", &addresses.join(" "));
    let followed = world.here().follow(dns_name(&[], "many.example"));
    until(&followed, |status| status.endpoints == 250).await;
    assert!(world.server.queries().tcp > 0);
    world.set("few.example", "10.0.0.1");
    world.server.fail(Fault::Truncate);
    let followed = world.here().follow(node("few.example"));
    serves(&followed, "few.example=10.0.0.1:80*100@0").await;
}

#[tokio::test]
async fn a_gateway_that_starts_without_dns_serves_what_it_kept() {
    let world = World::new().await;
    world.set("a.example", "10.0.0.1");
    let before = world.here().follow(node("a.example"));
    serves(&before, "a.example=10.0.0.1:80*100@0").await;
    drop(before);

    world.server.fail(Fault::Silent);
    let after = world.here().follow(node("a.example"));
    // At once: before anything could have been asked.
    assert_eq!(show(&after), "a.example=10.0.0.1:80*100@0");
    after.ready().await;
    let status = after.status();
    assert_eq!((status.source, status.endpoints), (Source::Kept, 1));
    assert!(status.stale_since.is_some());
    world.server.fail(Fault::None);
    until(&after, |status| {
        status.source == Source::Fresh && status.stale_since.is_none()
    })
    .await;
}

#[tokio::test]
async fn a_first_answer_makes_ready_even_if_it_is_none() {
    let world = World::new().await;
    let discovery = world.here();
    let nothing = discovery.follow(node("nowhere.example"));
    nothing.ready().await;
    assert_eq!(
        (nothing.status().endpoints, nothing.status().last_error),
        (0, None)
    );
    world.server.fail(Fault::ServFail);
    let failed = discovery.follow(node("failing.example"));
    failed.ready().await;
    assert!(failed.status().last_error.is_some());
}

#[tokio::test]
async fn equal_targets_are_followed_once_and_unfollowed_with_the_last() {
    let world = World::new().await;
    world.set("a.example", "10.0.0.1");
    let discovery = world.here();
    let first = discovery.follow(node("a.example"));
    let second = discovery.follow(node("a.example"));
    assert!(Arc::ptr_eq(&first, &second));
    assert!(!Arc::ptr_eq(&first, &discovery.follow(node("b.example"))));
    let running = || {
        world
            .tasks
            .running()
            .iter()
            .filter(|it| it.contains("node "))
            .count()
    };
    drop(first);
    second.ready().await;
    assert!(running() >= 1);
    drop(second);
    while running() > 0 {
        tokio::task::yield_now().await;
    }
    let again = discovery.follow(node("a.example"));
    serves(&again, "a.example=10.0.0.1:80*100@0").await;
}

#[tokio::test]
async fn addresses_are_followed_without_a_task_and_from_any_thread() {
    let world = World::new().await;
    let discovery = world.here();
    let (address, name) = std::thread::scope(|scope| {
        let follow = || {
            (
                discovery.follow(node("10.0.0.1")),
                discovery.follow(node("a.example")),
            )
        };
        scope.spawn(follow).join().unwrap()
    });
    assert_eq!(show(&address), "10.0.0.1=10.0.0.1:80*100@0");
    assert!(address.status().ready);
    assert!(
        !world
            .tasks
            .running()
            .iter()
            .any(|task| task.contains("10.0.0.1"))
    );
    name.ready().await;
}

#[tokio::test]
async fn the_systems_own_resolver_knows_localhost() {
    let world = World::new().await;
    let followed = world.discovery(&[]).follow(node("localhost"));
    followed.ready().await;
    assert!(
        show(&followed).contains("localhost=127.0.0.1:80"),
        "{}",
        show(&followed)
    );
}
