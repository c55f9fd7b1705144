//! Changes: what is answered is there, once, also after a start.

use std::sync::atomic::{AtomicUsize, Ordering};

use ferryway_store::Expect;

use super::*;
use crate::core::resources::Draft;

on_each_engine!([
    what_was_answered_is_there_after_a_start,
    a_refused_change_changes_nothing,
    concurrent_changes_all_happen_each_once,
    a_race_that_is_lost_too_often,
    rolling_back_through_history_after_a_start,
    dry_runs_and_plans_to_be_conditional_on,
    the_largest_call_is_one_transaction,
]);

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

/// Whoever finds each time that another process was faster is told to come again, and nothing of
/// what it wanted is there. Here the requirement is one that never holds.
async fn a_race_that_is_lost_too_often(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let tries = AtomicUsize::new(0);
    let drafted = |_: &Memory, _| {
        tries.fetch_add(1, Ordering::Relaxed);
        Ok(Draft {
            requires: vec![(keys::group(&named("test")), Expect::Absent)],
            deletes: vec![keys::hub(&named("a"))],
            audit: Some(("lose", "services/a".to_owned(), Value::Null, Value::Null)),
            ..Draft::default()
        })
    };
    let lost = house.core.draft(&actor(), [], None, drafted).await;
    assert!(matches!(lost, Err(CoreError::Contended)), "{lost:?}");
    assert!(tries.load(Ordering::Relaxed) > 16, "{tries:?}");
    let house = house.again().await;
    let (hub, audit) = house.core.read(|memory| {
        let entries = memory.audit.values();
        let lost = entries.filter(|entry| entry.action == "lose").count();
        (memory.hub.contains_key(&named("a")), lost)
    });
    assert_eq!((hub, audit), (true, 0));
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
