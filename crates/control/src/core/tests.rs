//! The core over a real store, on each of its engines: what is answered is in memory, and is there
//! after a start.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferryway_api::{CallOptions, Operation, OperationState};
use ferryway_model::plan::{HubService, Request, RollbackTo, SyncForm, SyncService, Target};
use ferryway_model::{
    Binding, Code, Definition, Digest, Group as GroupModel, Name, Registry, VersionNumber,
};
use ferryway_runtime::{Clock, Tasks};
use ferryway_store::EtcdSettings;
use ferryway_testkit::Etcd;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::memory::Group;
use super::*;

mod operations;
mod planes;
mod reload;

/// Which engine a test runs on.
#[derive(Clone, Copy, Debug)]
enum Engine {
    Embedded,
    Etcd,
}

/// Runs each test on each engine.
macro_rules! on_each_engine {
    ([$($test:ident),* $(,)?]) => {
        mod embedded {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(super::Engine::Embedded).await;
                }
            )*
        }

        mod etcd {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(super::Engine::Etcd).await;
                }
            )*
        }
    };
}
use on_each_engine;

on_each_engine!([
    what_was_answered_is_there_after_a_start,
    a_refused_change_changes_nothing,
    concurrent_changes_all_happen_each_once,
    rolling_back_through_history_after_a_start,
    dry_runs_and_plans_to_be_conditional_on,
    an_idempotency_key_stands_for_its_first_call,
    a_change_that_began_is_made_whether_or_not_its_caller_stays,
    the_largest_call_is_one_transaction,
    what_is_held_is_not_deleted,
    entity_tags_and_existence_are_required_with_the_write,
    what_is_too_old_is_cleared_away_and_what_is_named_stays,
]);

struct House {
    place: Arc<Place>,
    clock: Clock,
    tasks: Tasks,
    core: Core,
}

/// Where a store is.
struct Place {
    dir: TempDir,
    etcd: Option<Etcd>,
}

impl Place {
    fn on(engine: Engine) -> Self {
        Self {
            dir: tempfile::tempdir().expect("a folder can be made"),
            etcd: match engine {
                Engine::Embedded => None,
                Engine::Etcd => Some(Etcd::start()),
            },
        }
    }

    async fn open(&self) -> Store {
        let fresh = Uuid::now_v7();
        let opened = match &self.etcd {
            None => Store::open(self.dir.path(), fresh).await,
            Some(etcd) => {
                let settings = EtcdSettings::new(&etcd.url()).expect("is an address");
                Store::open_etcd(&settings, fresh).await
            }
        };
        opened.expect("opens")
    }
}

impl House {
    async fn new(on: Engine) -> Self {
        let place = Arc::new(Place::on(on));
        let store = place.open().await;
        Self::over(place, store, None, noon()).await
    }

    /// A control plane that may have others beside it.
    async fn among_others(on: Engine) -> Self {
        let place = Arc::new(Place::on(on));
        let store = place.open().await;
        Self::over(place, store, Some(plane()), noon()).await
    }

    /// Another control plane over the same store.
    async fn beside(&self) -> Self {
        let store = match &self.place.etcd {
            // A folder is opened by one alone.
            None => self.core.0.store.clone(),
            Some(_) => self.place.open().await,
        };
        let (place, clock) = (Arc::clone(&self.place), self.clock.clone());
        Self::over(place, store, Some(plane()), clock).await
    }

    async fn over(place: Arc<Place>, store: Store, plane: Option<Plane>, clock: Clock) -> Self {
        let tasks = Tasks::new("test");
        let core = Core::open(store, plane, clock.clone(), &tasks)
            .await
            .expect("opens");
        Self {
            place,
            clock,
            tasks,
            core,
        }
    }

    /// Stops everything and starts again on the same store.
    async fn again(self) -> Self {
        let Self {
            place,
            clock,
            tasks,
            core,
        } = self;
        assert!(tasks.stop(Duration::from_secs(5)).await);
        core.close().await;
        let store = place.open().await;
        Self::over(place, store, None, clock).await
    }

    async fn with_groups(self) -> Self {
        for group in ["test", "production"] {
            self.group(group).await.expect("is made");
        }
        self.hub("a", "/a").await;
        self
    }

    async fn group(&self, name: &str) -> Result<Made, CoreError> {
        let group = GroupModel::parse(&json!({"name": name}), None).expect("is a group");
        let wanted = || Ok((group.clone(), IfMatch::Absent));
        self.core
            .put_group(&actor(), &group.name, wanted, None)
            .await
    }

    async fn hub(&self, service: &str, path: &str) {
        let body = json!({"name": service, "routes": [{"name": "r", "paths": [path]}]});
        let (definition, meta) = Definition::parse_service(&body, None).expect("is a service");
        let (name, definition) = (definition.content.name.clone(), Arc::new(definition));
        let service = HubService { definition, meta };
        let wanted = || Ok((service.clone(), IfMatch::Anything));
        self.core
            .put_hub(&actor(), &name, wanted, None)
            .await
            .expect("is stored");
    }

    async fn change(&self, request: &Request) -> Result<Arc<Operation>, CoreError> {
        self.core
            .change(
                &actor(),
                request,
                &CallOptions::default(),
                &IfMatch::Anything,
                None,
            )
            .await
    }

    async fn publish(&self, version: &str, groups: &[&str]) -> Result<Arc<Operation>, CoreError> {
        self.change(&publish("a", version, groups)).await
    }

    /// `group: version revision` for each group that has the service `a`.
    fn runs(&self) -> Vec<String> {
        self.core.read(|memory| {
            let groups = memory.groups.iter();
            let line = |(name, group): (&Name, &Group)| {
                let entry = group.view.service(&named("a"))?;
                let version = entry.version.as_ref().map_or("none", VersionNumber::as_str);
                Some(format!("{name}: {version} {}", group.head.revision))
            };
            groups.filter_map(line).collect()
        })
    }
}

fn noon() -> Clock {
    Clock::manual("2026-11-24T12:00:00Z".parse().expect("is a time"))
}

fn plane() -> Plane {
    Plane {
        id: Uuid::now_v7(),
        url: "http://127.0.0.1:1".to_owned(),
        build: "test".to_owned(),
    }
}

fn actor() -> Actor {
    Actor {
        name: "admin".into(),
        from: "127.0.0.1:1".into(),
        token: None,
    }
}

fn named(text: &str) -> Name {
    text.parse().expect("is a name")
}

fn bindings(service: &str, host: &str) -> BTreeMap<Name, Arc<ferryway_model::Sealed<Binding>>> {
    let binding = Binding::parse(&json!({"nodes": [{"host": host}]})).expect("is a binding");
    BTreeMap::from([(named(service), Arc::new(binding))])
}

fn publish(service: &str, version: &str, groups: &[&str]) -> Request {
    let target = |group: &&str| Target {
        group: named(group),
        bindings: bindings(service, group),
    };
    Request::Publish {
        service: named(service),
        version: version.parse().expect("is a version"),
        groups: groups.iter().map(target).collect(),
        expect_digest: None,
    }
}

fn sync(to: &str) -> Request {
    let service = SyncService {
        service: named("a"),
        version: None,
        expect_version: None,
        expect_digest: None,
    };
    let to = vec![Target {
        group: named(to),
        bindings: bindings("a", to),
    }];
    Request::Sync {
        source: named("test"),
        services: vec![service],
        to,
        form: SyncForm::One,
    }
}

fn codes(error: CoreError) -> Vec<Code> {
    match error {
        CoreError::Refused(problems) => problems
            .iter()
            .filter(|problem| problem.is_error())
            .map(|problem| problem.code)
            .collect(),
        other => panic!("{other}"),
    }
}

async fn what_was_answered_is_there_after_a_start(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let operation = house
        .publish("1.0.0", &["test"])
        .await
        .expect("is published");
    assert_eq!(
        operation.state,
        OperationState::Succeeded,
        "no instance to wait for"
    );
    house.change(&sync("production")).await.expect("is synced");
    let before = house.runs();
    assert_eq!(before, ["production: 1.0.0 1", "test: 1.0.0 1"]);
    let state = |house: &House| {
        house.core.read(|memory| {
            let operations: Vec<_> = memory.operations.values().cloned().collect();
            let audit: Vec<_> = memory
                .audit
                .values()
                .map(|a| (a.action.clone(), a.target.clone()))
                .collect();
            let history: Vec<_> = memory
                .history
                .values()
                .flatten()
                .map(|ran| ran.record.clone())
                .collect();
            let roots: Vec<_> = memory
                .groups
                .values()
                .map(|group| group.view.root())
                .collect();
            (operations, audit, history, roots)
        })
    };
    let (was, house) = (state(&house), house.again().await);
    assert_eq!((house.runs(), state(&house)), (before, was));
    // And it goes on: numbers stay used, revisions go up, conflicts are still seen.
    assert_eq!(
        codes(
            house
                .publish("1.0.0", &["test"])
                .await
                .expect_err("is used")
        ),
        [Code::VersionExists]
    );
    house.hub("b", "/a").await;
    let refused = house
        .change(&publish("b", "1", &["test"]))
        .await
        .expect_err("conflicts");
    assert_eq!(codes(refused), [Code::RouteConflict]);
    house
        .publish("1.1.0", &["test", "production"])
        .await
        .expect("is published");
    assert_eq!(house.runs(), ["production: 1.1.0 2", "test: 1.1.0 2"]);
}

async fn a_refused_change_changes_nothing(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let refused = house
        .publish("1", &["test", "nowhere"])
        .await
        .expect_err("one group is missing");
    assert_eq!(
        (codes(refused), house.runs()),
        (vec![Code::GroupMissing], vec![])
    );
    let number = "1".parse::<VersionNumber>().expect("is a version");
    assert!(
        !house
            .core
            .read(|memory| ferryway_model::plan::World::version_used(memory, &named("a"), &number))
    );
}

async fn concurrent_changes_all_happen_each_once(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let all = (0..20).map(|n| house.publish_owned(n));
    let results = futures_util::future::join_all(all).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let (revision, versions, history) = house.core.read(|memory| {
        let group = &memory.groups[&named("test")];
        let history = memory.history[&(named("test"), named("a"))].len();
        (
            group.head.revision.0,
            memory.versions[&named("a")].len(),
            history,
        )
    });
    assert_eq!((revision, versions, history), (20, 20, 20));
    // The same number twice at once: one wins.
    let twice = futures_util::future::join(
        house.publish("x", &["test"]),
        house.publish("x", &["production"]),
    )
    .await;
    assert_eq!(
        [twice.0.is_ok(), twice.1.is_ok()]
            .iter()
            .filter(|ok| **ok)
            .count(),
        1
    );
}

impl House {
    async fn publish_owned(&self, n: usize) -> Result<Arc<Operation>, CoreError> {
        self.publish(&format!("1.0.{n}"), &["test"]).await
    }
}

async fn rolling_back_through_history_after_a_start(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    house.publish("1", &["test"]).await.expect("is published");
    house.hub("a", "/new").await;
    house.publish("2", &["test"]).await.expect("is published");
    let house = house.again().await;
    let request = Request::Rollback {
        group: named("test"),
        service: named("a"),
        to: RollbackTo::Version("1".parse().expect("is a version")),
        with_binding: false,
    };
    let operation = house.change(&request).await.expect("rolls back");
    assert_eq!(
        operation.destinations[0].changes.routes.changed[0].diff,
        r#"paths ["/new"] → ["/a"]"#
    );
    assert_eq!(house.runs(), ["test: 1 3"]);
}

async fn dry_runs_and_plans_to_be_conditional_on(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    house.publish("1", &["test"]).await.expect("is published");
    let call = |dry_run, expect_plan: Option<Digest>| CallOptions {
        dry_run,
        expect_plan,
    };
    let change = async |options: CallOptions| {
        house
            .core
            .change(
                &actor(),
                &sync("production"),
                &options,
                &IfMatch::Anything,
                None,
            )
            .await
    };
    let planned = change(call(true, None)).await.expect("is planned");
    assert_eq!(
        (planned.operation, planned.state),
        (None, OperationState::Planned)
    );
    assert_eq!(house.runs(), ["test: 1 1"], "a dry run does nothing");
    let expect = planned.plan.parse().ok();
    house.hub("a", "/new").await;
    house.publish("2", &["test"]).await.expect("is published");
    assert_eq!(
        codes(
            change(call(false, expect))
                .await
                .expect_err("the plan moved")
        ),
        [Code::PlanChanged]
    );
    let planned = change(call(true, None)).await.expect("is planned");
    let made = change(call(false, planned.plan.parse().ok()))
        .await
        .expect("is made");
    assert_eq!(made.plan, planned.plan);
    let again = change(call(false, None)).await.expect("is unchanged");
    assert_eq!(again.state, OperationState::Unchanged);
}

async fn an_idempotency_key_stands_for_its_first_call(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let key = |body: &[u8]| Idempotency {
        key: "k".into(),
        fingerprint: Digest::of(body),
    };
    let change = async |house: &House, key: &Idempotency, version: &str| {
        let request = publish("a", version, &["test"]);
        house
            .core
            .change(
                &actor(),
                &request,
                &CallOptions::default(),
                &IfMatch::Anything,
                Some(key),
            )
            .await
    };
    let first = change(&house, &key(b"1"), "1").await.expect("is published");
    let house = house.again().await;
    let second = change(&house, &key(b"1"), "1")
        .await
        .expect("is the first answer");
    assert_eq!(first.operation, second.operation);
    assert!(matches!(
        change(&house, &key(b"2"), "2").await,
        Err(CoreError::KeyReused)
    ));
    house.clock.advance(Duration::from_secs(25 * 3_600));
    let later = change(&house, &key(b"2"), "2")
        .await
        .expect("a day later the key is free");
    assert_ne!(first.operation, later.operation);
}

/// A caller that breaks off in the middle of a write doesn't break the write off.
async fn a_change_that_began_is_made_whether_or_not_its_caller_stays(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let key = Idempotency {
        key: "k".into(),
        fingerprint: Digest::of(b"1"),
    };
    let (actor, request) = (actor(), publish("a", "1", &["test"]));
    let options = CallOptions::default();
    let change = || {
        let core = &house.core;
        core.change(&actor, &request, &options, &IfMatch::Anything, Some(&key))
    };
    let mut leaving = Box::pin(change());
    assert!(futures_util::poll!(&mut leaving).is_pending());
    drop(leaving);
    // Nobody names the content in memory yet, and yet it stays.
    house.core.retain().await;
    let operation = loop {
        match change().await {
            Err(CoreError::KeyBusy) => tokio::task::yield_now().await,
            other => break other.expect("is what the first call made"),
        }
    };
    let made: Vec<_> = house.core.read(|memory| {
        let history = memory.history.values().flatten();
        history.map(|ran| Some(ran.operation)).collect()
    });
    assert_eq!(made, [operation.operation]);
    let house = house.again().await;
    assert_eq!(house.runs(), ["test: 1 1"]);
}

/// As large as a call may be: its operation, audit and history fit one transaction.
async fn the_largest_call_is_one_transaction(on: Engine) {
    use ferryway_model::limits::{GROUPS_IN_CALL_MAX, SERVICES_IN_CALL_MAX};
    let house = House::new(on).await.with_groups().await;
    let services: Vec<_> = (0..SERVICES_IN_CALL_MAX).map(|n| format!("s{n}")).collect();
    for service in &services {
        house.hub(service, &format!("/{service}")).await;
        house
            .change(&publish(service, "1.0.0", &["test"]))
            .await
            .expect("is published");
    }
    let mut to = Vec::new();
    for n in 0..GROUPS_IN_CALL_MAX {
        let group = format!("g{n}");
        house.group(&group).await.expect("is made");
        let bindings = services.iter().flat_map(|s| bindings(s, &group));
        to.push(Target {
            group: named(&group),
            bindings: bindings.collect(),
        });
    }
    let services = services.iter().map(|service| SyncService {
        service: named(service),
        version: None,
        expect_version: None,
        expect_digest: None,
    });
    let request = Request::Sync {
        source: named("test"),
        services: services.collect(),
        to,
        form: SyncForm::Several,
    };
    let operation = house.change(&request).await.expect("is synced");
    let all = SERVICES_IN_CALL_MAX * GROUPS_IN_CALL_MAX;
    assert_eq!(operation.destinations.len(), all);
    let id = operation.operation.expect("is a real one");
    let house = house.again().await;
    let kept = house.core.read(|memory| memory.operations[&id].clone());
    assert_eq!(kept, operation);
}

async fn what_is_held_is_not_deleted(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let body = json!({"name": "dns", "kind": "dns"});
    let (registry, title) = Registry::parse(&body, None).expect("is a registry");
    house
        .core
        .put_registry(
            &actor(),
            &named("test"),
            &registry,
            &title,
            &IfMatch::Anything,
            None,
        )
        .await
        .expect("is stored");
    let by_discovery = Binding::parse(&json!({"discovery": {"registry": "dns", "service": "a"}}))
        .expect("is a binding");
    let groups = vec![Target {
        group: named("test"),
        bindings: BTreeMap::from([(named("a"), Arc::new(by_discovery))]),
    }];
    let request = Request::Publish {
        service: named("a"),
        version: "1".parse().expect("ok"),
        groups,
        expect_digest: None,
    };
    house.change(&request).await.expect("is published");
    let anything = IfMatch::Anything;
    let refused = house
        .core
        .delete_registry(&actor(), &named("test"), &named("dns"), &anything)
        .await;
    assert_eq!(
        codes(refused.expect_err("is named by a binding")),
        [Code::InUse]
    );
    let refused = house
        .core
        .delete_group(&actor(), &named("test"), &anything)
        .await;
    assert_eq!(codes(refused.expect_err("has a service")), [Code::InUse]);
    let refused = house
        .core
        .delete_hub(&actor(), &named("a"), &anything)
        .await;
    assert_eq!(codes(refused.expect_err("is published")), [Code::InUse]);
    let unpublish = Request::Unpublish {
        group: named("test"),
        service: named("a"),
    };
    house.change(&unpublish).await.expect("is unpublished");
    house
        .core
        .delete_registry(&actor(), &named("test"), &named("dns"), &anything)
        .await
        .expect("is free");
    house
        .core
        .delete_hub(&actor(), &named("a"), &anything)
        .await
        .expect("is free");
    house
        .core
        .delete_group(&actor(), &named("test"), &anything)
        .await
        .expect("is free");
    // A group made anew goes on counting, also after a start; numbers of the service stay used.
    let revision = |house: &House| {
        house
            .core
            .read(|memory| memory.groups[&named("test")].head.revision.0)
    };
    let house = house.again().await;
    house.group("test").await.expect("is made anew");
    assert_eq!(
        revision(&house),
        5,
        "put registry, publish, unpublish, delete registry, delete group"
    );
    house.hub("a", "/a").await;
    assert_eq!(
        codes(house.publish("1", &["test"]).await.expect_err("is used")),
        [Code::VersionExists]
    );
}

async fn entity_tags_and_existence_are_required_with_the_write(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    assert_eq!(
        codes(house.group("test").await.expect_err("exists")),
        [Code::Exists]
    );
    let tag = house
        .core
        .read(|memory| memory.group_etag(&named("test")).expect("has a tag"));
    let titled = |title: &str| {
        GroupModel::parse(&json!({"name": "test", "title": title}), None).expect("is a group")
    };
    let put = async |title: &str, tags: Vec<String>| {
        let wanted = || Ok((titled(title), IfMatch::Tags(tags.clone())));
        house
            .core
            .put_group(&actor(), &named("test"), wanted, None)
            .await
    };
    put("T", vec![tag.clone()]).await.expect("has that tag");
    assert!(matches!(
        put("U", vec![tag.clone()]).await,
        Err(CoreError::Stale)
    ));
    let audit: Vec<Value> = house.core.read(|m| {
        m.audit
            .values()
            .map(|a| json!(a.after)["title"].clone())
            .collect()
    });
    assert_eq!(audit.last(), Some(&json!("T")));
}

async fn what_is_too_old_is_cleared_away_and_what_is_named_stays(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    house.publish("1", &["test"]).await.expect("is published");
    house.hub("a", "/never-published").await;
    house.hub("a", "/b").await;
    let count = async |house: &House, prefix: &str| {
        house
            .core
            .0
            .store
            .list(prefix, None, 1_000)
            .await
            .expect("lists")
            .entries
            .len()
    };
    let before = count(&house, keys::CONTENT).await;
    house.core.retain().await;
    assert_eq!(
        count(&house, keys::CONTENT).await,
        before - 1,
        "only what nothing names went"
    );
    house.clock.advance(Duration::from_secs(91 * 24 * 3_600));
    house.core.retain().await;
    let house = house.again().await;
    assert_eq!(house.core.read(|memory| memory.audit.len()), 0);
    let ran = house
        .core
        .read(|memory| memory.history.values().flatten().count());
    assert_eq!((ran, house.runs()), (1, vec!["test: 1 1".to_owned()]));
    house.publish("2", &["test"]).await.expect("goes on");
}
