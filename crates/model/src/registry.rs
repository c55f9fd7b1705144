//! Registries: a group's connections to service registries. This build has the kind `dns`.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::binding::Discovery;
use crate::definition::{Sealed, read_name, read_span};
use crate::host::HostName;
use crate::json;
use crate::limits::REGISTRY_ENDPOINTS_MAX;
use crate::meta::read_title;
use crate::name::Name;
use crate::problem::{Code, Problem};
use crate::span::Span;
use crate::walk::{At, Object, Walk};

/// A connection to a service registry, defined in a group. Its title is for people and no part of
/// what is delivered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Registry {
    /// The registry's name in the group.
    pub name: Name,
    /// Servers to ask; none: the gateway's own (`--dns-server`, else the system's).
    pub endpoints: Vec<SocketAddr>,
    /// For how long the registry must have said "none" before it is believed; default 30 s.
    pub empty_after: Span,
    /// An answer is not asked again sooner; default 1 s.
    pub min_ttl: Span,
    /// An answer is asked again at the latest; default 5 min.
    pub max_ttl: Span,
}

/// What a binding asks a registry of kind `dns` for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DnsQuery {
    /// A and AAAA of this name; the port where the binding names one.
    Address {
        /// The name asked for, namespace appended.
        name: HostName,
        /// None: the scheme's default.
        port: Option<u16>,
    },
    /// SRV of this name: ports, weights and priorities come with the answer.
    Service {
        /// The name asked for, as `_svc._proto.name`, namespace appended.
        name: HostName,
    },
}

const SHORT_BYTES_MAX: usize = 64;

impl Registry {
    /// Reads what a caller sent: the registry and its title.
    ///
    /// # Errors
    /// All problems, each with its place.
    pub fn parse(
        body: &Value,
        name: Option<&Name>,
    ) -> Result<(Sealed<Self>, String), Vec<Problem>> {
        let mut walk = Walk::new();
        let read = walk
            .object(body, At::Root)
            .and_then(|object| Self::read(&mut walk, object, name, "kind"));
        let (registry, title) = walk.finish(read)?;
        Ok((registry.seal(), title))
    }

    /// Reads canonical bytes, as they come from the store, the wire or the disk.
    ///
    /// # Errors
    /// All problems; also when the bytes are not canonical.
    pub fn from_canonical(bytes: &[u8]) -> Result<Sealed<Self>, Vec<Problem>> {
        let body = json::parse(bytes).map_err(|problem| vec![problem])?;
        let (sealed, _) = Self::parse(&body, None)?;
        sealed.made_of(bytes, "registry")
    }

    /// The registry with its canonical bytes and digest.
    #[must_use]
    pub fn seal(self) -> Sealed<Self> {
        Sealed::new(self, Self::to_value)
    }

    /// The registry as JSON, with its defaults filled in, without its title.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let Self {
            name,
            endpoints,
            empty_after,
            min_ttl,
            max_ttl,
        } = self;
        json!({
            "name": name, "kind": "dns", "endpoints": endpoints, "auth": null,
            "empty_after": empty_after, "min_ttl": min_ttl, "max_ttl": max_ttl,
        })
    }

    /// What a binding asks this registry for.
    ///
    /// # Errors
    /// The binding is none that a registry of this kind can answer: a sentence that says why.
    pub fn query(&self, discovery: &Discovery) -> Result<DnsQuery, String> {
        let Discovery {
            registry: _,
            namespace,
            group,
            service,
        } = discovery;
        if group.is_some() {
            return Err("a registry of kind dns has no groups; leave `group` out".to_owned());
        }
        if let Some(domain) = namespace
            && domain.trim_end_matches('.').is_empty()
        {
            return Err(format!(
                "the namespace {domain:?} is no domain; leave it out"
            ));
        }
        let whole = |name: &str| match namespace {
            Some(domain) => format!(
                "{}.{}",
                name.trim_end_matches('.'),
                domain.trim_end_matches('.')
            ),
            None => name.to_owned(),
        };
        let host = |name: String| {
            name.parse::<HostName>()
                .map_err(|_| format!("{name:?} is no name that DNS can be asked for"))
        };
        if service.starts_with('_') {
            let mut labels = service.split('.');
            let (_, protocol) = (labels.next(), labels.next());
            if !protocol.is_some_and(|label| label.starts_with('_')) {
                return Err(format!(
                    "{service:?} is no SRV name; write \"_service._tcp\""
                ));
            }
            return Ok(DnsQuery::Service {
                name: host(whole(service))?,
            });
        }
        let (name, port) = match service.split_once(':') {
            None => (&**service, None),
            // Digits only: a number may be written with a sign.
            Some((name, port)) => match port.parse::<u16>() {
                Ok(number) if number > 0 && !port.starts_with('+') => (name, Some(number)),
                _ => {
                    return Err(format!(
                        "{service:?} has no port of 1 to 65535 after the ':'"
                    ));
                }
            },
        };
        Ok(DnsQuery::Address {
            name: host(whole(name))?,
            port,
        })
    }

    /// Reads what is left of an object from which its first fields may have been taken. `kind` is
    /// the field that says of which kind the registry is.
    pub(crate) fn read(
        walk: &mut Walk,
        mut object: Object<'_>,
        name: Option<&Name>,
        kind: &'static str,
    ) -> Option<(Self, String)> {
        let name = read_name(walk, &mut object, name);
        let title = read_title(walk, &mut object);
        if let Some(value) = object.need(walk, kind) {
            match walk.text(value, &object.field(kind), SHORT_BYTES_MAX) {
                Some("dns") | None => {}
                Some(later @ ("consul" | "nacos" | "eureka" | "kubernetes" | "etcd" | "file")) => {
                    walk.unsupported(&object.field(kind), &format!("registry of kind {later}"));
                    // Its other fields are its own kind's: they can't be judged.
                    return None;
                }
                Some(other) => {
                    let message = format!("{other:?} is no kind of registry; this build knows dns");
                    walk.note(Code::Invalid, &object.field(kind), message);
                }
            }
        }
        let mut endpoints = Vec::new();
        if let Some(value) = object.take("endpoints") {
            let at = object.field("endpoints");
            for (n, item) in walk
                .list(value, &at, REGISTRY_ENDPOINTS_MAX)
                .unwrap_or_default()
                .iter()
                .enumerate()
            {
                let at = At::Item(&at, n);
                let Some(address) = walk.parsed::<Endpoint>(item, &at) else {
                    continue;
                };
                if endpoints.contains(&address.0) {
                    walk.note(
                        Code::Duplicate,
                        &at,
                        format!("names the server {} again", address.0),
                    );
                }
                endpoints.push(address.0);
            }
        }
        object.only_default(
            walk,
            "auth",
            &Value::Null,
            "credentials for a registry of kind dns",
        );
        let mut span =
            |object: &mut _, name, default| read_span(walk, object, name).unwrap_or(default);
        let empty_after = span(&mut object, "empty_after", Span::from_secs(30));
        let min_ttl = span(&mut object, "min_ttl", Span::from_secs(1));
        let max_ttl = span(&mut object, "max_ttl", Span::from_secs(300));
        if min_ttl > max_ttl {
            let message = format!("is {min_ttl}, more than max_ttl ({max_ttl})");
            walk.note(Code::Invalid, &object.field("min_ttl"), message);
        }
        object.finish(walk, &["digest"]);
        let registry = Self {
            name: name?,
            endpoints,
            empty_after,
            min_ttl,
            max_ttl,
        };
        Some((registry, title))
    }
}

/// A server's address, as `IP:PORT`.
struct Endpoint(SocketAddr);

impl std::str::FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 => Ok(Self(address)),
            _ => Err("is no server address; write \"IP:PORT\", as in \"10.0.0.2:53\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn query(service: &str, namespace: Option<&str>, expect: Result<&str, &str>) {
        let (registry, _) =
            Registry::parse(&json!({"name": "r", "kind": "dns"}), None).expect("is a registry");
        let discovery = Discovery {
            registry: registry.content.name.clone(),
            namespace: namespace.map(Box::from),
            group: None,
            service: service.into(),
        };
        let got = registry.content.query(&discovery).map(|query| match query {
            DnsQuery::Address { name, port } => format!("address {name} {port:?}"),
            DnsQuery::Service { name } => format!("service {name}"),
        });
        match (got, expect) {
            (Ok(got), Ok(expect)) => assert_eq!(got, expect),
            (Err(got), Err(part)) => assert!(got.contains(part), "{got}"),
            (got, expect) => panic!("{service}: got {got:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn queries() {
        query(
            "httpbin",
            Some("svc.example"),
            Ok("address httpbin.svc.example None"),
        );
        query(
            "httpbin.svc.example:8080",
            None,
            Ok("address httpbin.svc.example Some(8080)"),
        );
        query(
            "_httpbin._tcp",
            Some("svc.example."),
            Ok("service _httpbin._tcp.svc.example"),
        );
        query(
            "_httpbin._tcp.svc.example",
            None,
            Ok("service _httpbin._tcp.svc.example"),
        );
        query("_httpbin", None, Err("no SRV name"));
        query("httpbin:0", None, Err("port"));
        query("httpbin:+80", None, Err("port"));
        query("httpbin", Some(".."), Err("no domain"));
        query("a/b", None, Err("no name"));
    }

    #[track_caller]
    fn bad(body: &Value, expect: &[&str]) {
        let problems = Registry::parse(body, None).expect_err("there are problems");
        let got: Vec<_> = problems
            .iter()
            .map(|p| format!("{} {}", p.code, p.path))
            .collect();
        assert_eq!(got, expect, "{problems:?}");
    }

    #[test]
    fn what_is_no_registry() {
        bad(&json!({"name": "r"}), &["required kind"]);
        bad(
            &json!({"name": "r", "kind": "consul", "token": "x"}),
            &["unsupported kind"],
        );
        bad(
            &json!({"name": "r", "kind": "dns", "endpoints": ["a:1", "1.2.3.4", "1.2.3.4:0"]}),
            &[
                "invalid endpoints[0]",
                "invalid endpoints[1]",
                "invalid endpoints[2]",
            ],
        );
        bad(
            &json!({"name": "r", "kind": "dns", "min_ttl": "10s", "max_ttl": "5s"}),
            &["invalid min_ttl"],
        );
        bad(
            &json!({"name": "r", "kind": "dns", "auth": {"token": "x"}}),
            &["unsupported auth"],
        );
    }
}
