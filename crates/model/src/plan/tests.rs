//! The plan's rules, each on a small world written as text.

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

#[test]
fn publishing() {
    let small = small();
    check(
        &small,
        &publish("1.1.0", vec![to("test", None), to("production", Some("p"))]),
        &["test/a 1.1.0@t", "production/a 1.1.0@p"],
        &[],
    );
    check(
        &small,
        &publish("1.0.0", vec![to("test", None)]),
        &[],
        &["version_exists version"],
    );
    check(
        &small,
        &publish(
            "2",
            vec![
                to("nowhere", None),
                to("production", None),
                to("test", None),
                to("test", None),
            ],
        ),
        &["test/a 2@t"],
        &[
            "group_missing groups[0].group",
            "duplicate groups[3].group",
            "binding_required groups[1].binding",
        ],
    );
    check(
        &small,
        &publish("2", vec![to("dr", Some("d"))]),
        &["dr/a 2@d"],
        &["no_instances groups[0]"],
    );
    let mut skewed = small.clone();
    let instances = skewed.instances.get_mut(&name("test")).expect("has one");
    let facts = |hostname: &str, schemas: &[u32]| InstanceFacts {
        hostname: hostname.into(),
        schemas: schemas.to_vec(),
        ..instances[0].clone()
    };
    let (older, newer, silent) = (facts("o", &[0]), facts("n", &[1, 2]), facts("s", &[]));
    instances.extend([older, newer, silent]);
    let two = publish("2", vec![to("test", None)]);
    check(
        &skewed,
        &two,
        &["test/a 2@t"],
        &["instance_too_old groups[0]"],
    );
    let planned = plan(&two, &skewed).expect("is planned");
    let problem = planned.all_problems().next().expect("is warned of");
    assert!(
        problem.message.starts_with("o (build 1) in test"),
        "{problem}"
    );
    let of = |service: &str| Request::Publish {
        service: name(service),
        version: number("1"),
        groups: vec![],
        expect_digest: Some(Digest::of(b"")),
    };
    check(&small, &of("b"), &[], &["not_found "]);
    check(&small, &of("a"), &[], &["source_moved expect_digest"]);
}

#[test]
fn syncing_exactly_what_the_source_runs() {
    let mut small = small();
    check(
        &small,
        &sync(None, None, vec![to("production", Some("p"))]),
        &["production/a 1.0.0@p"],
        &[],
    );
    check(
        &small,
        &sync(None, Some("0.9"), vec![to("production", Some("p"))]),
        &["production/a 1.0.0@p"],
        &["source_moved expect_version"],
    );
    check(
        &small,
        &sync(Some("2"), None, vec![to("production", Some("p"))]),
        &["production/a 1.0.0@p"],
        &["version_not_expected version"],
    );
    check(
        &small,
        &sync(
            None,
            None,
            vec![
                to("test", None),
                to("production", None),
                to("nowhere", None),
            ],
        ),
        &[],
        &[
            "invalid to[0].group",
            "group_missing to[2].group",
            "binding_required to[1].binding",
        ],
    );
    let there = small.running[&(name("test"), name("a"))].clone();
    small.running.insert(
        (name("production"), name("a")),
        Running {
            binding: binding("p"),
            enabled: false,
            ..there
        },
    );
    check(
        &small,
        &sync(None, None, vec![to("production", None)]),
        &[],
        &[],
    );
    check(
        &small,
        &sync(None, None, vec![to("production", Some("q"))]),
        &["production/a 1.0.0@q off"],
        &[],
    );
    small.instances.get_mut(&name("test")).expect("is there")[0].current = false;
    check(
        &small,
        &sync(None, None, vec![to("production", None)]),
        &[],
        &["source_not_converged "],
    );
}

#[test]
fn a_source_without_a_version_needs_a_number_and_takes_it() {
    let mut small = small();
    let edited = definition("a", "/edited");
    small
        .running
        .insert((name("test"), name("a")), running(None, &edited, "t"));
    check(
        &small,
        &sync(None, None, vec![to("production", Some("p"))]),
        &["production/a none@p"],
        &["version_required version"],
    );
    check(
        &small,
        &sync(Some("1.0.0"), None, vec![to("production", Some("p"))]),
        &["production/a 1.0.0@p"],
        &["version_exists version"],
    );
    check(
        &small,
        &sync(Some("1.1"), None, vec![to("production", Some("p"))]),
        &["test/a 1.1@t", "production/a 1.1@p"],
        &[],
    );
    check(
        &small,
        &publish("1.2", vec![to("test", None)]),
        &["test/a 1.2@t"],
        &["unversioned_edit_replaced groups[0]"],
    );
}

#[test]
fn rolling_back_to_what_ran() {
    let mut small = small();
    let old = Past {
        version: Some(number("0.9")),
        definition: definition("a", "/old"),
        binding: binding("o"),
    };
    let edited = Past {
        version: None,
        definition: definition("a", "/edited"),
        binding: binding("o"),
    };
    let digest = edited.definition.digest;
    small
        .history
        .insert((name("test"), name("a")), vec![edited, old]);
    check(
        &small,
        &rollback(RollbackTo::Version(number("0.9"))),
        &["test/a 0.9@t"],
        &[],
    );
    check(
        &small,
        &rollback(RollbackTo::Digest(digest)),
        &["test/a none@t"],
        &[],
    );
    check(
        &small,
        &rollback(RollbackTo::Version(number("0.8"))),
        &[],
        &["not_in_history version"],
    );
    let with = Request::Rollback {
        group: name("test"),
        service: name("a"),
        to: RollbackTo::Version(number("0.9")),
        with_binding: true,
    };
    check(&small, &with, &["test/a 0.9@o"], &[]);
    let elsewhere = Request::Rollback {
        group: name("production"),
        service: name("a"),
        to: RollbackTo::Digest(digest),
        with_binding: false,
    };
    check(&small, &elsewhere, &[], &["not_found "]);
}

#[test]
fn setting_editing_unpublishing() {
    let mut small = small();
    check(
        &small,
        &set(Some(false), None),
        &["test/a 1.0.0@t off"],
        &[],
    );
    check(&small, &set(Some(true), None), &[], &[]);
    check(
        &small,
        &set(None, Some(binding("n"))),
        &["test/a 1.0.0@n"],
        &[],
    );
    let discovery = |body| Some(Arc::new(Binding::parse(&body).expect("is a binding")));
    check(
        &small,
        &set(
            None,
            discovery(json!({"discovery": {"registry": "dns", "service": "a"}})),
        ),
        &["test/a discovery"],
        &["registry_missing binding.discovery.registry"],
    );
    check(&small, &edit(definition("a", "/a")), &[], &[]);
    check(
        &small,
        &edit(definition("a", "/b")),
        &["test/a none@t"],
        &[],
    );
    small.enforced.push(name("test"));
    check(
        &small,
        &edit(definition("a", "/b")),
        &["test/a none@t"],
        &["publishing_enforced "],
    );
    let unpublish = Request::Unpublish {
        group: name("test"),
        service: name("a"),
    };
    check(&small, &unpublish, &["test/a gone"], &[]);
}

#[test]
fn registries_answer_their_own_kind_of_name() {
    let mut small = small();
    let there = small.running[&(name("test"), name("a"))].clone();
    small.running.insert((name("production"), name("a")), there);
    let bind = |service: &str| Request::Set {
        group: name("production"),
        service: name("a"),
        enabled: None,
        binding: Some(Arc::new(
            Binding::parse(&json!({"discovery": {"registry": "dns", "service": service}}))
                .expect("ok"),
        )),
    };
    check(&small, &bind("a.svc"), &["production/a discovery"], &[]);
    check(
        &small,
        &bind("_a"),
        &["production/a discovery"],
        &["invalid binding.discovery"],
    );
}

#[test]
fn conflicts_are_found_when_a_service_comes_is_edited_or_enabled() {
    let mut small = small();
    small.hub.insert(name("b"), definition("b", "/a"));
    small.running.insert(
        (name("test"), name("b")),
        Running {
            enabled: false,
            ..running(Some("1"), &definition("b", "/a"), "t")
        },
    );
    let enable = Request::Set {
        group: name("test"),
        service: name("b"),
        binding: None,
        enabled: Some(true),
    };
    check(
        &small,
        &enable,
        &["test/b 1@t"],
        &["route_conflict enabled"],
    );
    let edit_b = |path| Request::Edit {
        group: name("test"),
        service: name("b"),
        definition: definition("b", path),
    };
    check(&small, &edit_b("/a"), &[], &[]);
    small.running.insert(
        (name("test"), name("b")),
        running(Some("1"), &definition("b", "/b"), "t"),
    );
    check(
        &small,
        &edit_b("/a"),
        &["test/b none@t"],
        &["route_conflict routes[0].paths[0]"],
    );
    check(&small, &edit_b("/a/{x}"), &["test/b none@t"], &[]);
}

/// A body holds only what was sent: what is wrong with a binding that was kept, or that comes back,
/// has no place inside it.
#[test]
fn places_are_those_of_the_body_sent() {
    let mut small = small();
    let body = json!({"discovery": {"registry": "gone", "service": "a"}});
    let gone = Arc::new(Binding::parse(&body).expect("is a binding"));
    let there = small.running[&(name("test"), name("a"))].clone();
    for (group, enabled) in [("production", true), ("dr", false)] {
        let running = Running {
            binding: gone.clone(),
            enabled,
            ..there.clone()
        };
        small.running.insert((name(group), name("a")), running);
    }
    let mut edited = there;
    (edited.version, edited.definition) = (None, definition("a", "/edited"));
    small.running.insert((name("test"), name("a")), edited);
    let kept = "registry_missing to[0]";
    let replaced = "unversioned_edit_replaced groups[1]";
    let to_production = || vec![to("production", None)];
    check(
        &small,
        &sync(Some("2"), None, to_production()),
        &["test/a 2@t", "production/a discovery"],
        &[kept],
    );
    let publishing = publish("2", vec![to("production", None), to("test", None)]);
    check(
        &small,
        &publishing,
        &["production/a discovery", "test/a 2@t"],
        &["registry_missing groups[0]", replaced],
    );
    let enable = Request::Set {
        group: name("dr"),
        service: name("a"),
        binding: None,
        enabled: Some(true),
    };
    check(
        &small,
        &enable,
        &["dr/a discovery"],
        &["registry_missing enabled", "no_instances "],
    );
    let past = Past {
        version: Some(number("0.9")),
        definition: definition("a", "/old"),
        binding: gone,
    };
    small.history.insert((name("test"), name("a")), vec![past]);
    let back = Request::Rollback {
        group: name("test"),
        service: name("a"),
        to: RollbackTo::Version(number("0.9")),
        with_binding: true,
    };
    check(
        &small,
        &back,
        &["test/a discovery"],
        &[
            "registry_missing with_binding",
            "unversioned_edit_replaced ",
        ],
    );
}

#[test]
fn conflicts_are_said_where_the_body_brings_them_about() {
    let mut small = small();
    let b = definition("b", "/a");
    for (group, hosts, enabled) in [
        ("test", json!(["b.io"]), true),
        ("production", json!([]), true),
    ] {
        let body = json!({"nodes": [{"host": "n"}], "hosts": hosts});
        let binding = Arc::new(Binding::parse(&body).expect("is a binding"));
        let running = Running {
            binding,
            enabled,
            ..running(Some("1"), &b, "t")
        };
        small.running.insert((name(group), name("b")), running);
    }
    check(
        &small,
        &sync(None, None, vec![to("production", Some("p"))]),
        &["production/a 1.0.0@p"],
        &["route_conflict to[0]"],
    );
    let rebind = Request::Set {
        group: name("test"),
        service: name("b"),
        binding: Some(binding("n")),
        enabled: None,
    };
    check(
        &small,
        &rebind,
        &["test/b 1@n"],
        &["route_conflict binding"],
    );
}

#[test]
fn a_source_lags_only_with_the_service_in_question() {
    let mut small = small();
    let held = |small: &mut Small, service| {
        small.instances.get_mut(&name("test")).expect("is there")[0].held = vec![name(service)];
    };
    let request = sync(None, None, vec![to("production", Some("p"))]);
    held(&mut small, "other");
    check(&small, &request, &["production/a 1.0.0@p"], &[]);
    held(&mut small, "a");
    check(
        &small,
        &request,
        &["production/a 1.0.0@p"],
        &["source_not_converged "],
    );
}

#[test]
fn a_plan_that_is_not_the_expected_one_has_the_digest_that_can_be_expected_next() {
    let request = sync(None, None, vec![to("production", Some("p"))]);
    let mut planned = plan(&request, &small()).expect("is a plan");
    let digest = planned.digest();
    let changed = Problem::new(Code::PlanChanged, "expect_plan", "look again");
    planned.problems.push(changed);
    assert_eq!(planned.digest(), digest);
}

#[test]
fn the_plan_digest_moves_with_what_it_says_only() {
    let mut small = small();
    let request = sync(None, None, vec![to("production", Some("p"))]);
    let digest = |small: &Small| plan(&request, small).expect("is a plan").digest();
    let first = digest(&small);
    small.instances.clear();
    let with_warning = digest(&small);
    assert_ne!(
        first, with_warning,
        "no_instances is a problem that the caller hasn't seen"
    );
    small.instances = self::small().instances;
    small
        .instances
        .get_mut(&name("production"))
        .expect("is there")[0]
        .id = "other".into();
    assert_eq!(first, digest(&small));
    small.running.insert(
        (name("test"), name("a")),
        running(Some("1.0.1"), &definition("a", "/n"), "t"),
    );
    assert_ne!(first, digest(&small));
}
