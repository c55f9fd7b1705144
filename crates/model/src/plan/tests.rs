//! The plan's rules, each on a small world written as text.

mod digest;
mod in_place;
mod places;
mod publishing;

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::conflict::Claimant;
use crate::problem::Code;

/// A world of two groups with services; instances can be put in.
#[derive(Clone, Default)]
struct Small {
    hub: BTreeMap<Name, Arc<Sealed<Definition>>>,
    running: BTreeMap<(Name, Name), Running>,
    history: BTreeMap<(Name, Name), Vec<Past>>,
    used: Vec<(Name, VersionNumber)>,
    instances: BTreeMap<Name, Vec<InstanceFacts>>,
    enforced: Vec<Name>,
}

impl World for Small {
    fn group(&self, group: &Name) -> Option<GroupFacts> {
        let known = ["test", "production", "dr"].contains(&group.as_str());
        known.then(|| GroupFacts {
            enforce_publishing: self.enforced.contains(group),
        })
    }
    fn hub(&self, service: &Name) -> Option<Arc<Sealed<Definition>>> {
        self.hub.get(service).cloned()
    }
    fn version_used(&self, service: &Name, version: &VersionNumber) -> bool {
        self.used.contains(&(service.clone(), version.clone()))
    }
    fn running(&self, group: &Name, service: &Name) -> Option<Running> {
        self.running.get(&(group.clone(), service.clone())).cloned()
    }
    fn registry(&self, group: &Name, registry: &Name) -> Option<Arc<Sealed<Registry>>> {
        let there = group.as_str() == "production" && registry.as_str() == "dns";
        let body = json!({"name": "dns", "kind": "dns"});
        there.then(|| Arc::new(Registry::parse(&body, None).expect("is a registry").0))
    }
    fn past(&self, group: &Name, service: &Name, to: &RollbackTo) -> Option<Past> {
        let past = self.history.get(&(group.clone(), service.clone()))?;
        let meant = |past: &&Past| to.names(past.version.as_ref(), past.definition.digest);
        past.iter().find(meant).cloned()
    }
    fn instances(&self, group: &Name) -> Vec<InstanceFacts> {
        self.instances.get(group).cloned().unwrap_or_default()
    }
    fn with_routes<R>(&self, group: &Name, read: impl FnOnce(&RouteIndex) -> R) -> R {
        let mut index = RouteIndex::default();
        for ((at, service), running) in &self.running {
            if at == group && running.enabled {
                let claimant = Claimant::of(&running.definition, &running.binding.content);
                index.put(service, claimant.places());
            }
        }
        read(&index)
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("is a name")
}

fn number(text: &str) -> VersionNumber {
    text.parse().expect("is a version number")
}

fn definition(service: &str, path: &str) -> Arc<Sealed<Definition>> {
    let body = json!({"name": service, "routes": [{"name": "r", "paths": [path]}]});
    Arc::new(Definition::parse(&body, None).unwrap_or_else(|p| panic!("{p:?}")))
}

fn binding(host: &str) -> Arc<Sealed<Binding>> {
    Arc::new(Binding::parse(&json!({"nodes": [{"host": host}]})).expect("is a binding"))
}

fn running(version: Option<&str>, definition: &Arc<Sealed<Definition>>, host: &str) -> Running {
    Running {
        version: version.map(number),
        definition: definition.clone(),
        binding: binding(host),
        enabled: true,
    }
}

/// `a` at /a in the hub; 1.0.0 of it in test; one instance everywhere but in `dr`.
fn small() -> Small {
    let mut small = Small::default();
    let a = definition("a", "/a");
    small.hub.insert(name("a"), a.clone());
    small.used.push((name("a"), number("1.0.0")));
    small
        .running
        .insert((name("test"), name("a")), running(Some("1.0.0"), &a, "t"));
    for group in ["test", "production"] {
        let facts = InstanceFacts {
            id: "i".into(),
            hostname: "h".into(),
            build: "1".into(),
            schemas: vec![1],
            current: true,
            held: vec![],
        };
        small.instances.insert(name(group), vec![facts]);
    }
    small
}

fn to(group: &str, host: Option<&str>) -> Target {
    let bindings = host
        .map(|host| (name("a"), binding(host)))
        .into_iter()
        .collect();
    Target {
        group: name(group),
        bindings,
    }
}

fn sync(version: Option<&str>, expect: Option<&str>, to: Vec<Target>) -> Request {
    let wanted = SyncService {
        service: name("a"),
        version: version.map(number),
        expect_version: expect.map(number),
        expect_digest: None,
    };
    Request::Sync {
        source: name("test"),
        services: vec![wanted],
        to,
        form: SyncForm::One,
    }
}

fn publish(version: &str, groups: Vec<Target>) -> Request {
    Request::Publish {
        service: name("a"),
        version: number(version),
        groups,
        expect_digest: None,
    }
}

fn set(enabled: Option<bool>, binding: Option<Arc<Sealed<Binding>>>) -> Request {
    Request::Set {
        group: name("test"),
        service: name("a"),
        binding,
        enabled,
    }
}

fn edit(definition: Arc<Sealed<Definition>>) -> Request {
    Request::Edit {
        group: name("test"),
        service: name("a"),
        definition,
    }
}

fn rollback(to: RollbackTo) -> Request {
    Request::Rollback {
        group: name("test"),
        service: name("a"),
        to,
        with_binding: false,
    }
}

/// `group/service version@binding` for each destination that changes, then `code place` for each
/// problem.
#[track_caller]
fn check(small: &Small, request: &Request, destinations: &[&str], problems: &[&str]) {
    let (got, said) = match plan(request, small) {
        Err(problem) => (vec![], vec![format!("{} {}", problem.code, problem.path)]),
        Ok(plan) => {
            let changing = plan.destinations.iter().filter(|d| !d.is_unchanged());
            let line = |d: &Destination| {
                let after = d.after.as_ref().map_or_else(
                    || "gone".to_owned(),
                    |after| {
                        let Binding { upstream, .. } = &after.binding.content;
                        let crate::binding::Upstream::Nodes(nodes) = upstream else {
                            return "discovery".to_owned();
                        };
                        let version = after.version.as_ref().map_or("none", VersionNumber::as_str);
                        let off = if after.enabled { "" } else { " off" };
                        format!("{version}@{}{off}", nodes[0].host)
                    },
                );
                format!("{}/{} {after}", d.group, d.service)
            };
            (
                changing.map(line).collect(),
                plan.all_problems()
                    .map(|p| format!("{} {}", p.code, p.path))
                    .collect(),
            )
        }
    };
    assert_eq!(
        (got, said),
        (
            destinations
                .iter()
                .map(|s| (*s).to_owned())
                .collect::<Vec<_>>(),
            problems.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(),
        )
    );
}
