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

mod changes;
mod operations;
mod planes;
mod puppet;
mod reload;
mod repeats;
mod resources;

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

    async fn publish_owned(&self, n: usize) -> Result<Arc<Operation>, CoreError> {
        self.publish(&format!("1.0.{n}"), &["test"]).await
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
