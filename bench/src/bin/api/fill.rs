//! The store, filled through the API as fast as that takes it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ferryway_api::OperationState;
use ferryway_bench::api::Api;
use ferryway_bench::content::{self, Content};
use ferryway_bench::{Outcome, upstream};
use ferryway_model::limits::SERVICES_IN_CALL_MAX;
use ferryway_runtime::Tasks;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Fills an empty store: every service in every group, and a group more that has none. Says how
/// long it took.
pub(crate) async fn all(
    api: SocketAddr,
    content: Content,
    groups: u8,
    tasks: &Tasks,
) -> Outcome<Duration> {
    let start = Instant::now();
    let mut caller = Api::open(api).await?;
    for group in (0..groups).map(group).chain([EMPTY.to_owned()]) {
        caller.create_group(&group).await?;
    }
    let node = upstream::start(tasks).await?;
    publish_all(api, content, node, tasks).await?;
    eprintln!("published to the first group: {:?}", start.elapsed());
    // Another connection: the one above has been silent for longer than is waited for.
    let mut caller = Api::open(api).await?;
    let services: Vec<String> = (0..content.services).map(content::name).collect();
    for some in services.chunks(SERVICES_IN_CALL_MAX) {
        sync(&mut caller, some, groups, node).await?;
    }
    Ok(start.elapsed())
}

/// Makes the services and publishes them to the first group, over several connections.
async fn publish_all(
    api: SocketAddr,
    content: Content,
    node: SocketAddr,
    tasks: &Tasks,
) -> Outcome<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let (told, mut ends) = mpsc::channel(CALLERS);
    for _ in 0..CALLERS {
        let (next, told) = (Arc::clone(&next), told.clone());
        tasks.spawn("fill", move |_| async move {
            let published = publish_some(api, content, node, &next).await;
            let _ = told.send(published).await; // whoever waited has failed with another one
        });
    }
    drop(told);
    while let Some(published) = ends.recv().await {
        published?;
    }
    Ok(())
}

async fn publish_some(
    api: SocketAddr,
    content: Content,
    node: SocketAddr,
    next: &AtomicUsize,
) -> Outcome<()> {
    let mut api = Api::open(api).await?;
    let groups = json!([{"group": group(0), "binding": content::binding(node)}]);
    loop {
        let service = next.fetch_add(1, Ordering::Relaxed);
        if service >= content.services {
            return Ok(());
        }
        api.create_service(&content.definition(service, 0)).await?;
        let name = content::name(service);
        api.publish(&name, "0.1.0", &groups).await?;
    }
}

/// Runs what the first group runs of these services in all others.
async fn sync(api: &mut Api, services: &[String], groups: u8, node: SocketAddr) -> Outcome<()> {
    let binding = content::binding(node);
    let bindings: Map<String, Value> = services
        .iter()
        .map(|service| (service.clone(), binding.clone()))
        .collect();
    let to: Vec<_> = (1..groups)
        .map(|n| json!({"group": group(n), "bindings": bindings}))
        .collect();
    let services: Vec<_> = services.iter().map(|it| json!({"service": it})).collect();
    let path = format!("/gateway-groups/{}/sync", group(0));
    let body = json!({"services": services, "to": to});
    let operation = api.change(&path, &body).await?.operation;
    match operation.state {
        OperationState::Succeeded => Ok(()),
        state => Err(format!("a sync that fills the store ended as {state:?}").into()),
    }
}

/// The name of a group.
pub(crate) fn group(n: u8) -> String {
    format!("g{n:02}")
}

/// The group that has nothing.
pub(crate) const EMPTY: &str = "empty";
/// Connections that fill at once.
const CALLERS: usize = 8;
