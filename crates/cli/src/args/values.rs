//! Values that have a form of their own on the command line.

use std::str::FromStr;

use ferryway_model::{Digest, Name, NodeHost, VersionNumber};

/// A node, as `HOST[:PORT][:WEIGHT]` or `HOST[:PORT][,weight=N][,priority=N]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeArg {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) weight: Option<u16>,
    pub(crate) priority: Option<i32>,
}

impl FromStr for NodeArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, more) = match text.split_once(',') {
            Some((address, more)) => (address, Some(more)),
            None => (text, None),
        };
        let (host, rest) = split_host(address)?;
        let host: NodeHost = host
            .parse()
            .map_err(|_| format!("{host:?} is neither a host name nor an IP address"))?;
        let mut numbers = rest.map(|rest| rest.split(':')).into_iter().flatten();
        let mut node = Self {
            host: host.to_string(),
            port: number(numbers.next(), "port")?,
            weight: number(numbers.next(), "weight")?,
            priority: None,
        };
        if node.port == Some(0) {
            return Err("0 is no port: a number from 1 to 65535".to_owned());
        }
        if numbers.next().is_some() {
            return Err(format!("more than HOST:PORT:WEIGHT; {BRACKETS}"));
        }
        for part in more.into_iter().flat_map(|more| more.split(',')) {
            node.set(part)?;
        }
        Ok(node)
    }
}

impl NodeArg {
    /// Takes in `weight=N` or `priority=N`.
    fn set(&mut self, part: &str) -> Result<(), String> {
        let twice = match part.split_once('=') {
            Some(("weight", text)) => {
                let weight = number(Some(text), "weight")?;
                std::mem::replace(&mut self.weight, weight).is_some()
            }
            Some(("priority", text)) => {
                let whole = text.parse();
                let priority = whole.map_err(|_| format!("{text:?} is no priority: a number"))?;
                self.priority.replace(priority).is_some()
            }
            _ => return Err(format!("{part:?} is neither weight=N nor priority=N")),
        };
        if twice {
            return Err(format!("{part:?} says again what was said before"));
        }
        Ok(())
    }
}

/// The host without its brackets, and what follows its colon.
fn split_host(text: &str) -> Result<(&str, Option<&str>), String> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(text) => text.split_once(']').ok_or("the bracket has no end")?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    match rest.strip_prefix(':') {
        None if !rest.is_empty() => Err(format!("{rest:?} after the bracket is no :PORT")),
        rest => Ok((host, rest)),
    }
}

fn number(text: Option<&str>, what: &str) -> Result<Option<u16>, String> {
    let number = text.map(|text| match text.parse() {
        Ok(number) => Ok(number),
        // An empty one would let `fe80::1` pass for a host, no port and a weight.
        Err(_) if text.is_empty() => Err(format!("the {what} is empty; {BRACKETS}")),
        Err(_) => Err(format!("{text:?} is no {what}: a number up to 65535")),
    });
    number.transpose()
}

const BRACKETS: &str = "an IPv6 address stands in brackets";

/// A service in a registry, as `registry=…,namespace=…,group=…,service=…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiscoveryArg {
    pub(crate) registry: String,
    pub(crate) namespace: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) service: String,
}

impl FromStr for DiscoveryArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let [mut registry, mut namespace, mut group, mut service] = [const { None::<String> }; 4];
        for part in text.split(',') {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| format!("{part:?} is no KEY=VALUE"))?;
            let place = match key {
                "registry" => &mut registry,
                "namespace" => &mut namespace,
                "group" => &mut group,
                "service" => &mut service,
                _ => {
                    return Err(format!(
                        "{key:?} is none of registry, namespace, group, service"
                    ));
                }
            };
            if place.replace(value.to_owned()).is_some() {
                return Err(format!("{key} stands twice"));
            }
        }
        Ok(Self {
            registry: registry.ok_or("registry=… is missing")?,
            namespace,
            group,
            service: service.ok_or("service=… is missing")?,
        })
    }
}

/// A label, as `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(format!("{text:?} is no KEY=VALUE")),
        }
    }
}

/// What a rollback goes back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RollbackTarget {
    Version(VersionNumber),
    Digest(Digest),
}

impl FromStr for RollbackTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // No version number has a colon, so the two cannot be mistaken for each other.
        if text.contains(':') {
            let digest = text.parse().map_err(|error| format!("{error}"))?;
            return Ok(Self::Digest(digest));
        }
        text.parse()
            .map(Self::Version)
            .map_err(|error| format!("{error}"))
    }
}

/// A service, or one version of it: `SERVICE[@VERSION]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceVersion {
    pub(crate) service: Name,
    pub(crate) version: Option<VersionNumber>,
}

impl FromStr for ServiceVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, version) = match text.split_once('@') {
            Some((service, version)) => (service, Some(version)),
            None => (text, None),
        };
        let service = service
            .parse()
            .map_err(|error| format!("{service:?} as the name of a service {error}"))?;
        let version = version
            .map(|version| {
                version
                    .parse()
                    .map_err(|error| format!("{version:?} as a version number {error}"))
            })
            .transpose()?;
        Ok(Self { service, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: FromStr<Err = String> + std::fmt::Debug>(text: &str, expect: &str) {
        let got = match text.parse::<T>() {
            Ok(value) => format!("{value:?}"),
            Err(error) => error,
        };
        assert!(got.contains(expect), "{text}: {got}, not {expect}");
    }

    #[test]
    fn nodes() {
        let is = |host: &str, port: &str, weight: &str| {
            format!("NodeArg {{ host: {host:?}, port: {port}, weight: {weight}, priority: None }}")
        };
        check::<NodeArg>("httpbin.org", &is("httpbin.org", "None", "None"));
        check::<NodeArg>("httpbin.org:80", &is("httpbin.org", "Some(80)", "None"));
        check::<NodeArg>(
            "httpbin.org:80:5",
            &is("httpbin.org", "Some(80)", "Some(5)"),
        );
        check::<NodeArg>("10.0.0.1:1:5", &is("10.0.0.1", "Some(1)", "Some(5)"));
        check::<NodeArg>("[::1]:80:0", &is("::1", "Some(80)", "Some(0)"));
        check::<NodeArg>("[::1]", &is("::1", "None", "None"));
        check::<NodeArg>("::1", "\"\" is neither a host name nor an IP address");
        check::<NodeArg>(
            "fe80::1",
            "the port is empty; an IPv6 address stands in brackets",
        );
        check::<NodeArg>("a:1:2:3", "an IPv6 address stands in brackets");
        check::<NodeArg>("[::1", "the bracket has no end");
        check::<NodeArg>("[::1]80", "is no :PORT");
        check::<NodeArg>("a:http", "\"http\" is no port");
        check::<NodeArg>("a:80:70000", "\"70000\" is no weight");
        check::<NodeArg>("http://a", "no port");
        check::<NodeArg>("a:0", "0 is no port: a number from 1 to 65535");
        check::<NodeArg>("a,priority=-1", "weight: None, priority: Some(-1)");
        check::<NodeArg>(
            "[::1]:80,weight=5,priority=1",
            "port: Some(80), weight: Some(5), priority: Some(1)",
        );
        check::<NodeArg>("a:80:5,weight=5", "\"weight=5\" says again");
        check::<NodeArg>("a,priority=1,priority=1", "\"priority=1\" says again");
        check::<NodeArg>("a,b", "\"b\" is neither weight=N nor priority=N");
        check::<NodeArg>("a,priority=high", "\"high\" is no priority");
        check::<NodeArg>("a,weight=", "the weight is empty");
    }

    #[test]
    fn discoveries() {
        check::<DiscoveryArg>(
            "registry=dns,namespace=svc.example,service=_httpbin._tcp",
            "registry: \"dns\", namespace: Some(\"svc.example\"), group: None, \
             service: \"_httpbin._tcp\"",
        );
        check::<DiscoveryArg>("service=a:80,group=g,registry=r", "group: Some(\"g\")");
        check::<DiscoveryArg>("service=a", "registry=… is missing");
        check::<DiscoveryArg>("registry=a", "service=… is missing");
        check::<DiscoveryArg>("registry=a,registry=b,service=c", "registry stands twice");
        check::<DiscoveryArg>("registry=a,host=b", "\"host\" is none of");
        check::<DiscoveryArg>("consul", "\"consul\" is no KEY=VALUE");
    }

    #[test]
    fn labels() {
        check::<Label>("team=core", "key: \"team\", value: \"core\"");
        check::<Label>("a=b=c", "value: \"b=c\"");
        check::<Label>("team", "no KEY=VALUE");
        check::<Label>("=x", "no KEY=VALUE");
    }

    #[test]
    fn rollback_targets() {
        check::<RollbackTarget>("1.0.0", "Version(\"1.0.0\")");
        check::<RollbackTarget>(&format!("blake3:{}", "0".repeat(64)), "Digest(");
        check::<RollbackTarget>("blake3:12", "blake3");
        check::<RollbackTarget>("-1", "beginning with a letter or digit");
    }

    #[test]
    fn services_and_versions() {
        check::<ServiceVersion>("httpbin", "version: None");
        check::<ServiceVersion>("httpbin@1.0.0", "version: Some(\"1.0.0\")");
        check::<ServiceVersion>("Httpbin@1", "\"Httpbin\" as the name of a service must be");
        check::<ServiceVersion>("httpbin@", "\"\" as a version number must be");
    }
}
