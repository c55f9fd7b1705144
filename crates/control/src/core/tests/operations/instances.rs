//! Instances that come and go while operations are open.

use super::*;

on_each_engine!([
    a_stream_that_was_replaced_has_no_say_any_more,
    an_instance_that_left_can_be_deleted_at_once_and_stays_deleted,
    an_instance_that_leaves_between_plan_and_commit_is_not_waited_for,
]);

async fn a_stream_that_was_replaced_has_no_say_any_more(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let old = Puppet::joins(&house, "test");
    let newer = Puppet {
        peer: Peer {
            session: Uuid::now_v7(),
            boot: 2,
            ..old.peer.clone()
        },
        core: house.core.clone(),
    };
    newer.says_hello();
    old.leaves();
    let online = house.core.read(|m| {
        m.instances[&named("test")]
            .values()
            .filter(|i| i.is_online())
            .count()
    });
    assert_eq!(online, 1);
}

async fn an_instance_that_left_can_be_deleted_at_once_and_stays_deleted(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let one = Puppet::joins(&house, "test");
    let id = one.peer.instance.to_string();
    let online = house
        .core
        .delete_instance(&actor(), &named("test"), &id)
        .await;
    assert_eq!(codes(online.expect_err("is online")), [Code::InUse]);
    one.leaves();
    house
        .core
        .delete_instance(&actor(), &named("test"), &id)
        .await
        .expect("is offline");
    let known = |house: &House| {
        house
            .core
            .read(|memory| memory.instances.values().map(BTreeMap::len).sum::<usize>())
    };
    assert_eq!(known(&house), 0);
    let house = house.again().await;
    assert_eq!(known(&house), 0, "also after a start");
}

/// What an operation was planned for may be gone when it is committed.
async fn an_instance_that_leaves_between_plan_and_commit_is_not_waited_for(on: Engine) {
    use DeliveryState::{Applied, Offline};
    let house = House::new(on).await.with_groups().await;
    let (one, two) = (Puppet::joins(&house, "test"), Puppet::joins(&house, "test"));
    // The commit waits for the writer's thread, so the instance leaves before memory holds it.
    let (operation, ()) =
        futures_util::future::join(house.publish("1", &["test"]), async { two.leaves() }).await;
    let operation = operation.expect("is published");
    one.applies();
    check(
        &house,
        &operation,
        OperationState::Succeeded,
        &[Applied, Offline],
    );
}
