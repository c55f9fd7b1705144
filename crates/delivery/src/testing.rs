//! Content for this crate's tests: services of a few variants, as a control plane would store them.

use bytes::Bytes;
use ferryway_model::{
    Binding, Changes, Definition, Digest, Entry, Key, Name, Registry, RegistryEntry, Revision,
    ServiceEntry, View,
};
use ferryway_proto::Epoch;
use serde_json::json;
use uuid::Uuid;

use crate::load::Content;

/// What a service says. Two contents of one name differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Variant {
    /// It can be loaded. The number tells one from another.
    Good(u8),
    /// It can be loaded, and has a check.
    Checked(u8),
    /// It can be read, and the tests' installers reject it.
    Bad(u8),
    /// It cannot be read.
    Unreadable(u8),
    /// Its binding names a registry that is not there.
    Dangling,
    /// Its entry has a form that comes after this build's: the tests' wires make it so.
    Newer(u8),
}

/// The port of a node that the tests' installers reject.
pub(crate) const BAD_PORT: u16 = 666;

/// The version of a service whose entry has a form that comes after this build's.
pub(crate) const NEWER: &str = "9.9.9";

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("is a name")
}

pub(crate) fn epoch(n: u128) -> Epoch {
    Epoch {
        store: Uuid::from_u128(n),
        restores: 0,
    }
}

/// A service's entry and the content it names.
pub(crate) fn service(name: &Name, variant: Variant) -> (Entry, [Bytes; 2]) {
    let (path, port) = match variant {
        Variant::Good(n) | Variant::Checked(n) => (format!("/{n}"), 80),
        Variant::Bad(n) => (format!("/bad/{n}"), BAD_PORT),
        Variant::Unreadable(n) => (format!("/unreadable/{n}"), 80),
        Variant::Dangling => ("/dangling".to_owned(), 80),
        Variant::Newer(n) => (format!("/newer/{n}"), 80),
    };
    let mut body = json!({"name": name, "routes": [{"name": "r", "paths": [path]}]});
    if let Variant::Checked(_) = variant {
        body["checks"] = json!([{"name": "c", "path": "/", "expect": {}}]);
    }
    let definition = Definition::parse(&body, None).expect("is a definition");
    let body = match variant {
        Variant::Dangling => json!({"discovery": {"registry": "nowhere", "service": "a.b"}}),
        Variant::Good(_)
        | Variant::Checked(_)
        | Variant::Bad(_)
        | Variant::Unreadable(_)
        | Variant::Newer(_) => {
            json!({"nodes": [{"host": "127.0.0.1", "port": port}]})
        }
    };
    let binding = Binding::parse(&body).expect("is a binding");
    let mut definition = Bytes::from(definition.bytes.into_vec());
    if let Variant::Unreadable(_) = variant {
        definition = [&definition[..], b" "].concat().into();
    }
    let binding = Bytes::from(binding.bytes.into_vec());
    let version = match variant {
        Variant::Newer(_) => NEWER,
        _ => "1.0.0",
    };
    let entry = ServiceEntry {
        version: Some(version.parse().expect("is a version")),
        definition: Digest::of(&definition),
        binding: Digest::of(&binding),
        enabled: true,
        candidate: None,
        rollout: None,
    };
    (Entry::Service(entry), [definition, binding])
}

/// A registry's entry and content.
pub(crate) fn registry(name: &Name, port: u16) -> (Entry, Bytes) {
    let body = json!({"name": name, "kind": "dns", "endpoints": [format!("127.0.0.1:{port}")]});
    let (sealed, _) = Registry::parse(&body, None).expect("is a registry");
    let bytes = Bytes::from(sealed.bytes.into_vec());
    let content = Digest::of(&bytes);
    (Entry::Registry(RegistryEntry { content }), bytes)
}

/// The view with these services put in or taken out, and the content that they name.
pub(crate) fn change(view: &View, services: &[(&str, Option<Variant>)]) -> (View, Vec<Bytes>) {
    let mut changes = Changes::default();
    let mut content = Vec::new();
    for (service_name, variant) in services {
        let service_name = name(service_name);
        let key = Key::service(&service_name);
        changes.upserts.remove(&key);
        changes.removals.remove(&key);
        match variant {
            Some(variant) => {
                let (entry, blobs) = service(&service_name, *variant);
                changes.upserts.insert(key, entry);
                content.extend(blobs);
            }
            None => {
                changes.removals.insert(key);
            }
        }
    }
    (view.with(&changes), content)
}

/// A view of these services, and its content.
pub(crate) fn view_of(services: &[(&str, Variant)]) -> (View, Content) {
    let services: Vec<_> = services
        .iter()
        .map(|(name, variant)| (*name, Some(*variant)))
        .collect();
    let (view, content) = change(&View::empty(), &services);
    (view, by_digest(content))
}

pub(crate) fn by_digest(content: Vec<Bytes>) -> Content {
    content
        .into_iter()
        .map(|bytes| (Digest::of(&bytes), bytes))
        .collect()
}

pub(crate) fn position(epoch: Epoch, revision: u64, view: &View) -> ferryway_proto::Position {
    ferryway_proto::Position {
        epoch,
        revision: Revision(revision),
        root: view.root(),
    }
}
