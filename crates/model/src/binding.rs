//! Bindings: where a group finds a service's upstream, and under which names it serves it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde_json::{Value, json};

use crate::definition::{Definition, Scheme, Sealed, read_hosts};
use crate::host::{HostName, HostPattern};
use crate::json;
use crate::limits::NODES_MAX;
use crate::name::Name;
use crate::problem::{Code, Problem};
use crate::walk::{At, Walk};

/// The half of an upstream that a group owns. Never part of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Where the upstream is.
    pub upstream: Upstream,
    /// What replaces the version's hosts in this group; an empty list means any host.
    pub hosts: Option<Vec<HostPattern>>,
    /// What replaces the version's scheme in this group.
    pub scheme: Option<Scheme>,
}

/// The ways of finding an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// These nodes; at least one has a weight above 0.
    Nodes(Vec<Node>),
    /// What a registry of the group says.
    Discovery(Discovery),
}

/// One node of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// A name to resolve, or an address.
    pub host: NodeHost,
    /// None: the scheme's default.
    pub port: Option<u16>,
    /// Its share of new requests; 0: none. Default 100.
    pub weight: u16,
    /// Higher first; a lower one only where no node of the higher is healthy. Default 0.
    pub priority: i32,
}

/// What a node is reached by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NodeHost {
    /// A name, resolved as its TTL says.
    Name(HostName),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

/// A service in a registry of the group. Which of the fields a registry has depends on its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Discovery {
    /// The registry's name in the group.
    pub registry: Name,
    /// A namespace of the registry; for `dns` a domain to append.
    pub namespace: Option<Box<str>>,
    /// A group of the registry, where it has them.
    pub group: Option<Box<str>>,
    /// The service's name in the registry.
    pub service: Box<str>,
}

const WEIGHT_DEFAULT: i64 = 100;
const DISCOVERY_BYTES_MAX: usize = 512;

impl Binding {
    /// Reads a binding as callers send it.
    ///
    /// # Errors
    /// All problems, each with its place in the binding.
    pub fn parse(body: &Value) -> Result<Sealed<Self>, Vec<Problem>> {
        let mut walk = Walk::new();
        let read = Self::read(&mut walk, body, At::Root);
        walk.finish(read)
            .map(|binding| Sealed::new(binding, Self::to_value))
    }

    /// Reads canonical bytes, as they come from the store, the wire or the disk.
    ///
    /// # Errors
    /// All problems; also when the bytes are not canonical.
    pub fn from_canonical(bytes: &[u8]) -> Result<Sealed<Self>, Vec<Problem>> {
        let body = json::parse(bytes).map_err(|problem| vec![problem])?;
        let sealed = Self::parse(&body)?;
        sealed.made_of(bytes, "binding")
    }

    /// Reads a binding inside another body.
    pub fn read(walk: &mut Walk, value: &Value, at: At<'_>) -> Option<Self> {
        let mut object = walk.object(value, at)?;
        let nodes = object.take("nodes");
        let discovery = object.take("discovery");
        let upstream = match (nodes, discovery) {
            (Some(nodes), None) => {
                read_nodes(walk, nodes, &object.field("nodes")).map(Upstream::Nodes)
            }
            (None, Some(value)) => {
                Discovery::read(walk, value, object.field("discovery")).map(Upstream::Discovery)
            }
            (None, None) => {
                walk.note(
                    Code::Required,
                    object.at(),
                    "needs exactly one of nodes and discovery",
                );
                None
            }
            (Some(_), Some(_)) => {
                walk.note(
                    Code::Invalid,
                    object.at(),
                    "has nodes and discovery; exactly one may be given",
                );
                None
            }
        };
        let hosts = object
            .take("hosts")
            .map(|v| read_hosts(walk, v, &object.field("hosts")));
        let scheme = object
            .take("scheme")
            .map(|v| Scheme::read(walk, v, &object.field("scheme")));
        object.finish(walk, &["digest"]);
        let scheme = match scheme {
            Some(read) => Some(read?),
            None => None,
        };
        Some(Self {
            upstream: upstream?,
            hosts,
            scheme,
        })
    }

    /// The binding with its canonical bytes and digest.
    #[must_use]
    pub fn seal(self) -> Sealed<Self> {
        Sealed::new(self, Self::to_value)
    }

    /// The binding as JSON, with its defaults filled in.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "hosts": self.hosts.as_ref().map(|h| h.iter().map(HostPattern::to_string).collect::<Vec<_>>()),
            "scheme": self.scheme.map(Scheme::as_str),
        });
        match &self.upstream {
            Upstream::Nodes(nodes) => value["nodes"] = nodes.iter().map(Node::to_value).collect(),
            Upstream::Discovery(discovery) => value["discovery"] = discovery.to_value(),
        }
        value
    }

    /// The hosts that the service has under this binding.
    #[must_use]
    pub fn effective_hosts<'a>(&'a self, definition: &'a Definition) -> &'a [HostPattern] {
        self.hosts.as_deref().unwrap_or(&definition.hosts)
    }

    /// The scheme that is spoken to the upstream under this binding.
    #[must_use]
    pub fn effective_scheme(&self, definition: &Definition) -> Scheme {
        self.scheme.unwrap_or(definition.upstream.scheme)
    }

    /// The registry that it names, if it names one.
    #[must_use]
    pub fn registry(&self) -> Option<&Name> {
        match &self.upstream {
            Upstream::Nodes(_) => None,
            Upstream::Discovery(discovery) => Some(&discovery.registry),
        }
    }
}

impl Node {
    fn read(walk: &mut Walk, value: &Value, at: At<'_>) -> Option<Self> {
        let mut object = walk.object(value, at)?;
        let host = object
            .need(walk, "host")
            .and_then(|v| walk.parsed(v, &object.field("host")));
        let port = object
            .take("port")
            .map(|v| walk.number(v, &object.field("port"), 1, u16::MAX.into()));
        let weight = object.take("weight").map_or(Some(WEIGHT_DEFAULT), |v| {
            walk.number(v, &object.field("weight"), 0, u16::MAX.into())
        });
        let priority = object.take("priority").map_or(Some(0), |v| {
            walk.number(
                v,
                &object.field("priority"),
                i32::MIN.into(),
                i32::MAX.into(),
            )
        });
        object.finish(walk, &[]);
        let port = match port {
            Some(port) => Some(u16::try_from(port?).ok()?),
            None => None,
        };
        let (weight, priority) = (weight?.try_into().ok()?, priority?.try_into().ok()?);
        Some(Self {
            host: host?,
            port,
            weight,
            priority,
        })
    }

    fn to_value(&self) -> Value {
        let Self {
            host,
            port,
            weight,
            priority,
        } = self;
        json!({"host": host.to_string(), "port": port, "weight": weight, "priority": priority})
    }
}

fn read_nodes(walk: &mut Walk, value: &Value, at: &At<'_>) -> Option<Vec<Node>> {
    let items = walk.list(value, at, NODES_MAX)?;
    let mut nodes: Vec<Node> = Vec::with_capacity(items.len());
    let mut seen = std::collections::BTreeSet::new();
    for (n, item) in items.iter().enumerate() {
        let at = At::Item(at, n);
        let Some(node) = Node::read(walk, item, at) else {
            continue;
        };
        // Every scheme of this build has the same port where none is named.
        let port = node.port.unwrap_or(Scheme::Http.default_port());
        if !seen.insert((node.host.to_string(), port)) {
            walk.note(
                Code::Duplicate,
                &at,
                format!("names the node {} with port {port} again", node.host),
            );
        }
        nodes.push(node);
    }
    if items.is_empty() {
        walk.note(Code::Required, at, "is empty; name at least one node");
    } else if nodes.len() == items.len() && nodes.iter().all(|node| node.weight == 0) {
        walk.note(
            Code::Invalid,
            at,
            "has no node with a weight above 0, so no request could be sent",
        );
    }
    Some(nodes)
}

impl Discovery {
    fn read(walk: &mut Walk, value: &Value, at: At<'_>) -> Option<Self> {
        let mut object = walk.object(value, at)?;
        let registry = object
            .need(walk, "registry")
            .and_then(|v| walk.parsed(v, &object.field("registry")));
        let namespace = object
            .take("namespace")
            .and_then(|v| read_part(walk, v, &object.field("namespace")));
        let group = object
            .take("group")
            .and_then(|v| read_part(walk, v, &object.field("group")));
        let service = object
            .need(walk, "service")
            .and_then(|v| read_part(walk, v, &object.field("service")));
        object.finish(walk, &[]);
        Some(Self {
            registry: registry?,
            namespace,
            group,
            service: service?,
        })
    }

    fn to_value(&self) -> Value {
        let Self {
            registry,
            namespace,
            group,
            service,
        } = self;
        json!({"registry": registry, "namespace": namespace, "group": group, "service": service})
    }
}

/// Reads a name of a registry's own: any visible text.
fn read_part(walk: &mut Walk, value: &Value, at: &At<'_>) -> Option<Box<str>> {
    let text = walk.text(value, at, DISCOVERY_BYTES_MAX)?;
    if text.is_empty() || text.chars().any(char::is_whitespace) {
        walk.note(Code::Invalid, at, "must be a name without spaces");
        return None;
    }
    Some(text.into())
}

/// A text that is neither a host name nor an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is neither a host name nor an IP address (the port has a field of its own)")]
pub struct InvalidNodeHost;

impl FromStr for NodeHost {
    type Err = InvalidNodeHost;

    fn from_str(text: &str) -> Result<Self, InvalidNodeHost> {
        if let Ok(address) = text.parse() {
            return Ok(Self::V4(address));
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::V6(address));
        }
        let name: HostName = text.parse().map_err(|_| InvalidNodeHost)?;
        // A name whose last label is a number would be read as an address by some (RFC 3696, 2).
        let last = name.as_str().rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|b| b.is_ascii_digit()) {
            Err(InvalidNodeHost)
        } else {
            Ok(Self::Name(name))
        }
    }
}

impl fmt::Display for NodeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name}"),
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn good(body: &Value, canonical: &Value) {
        let sealed = Binding::parse(body).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!(&sealed.content.to_value(), canonical);
        let again = Binding::from_canonical(&sealed.bytes).expect("canonical bytes are readable");
        assert_eq!(
            (again.digest, again.content),
            (sealed.digest, sealed.content)
        );
    }

    #[track_caller]
    fn bad(body: &Value, expect: &[&str]) {
        let problems = Binding::parse(body).expect_err("there are problems");
        let got: Vec<_> = problems
            .iter()
            .map(|p| format!("{} {}", p.code, p.path))
            .collect();
        assert_eq!(got, expect, "{problems:?}");
    }

    #[test]
    fn defaults_are_filled_in() {
        good(
            &json!({"nodes": [{"host": "HTTPBIN.org"}, {"host": "[::1]", "port": 81, "weight": 0, "priority": -1}]}),
            &json!({"nodes": [
                {"host": "httpbin.org", "port": null, "weight": 100, "priority": 0},
                {"host": "::1", "port": 81, "weight": 0, "priority": -1}], "hosts": null, "scheme": null}),
        );
        good(
            &json!({"discovery": {"registry": "dns", "service": "_a._tcp"}, "hosts": [], "scheme": "http"}),
            &json!({"discovery": {"registry": "dns", "namespace": null, "group": null, "service": "_a._tcp"},
                "hosts": [], "scheme": "http"}),
        );
    }

    #[test]
    fn what_is_no_binding() {
        bad(&json!({}), &["required "]);
        bad(
            &json!({"nodes": [{"host": "a"}], "discovery": {"registry": "r", "service": "s"}}),
            &["invalid "],
        );
        bad(&json!({"nodes": []}), &["required nodes"]);
        bad(
            &json!({"nodes": [{"host": "a", "weight": 0}]}),
            &["invalid nodes"],
        );
        bad(
            &json!({"nodes": [{"host": "a", "weight": 70_000}, {"host": "b", "port": 0}, {"host": "a b"}, {"host": "a:80"}, {}]}),
            &[
                "invalid nodes[0].weight",
                "invalid nodes[1].port",
                "invalid nodes[2].host",
                "invalid nodes[3].host",
                "required nodes[4].host",
            ],
        );
        bad(
            &json!({"nodes": [{"host": "a"}, {"host": "a"}]}),
            &["duplicate nodes[1]"],
        );
        bad(
            &json!({"nodes": [{"host": "1.2.3"}]}),
            &["invalid nodes[0].host"],
        );
        bad(
            &json!({"nodes": [{"host": "a", "weigth": 1}], "host": []}),
            &["unknown_field nodes[0].weigth", "unknown_field host"],
        );
        bad(
            &json!({"nodes": [{"host": "a"}], "scheme": "https"}),
            &["unsupported scheme"],
        );
        bad(
            &json!({"discovery": {"registry": "R"}}),
            &["invalid discovery.registry", "required discovery.service"],
        );
        bad(
            &json!({"discovery": {"registry": "r", "service": null}}),
            &["required discovery.service"],
        );
        bad(&json!([]), &["wrong_type "]);
    }
}
