//! What groups publish: services of a few kinds, each written into the content itself, so that an
//! instance judges it by what it reads.

use bytes::Bytes;
use ferryway_delivery::Service;
use ferryway_model::{
    Binding, Definition, Digest, Entry, Key, Name, Registry, RegistryEntry, ServiceEntry, Upstream,
};
use serde_json::json;

/// What a service says. Two contents of one name differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// It can be loaded. The number tells one from another.
    Good(u8),
    /// It can be read, and no table can be built with it.
    Bad(u8),
    /// It serves, but its checks fail.
    Flawed(u8),
    /// It cannot be read.
    Unreadable(u8),
    /// Its nodes are what the registry says; good where the group has it.
    ByRegistry,
}

/// What an instance makes of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    Good,
    Bad,
    Flawed,
}

const GOOD_PORT: u16 = 80;
const BAD_PORT: u16 = 666;
const FLAWED_PORT: u16 = 667;
/// The registry of each group.
const REGISTRY: &str = "names";

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("is a name")
}

pub(crate) fn registry_key() -> Key {
    Key::registry(&name(REGISTRY))
}

/// A service's entry and its content.
pub(crate) fn service(name: &Name, variant: Variant) -> (Entry, Vec<Bytes>) {
    let (kind, n, port) = match variant {
        Variant::Good(n) => ("good", n, GOOD_PORT),
        Variant::Bad(n) => ("bad", n, BAD_PORT),
        Variant::Flawed(n) => ("flawed", n, FLAWED_PORT),
        Variant::Unreadable(n) => ("unreadable", n, GOOD_PORT),
        Variant::ByRegistry => ("found", 0, GOOD_PORT),
    };
    // Some are long enough to travel compressed.
    let routes = if n % 4 == 3 { 16 } else { 1 };
    let route = |r| json!({"name": format!("r{r}"), "paths": [format!("/{kind}/{n}/{r}")]});
    let routes: Vec<_> = (0..routes).map(route).collect();
    let body = json!({"name": name, "routes": routes});
    let definition = Definition::parse(&body, None).expect("is a definition");
    let body = match variant {
        Variant::ByRegistry => json!({"discovery": {"registry": REGISTRY, "service": "a.b"}}),
        Variant::Good(_) | Variant::Bad(_) | Variant::Flawed(_) | Variant::Unreadable(_) => {
            json!({"nodes": [{"host": "127.0.0.1", "port": port}]})
        }
    };
    let binding = Binding::parse(&body).expect("is a binding");
    let mut definition = definition.bytes.into_vec();
    if let Variant::Unreadable(_) = variant {
        definition.push(b' ');
    }
    let (definition, binding) = (
        Bytes::from(definition),
        Bytes::from(binding.bytes.into_vec()),
    );
    let entry = ServiceEntry {
        version: Some("1.0.0".parse().expect("is a version")),
        definition: Digest::of(&definition),
        binding: Digest::of(&binding),
        enabled: true,
        candidate: None,
        rollout: None,
    };
    (Entry::Service(entry), vec![definition, binding])
}

/// The registry's entry and its content.
pub(crate) fn registry(port: u16) -> (Entry, Vec<Bytes>) {
    let endpoint = format!("127.0.0.1:{port}");
    let body = json!({"name": REGISTRY, "kind": "dns", "endpoints": [endpoint]});
    let (sealed, _) = Registry::parse(&body, None).expect("is a registry");
    let bytes = Bytes::from(sealed.bytes.into_vec());
    let content = Digest::of(&bytes);
    (Entry::Registry(RegistryEntry { content }), vec![bytes])
}

/// What an instance makes of a service that it could read.
pub(crate) fn quality(service: &Service) -> Quality {
    let Upstream::Nodes(nodes) = &service.binding.content.upstream else {
        return Quality::Good;
    };
    match nodes.first().and_then(|node| node.port) {
        Some(BAD_PORT) => Quality::Bad,
        Some(FLAWED_PORT) => Quality::Flawed,
        Some(_) | None => Quality::Good,
    }
}
