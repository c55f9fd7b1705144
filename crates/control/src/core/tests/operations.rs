//! Operations come to their end by what instances say, each way of ending once.

mod instances;
mod rejected;

use ferryway_api::{DeliveryState, OperationState};
use ferryway_delivery::{Peer, Presence};
use ferryway_model::Revision;
use ferryway_proto::{Fault, Nack, Stage};

use super::puppet::{Puppet, check_failed};
use super::*;

on_each_engine!([
    an_operation_ends_when_every_instance_has_answered,
    a_later_change_of_the_same_service_supersedes,
    after_a_start_open_operations_end_by_what_instances_say_then,
    what_is_said_of_an_operation_can_be_followed_and_caught_up_with,
    an_old_record_told_again_undoes_no_progress,
    an_operation_waits_for_checks_that_only_warn_and_shows_what_they_find,
]);

#[track_caller]
pub(super) fn check(
    house: &House,
    operation: &Operation,
    state: OperationState,
    instances: &[DeliveryState],
) {
    let id = operation.operation.expect("is a real one");
    let now = house.core.read(|memory| memory.operations[&id].clone());
    let states: Vec<_> = now
        .destinations
        .iter()
        .flat_map(|d| &d.instances)
        .map(|i| i.state)
        .collect();
    assert_eq!((now.state, states.as_slice()), (state, instances));
    assert_eq!(now.ended_at.is_some(), state.is_final());
}

async fn an_operation_ends_when_every_instance_has_answered(on: Engine) {
    use DeliveryState::{Applied, Offline, Pending, Rejected};
    let house = House::new(on).await.with_groups().await;
    let (one, two) = (Puppet::joins(&house, "test"), Puppet::joins(&house, "test"));
    let operation = house.publish("1", &["test"]).await.expect("is published");
    check(
        &house,
        &operation,
        OperationState::Progressing,
        &[Pending, Pending],
    );
    one.applies();
    check(
        &house,
        &operation,
        OperationState::Progressing,
        &[Applied, Pending],
    );
    two.leaves();
    check(
        &house,
        &operation,
        OperationState::Succeeded,
        &[Applied, Offline],
    );

    two.says_hello();
    let operation = house.publish("2", &["test"]).await.expect("is published");
    two.rejects("a");
    one.applies();
    check(
        &house,
        &operation,
        OperationState::Failed,
        &[Applied, Rejected],
    );
    let id = operation.operation.expect("is a real one");
    let seen = house
        .core
        .read(|memory| memory.operations[&id].destinations[0].instances[1].clone());
    assert_eq!(seen.code.as_deref(), Some("check_failed"));
    assert_eq!(
        seen.detail.as_deref(),
        Some("checks[0]: expected 200, got 500")
    );
    assert_eq!(
        seen.evidence,
        Some(json!({"request": {}, "response": {"status": 500}}))
    );
    let held = house.core.read(|memory| {
        memory.instances[&named("test")]
            .values()
            .map(|instance| instance.held.len())
            .collect::<Vec<_>>()
    });
    assert_eq!(held, [0, 1]);

    let operation = house.publish("3", &["test"]).await.expect("is published");
    one.applies();
    two.applies();
    check(
        &house,
        &operation,
        OperationState::Succeeded,
        &[Applied, Applied],
    );
}

async fn a_later_change_of_the_same_service_supersedes(on: Engine) {
    use DeliveryState::{Applied, Pending};
    let house = House::new(on).await.with_groups().await;
    let one = Puppet::joins(&house, "test");
    house.hub("b", "/b").await;
    let first = house.publish("1", &["test"]).await.expect("is published");
    let other = house
        .change(&publish("b", "1", &["test"]))
        .await
        .expect("is published");
    check(&house, &first, OperationState::Progressing, &[Pending]);
    house.clock.advance(Duration::from_secs(7));
    let second = house.publish("2", &["test"]).await.expect("is published");
    check(&house, &first, OperationState::Superseded, &[Pending]);
    let id = first.operation.expect("is a real one");
    let ended = house.core.read(|memory| memory.operations[&id].ended_at);
    assert_eq!(ended, Some(second.created_at), "by the later one");
    one.applies();
    check(&house, &second, OperationState::Succeeded, &[Applied]);
    check(&house, &other, OperationState::Succeeded, &[Applied]);
}

async fn after_a_start_open_operations_end_by_what_instances_say_then(on: Engine) {
    use DeliveryState::{Applied, Pending};
    let house = House::new(on).await.with_groups().await;
    let one = Puppet::joins(&house, "test");
    let operation = house.publish("1", &["test"]).await.expect("is published");
    let house = house.again().await;
    check(&house, &operation, OperationState::Progressing, &[Pending]);
    let one = Puppet {
        core: house.core.clone(),
        ..one
    };
    one.says_hello();
    check(&house, &operation, OperationState::Progressing, &[Pending]);
    one.stands_at(1);
    check(&house, &operation, OperationState::Succeeded, &[Applied]);
    // The end is stored too.
    let ended = house
        .core
        .wait(operation.operation.expect("is a real one"), Duration::ZERO)
        .await;
    let house = house.again().await;
    let id = operation.operation.expect("is a real one");
    assert_eq!(
        house
            .core
            .read(|memory| memory.operations.get(&id).cloned()),
        ended
    );
}

async fn what_is_said_of_an_operation_can_be_followed_and_caught_up_with(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let one = Puppet::joins(&house, "test");
    let operation = house.publish("1", &["test"]).await.expect("is published");
    let id = operation.operation.expect("is a real one");
    let follow = house.core.events_after(id, 0);
    let (events, ()) = futures_util::future::join(follow, async { one.applies() }).await;
    let kinds: Vec<_> = events
        .iter()
        .map(|(number, event)| match &**event {
            OperationEvent::Instance(_) => (*number, "instance"),
            OperationEvent::State(_) => (*number, "state"),
            OperationEvent::End(_) => (*number, "end"),
        })
        .collect();
    assert_eq!(kinds, [(1, "instance"), (2, "state"), (3, "end")]);
    assert_eq!(house.core.events_after(id, 2).await.len(), 1);
    assert_eq!(
        house.core.events_after(id, 3).await.len(),
        0,
        "it has ended: nothing is waited for"
    );
}

/// A record is written again when a part of it has aged; the operation in it is then what it was at
/// its beginning.
async fn an_old_record_told_again_undoes_no_progress(on: Engine) {
    use DeliveryState::{Applied, Pending};
    let house = House::new(on).await.with_groups().await;
    let (one, _two) = (Puppet::joins(&house, "test"), Puppet::joins(&house, "test"));
    let operation = house.publish("1", &["test"]).await.expect("is published");
    one.applies();
    house.clock.advance(Duration::from_secs(91 * 24 * 3_600));
    house.core.retain().await;
    check(
        &house,
        &operation,
        OperationState::Progressing,
        &[Applied, Pending],
    );
}

async fn an_operation_waits_for_checks_that_only_warn_and_shows_what_they_find(on: Engine) {
    use DeliveryState::{Applied, Offline};
    let house = House::new(on).await.with_groups().await;
    let (one, two) = (Puppet::joins(&house, "test"), Puppet::joins(&house, "test"));
    let operation = house.publish("1", &["test"]).await.expect("is published");
    for puppet in [&one, &two] {
        puppet.warns(None);
        puppet.applies();
    }
    let both = [Applied, Applied];
    check(&house, &operation, OperationState::Progressing, &both);
    two.warns(Some(vec![check_failed("a"), check_failed("other")]));
    check(&house, &operation, OperationState::Progressing, &both);
    one.warns(Some(vec![check_failed("a")]));
    check(&house, &operation, OperationState::Succeeded, &both);

    let id = operation.operation.expect("is a real one");
    let ended = house.core.read(|memory| memory.operations[&id].clone());
    let destination = &ended.destinations[0];
    for instance in &destination.instances {
        assert_eq!(instance.code.as_deref(), Some("check_failed"));
        let detail = Some("checks[0]: expected 200, got 500");
        assert_eq!(instance.detail.as_deref(), detail);
        assert!(instance.evidence.is_some());
    }
    let problems = destination.problems.iter();
    let problems: Vec<_> = problems.map(|it| (&*it.code, &*it.path)).collect();
    assert_eq!(problems, [("check_failed", "checks[0]")], "once for all");

    // What is over before the change is applied waits for nothing, and is shown with it.
    let operation = house.publish("2", &["test"]).await.expect("is published");
    one.warns(Some(vec![check_failed("a")]));
    one.applies();
    two.warns(None);
    two.applies();
    check(&house, &operation, OperationState::Progressing, &both);
    // Whoever goes away says nothing more of its checks.
    two.leaves();
    check(&house, &operation, OperationState::Succeeded, &both);
    let id = operation.operation.expect("is a real one");
    let ended = house.core.read(|memory| memory.operations[&id].clone());
    let codes = ended.destinations[0].instances.iter();
    let mut codes: Vec<_> = codes.map(|it| it.code.as_deref()).collect();
    codes.sort_unstable();
    assert_eq!(codes, [None, Some("check_failed")]);

    // And whoever goes before it has applied is offline, as ever.
    two.says_hello();
    let operation = house.publish("3", &["test"]).await.expect("is published");
    one.applies();
    two.warns(None);
    two.leaves();
    let states = house.core.read(|memory| {
        let id = operation.operation.expect("is a real one");
        memory.operations[&id].destinations[0]
            .instances
            .iter()
            .filter(|it| it.state == Offline)
            .count()
    });
    assert_eq!(states, 1);
    assert_eq!(one.position().revision, Revision(3));
}
