//! What to follow.

use std::net::SocketAddr;
use std::time::Duration;

use ferryway_model::{Binding, DnsQuery, Node, Registry, Upstream};

/// What to follow. Equal targets are followed once, however many upstreams name them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Nodes, those with a name resolved by the gateway's own resolver.
    Nodes {
        /// The nodes.
        nodes: Vec<Node>,
        /// The port of a node that names none: the scheme's.
        default_port: u16,
    },
    /// A question to a registry of kind `dns`.
    Dns {
        /// Servers to ask; none: the gateway's own.
        servers: Vec<SocketAddr>,
        /// For how long the registry must have said "none" before it is believed.
        empty_after: Duration,
        /// No answer is asked again sooner.
        min_ttl: Duration,
        /// An answer is asked again at the latest.
        max_ttl: Duration,
        /// What is asked.
        query: DnsQuery,
        /// The port where the query names none: the scheme's.
        default_port: u16,
    },
}

/// Why a binding cannot be followed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unfollowable {
    /// The binding names a registry that was not given.
    #[error("registry `{0}` does not exist in this group")]
    NoRegistry(String),
    /// The registry cannot answer what the binding asks.
    #[error("registry `{registry}` cannot be asked: {why}")]
    Query {
        /// The registry's name.
        registry: String,
        /// A sentence that says why.
        why: String,
    },
}

impl Target {
    /// What a binding asks to follow, with the registry it names and the port of the scheme that
    /// is spoken under it.
    ///
    /// # Errors
    ///
    /// The registry is missing, is another one, or cannot answer such a question.
    pub fn of(
        binding: &Binding,
        registry: Option<&Registry>,
        default_port: u16,
    ) -> Result<Self, Unfollowable> {
        let discovery = match &binding.upstream {
            Upstream::Nodes(nodes) => {
                return Ok(Self::Nodes {
                    nodes: nodes.clone(),
                    default_port,
                });
            }
            Upstream::Discovery(discovery) => discovery,
        };
        let name = discovery.registry.to_string();
        let Some(registry) = registry.filter(|it| it.name == discovery.registry) else {
            return Err(Unfollowable::NoRegistry(name));
        };
        let query = registry
            .query(discovery)
            .map_err(|why| Unfollowable::Query {
                registry: name,
                why,
            })?;
        let Registry {
            name: _,
            endpoints,
            empty_after,
            min_ttl,
            max_ttl,
        } = registry;
        Ok(Self::Dns {
            servers: endpoints.clone(),
            empty_after: empty_after.duration(),
            min_ttl: min_ttl.duration(),
            max_ttl: max_ttl.duration(),
            query,
            default_port,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ferryway_model::parse_json;

    use super::*;

    pub(crate) fn binding(json: &str) -> Binding {
        Binding::parse(&parse_json(json.as_bytes()).unwrap())
            .unwrap()
            .content
    }

    fn registry(json: &str) -> Registry {
        Registry::parse(&parse_json(json.as_bytes()).unwrap(), None)
            .unwrap()
            .0
            .content
    }

    const REGISTRY: &str = r#"{"name": "dns-a", "kind": "dns", "endpoints": ["10.0.0.1:53"]}"#;

    #[track_caller]
    fn check(discovery: &str, expect: Result<DnsQuery, &str>) {
        let json = format!(r#"{{"discovery": {discovery}}}"#);
        let query = Target::of(&binding(&json), Some(&registry(REGISTRY)), 80).map(|it| match it {
            Target::Dns { query, .. } => query,
            Target::Nodes { .. } => panic!("not nodes"),
        });
        assert_eq!(
            query.map_err(|error| error.to_string()),
            expect.map_err(str::to_owned)
        );
    }

    #[test]
    fn nodes_stay_as_they_are() {
        let nodes = r#"{"nodes": [{"host": "a.example"}, {"host": "10.0.0.1", "port": 8080}]}"#;
        let target = Target::of(&binding(nodes), None, 443).unwrap();
        let Target::Nodes {
            nodes,
            default_port,
        } = target
        else {
            panic!("not nodes")
        };
        assert_eq!((nodes.len(), default_port), (2, 443));
    }

    #[test]
    fn questions_to_a_registry() {
        let name = |name: &str| name.parse().unwrap();
        check(
            r#"{"registry": "dns-a", "service": "web:8080", "namespace": "svc.example"}"#,
            Ok(DnsQuery::Address {
                name: name("web.svc.example"),
                port: Some(8080),
            }),
        );
        check(
            r#"{"registry": "dns-a", "service": "_web._tcp", "namespace": "svc.example"}"#,
            Ok(DnsQuery::Service {
                name: name("_web._tcp.svc.example"),
            }),
        );
        check(
            r#"{"registry": "dns-b", "service": "web"}"#,
            Err("registry `dns-b` does not exist in this group"),
        );
    }

    #[test]
    fn a_registrys_settings_are_part_of_the_target() {
        let binding = binding(r#"{"discovery": {"registry": "dns-a", "service": "web"}}"#);
        let target = |json| Target::of(&binding, Some(&registry(json)), 80).unwrap();
        let slower = REGISTRY.replace("\"kind\"", "\"max_ttl\": \"1m\", \"kind\"");
        assert_ne!(target(REGISTRY), target(&slower));
        let title = REGISTRY.replace("\"kind\"", "\"title\": \"DNS\", \"kind\"");
        assert_eq!(target(REGISTRY), target(&title));
    }
}
