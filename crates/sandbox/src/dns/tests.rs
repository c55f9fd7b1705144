//! The DNS server, asked by hickory's resolver over real sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ferryway_runtime::Tasks;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::{DnsServer, Fault, Record};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn start() -> (DnsServer, TokioResolver, Tasks) {
    let tasks = Tasks::new("test");
    let server = DnsServer::start(LOOPBACK, &tasks).await.unwrap();
    let resolver = resolver(server.address());
    (server, resolver, tasks)
}

fn resolver(server: SocketAddr) -> TokioResolver {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    (udp.port, tcp.port) = (server.port(), server.port());
    let server = NameServerConfig::new(server.ip(), true, vec![udp, tcp]);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().cache_size = 0;
    builder.options_mut().attempts = 0;
    builder.options_mut().timeout = Duration::from_millis(200);
    builder.build().unwrap()
}

fn a(address: [u8; 4]) -> Record {
    Record::A {
        ttl: 30,
        address: address.into(),
    }
}

async fn ask(resolver: &TokioResolver, name: &str, kind: RecordType) -> Result<String, NetError> {
    let lookup = resolver.lookup(name, kind).await?;
    let mut data: Vec<_> = lookup
        .answers()
        .iter()
        .map(|it| it.data.to_string())
        .collect();
    data.sort();
    Ok(data.join(", "))
}

#[tokio::test]
async fn every_kind_of_record() {
    let (server, resolver, _tasks) = start().await;
    server
        .set("a.example", vec![a([10, 0, 0, 2]), a([10, 0, 0, 1])])
        .unwrap();
    let aaaa = Record::Aaaa {
        ttl: 30,
        address: "2001:db8::1".parse().unwrap(),
    };
    server.set("b.example", vec![aaaa]).unwrap();
    server
        .set(
            "c.example",
            vec![Record::Cname {
                ttl: 5,
                target: "a.example".into(),
            }],
        )
        .unwrap();
    let target = "a.example".to_owned();
    let srv = Record::Srv {
        ttl: 30,
        priority: 1,
        weight: 2,
        port: 8080,
        target,
    };
    server.set("_http._tcp.example", vec![srv]).unwrap();

    let ask = async |name, kind| ask(&resolver, name, kind).await.unwrap();
    assert_eq!(ask("a.example.", RecordType::A).await, "10.0.0.1, 10.0.0.2");
    assert_eq!(ask("b.example.", RecordType::AAAA).await, "2001:db8::1");
    assert_eq!(
        ask("c.example.", RecordType::A).await,
        "10.0.0.1, 10.0.0.2, a.example."
    );
    assert_eq!(
        ask("_http._tcp.example.", RecordType::SRV).await,
        "1 2 8080 a.example."
    );
    assert_eq!(server.queries().tcp, 0);
}

#[tokio::test]
async fn changes_take_effect_with_the_next_query() {
    let (server, resolver, _tasks) = start().await;
    let ask = async || ask(&resolver, "a.example.", RecordType::A).await;
    assert!(ask().await.unwrap_err().is_nx_domain());
    server.set("a.example", vec![a([10, 0, 0, 1])]).unwrap();
    assert_eq!(ask().await.unwrap(), "10.0.0.1");
    server.set("a.example", vec![a([10, 0, 0, 2])]).unwrap();
    assert_eq!(ask().await.unwrap(), "10.0.0.2");
    server.set_empty("a.example").unwrap();
    let error = ask().await.unwrap_err();
    assert!(error.is_no_records_found() && !error.is_nx_domain());
    assert!(error.into_soa().is_some());
    server.remove("a.example");
    assert!(ask().await.unwrap_err().is_nx_domain());
    assert_eq!(server.queries().total(), 5);
    server.queried(5).await;
}

#[tokio::test]
async fn an_answer_too_long_for_udp_comes_over_tcp() {
    let (server, resolver, _tasks) = start().await;
    let many = (0..=255).map(|last| a([10, 0, 0, last])).collect();
    server.set("many.example", many).unwrap();
    let lookup = resolver
        .lookup("many.example.", RecordType::A)
        .await
        .unwrap();
    let addresses = lookup
        .answers()
        .iter()
        .filter(|it| matches!(it.data, RData::A(_)));
    assert_eq!(addresses.count(), 256);
    assert_eq!((server.queries().udp, server.queries().tcp), (1, 1));
}

#[tokio::test]
async fn faults() {
    let (server, resolver, _tasks) = start().await;
    server.set("a.example", vec![a([10, 0, 0, 1])]).unwrap();
    let ask = async || ask(&resolver, "a.example.", RecordType::A).await;

    server.fail(Fault::ServFail);
    assert!(
        ask()
            .await
            .unwrap_err()
            .to_string()
            .contains("error response")
    );
    server.fail(Fault::Silent);
    let before = server.queries().udp;
    assert!(matches!(ask().await, Err(NetError::Timeout)));
    assert!(server.queries().udp > before);
    server.fail(Fault::Garbage);
    assert!(ask().await.is_err());
    server.fail(Fault::Truncate);
    let before = server.queries().tcp;
    assert_eq!(ask().await.unwrap(), "10.0.0.1");
    assert_eq!(server.queries().tcp, before + 1);
    server.fail(Fault::None);
    assert_eq!(ask().await.unwrap(), "10.0.0.1");
}

#[tokio::test]
async fn the_server_ends_with_its_tasks() {
    let (server, resolver, tasks) = start().await;
    server.set("a.example", vec![a([10, 0, 0, 1])]).unwrap();
    server.fail(Fault::Truncate);
    // Leaves a TCP connection open, which must not hold up the end.
    ask(&resolver, "a.example.", RecordType::A).await.unwrap();
    assert!(tasks.stop(Duration::from_secs(5)).await);
    let again = Tasks::new("test");
    let second = DnsServer::start(server.address(), &again).await.unwrap();
    assert_eq!(second.address(), server.address());
}
