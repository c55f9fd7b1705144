//! What instances rejected: shown, and no history.

use super::*;

on_each_engine!([
    what_every_instance_rejected_is_no_history,
    what_was_rejected_and_not_told_is_not_taken_for_applied,
    every_fault_of_a_service_is_shown,
]);

/// Content that every instance rejected never ran there: it is nothing to go back to, and could be
/// brought back without its checks.
async fn what_every_instance_rejected_is_no_history(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let (one, two) = (Puppet::joins(&house, "test"), Puppet::joins(&house, "test"));
    let back = |version: &str| Request::Rollback {
        group: named("test"),
        service: named("a"),
        to: RollbackTo::Version(version.parse().expect("is a version")),
        with_binding: false,
    };
    for (version, rejects_one, rejects_two) in [
        ("1", false, false),
        ("2", true, true),
        ("3", false, true),
        ("4", true, true),
    ] {
        house.hub("a", &format!("/{version}")).await;
        let published = house.publish(version, &["test"]).await;
        published.expect("is published");
        for (puppet, rejects) in [(&one, rejects_one), (&two, rejects_two)] {
            if rejects {
                puppet.rejects("a");
            } else {
                puppet.applies();
            }
        }
    }
    // Nobody is there to reject it: it counts as run.
    one.leaves();
    two.leaves();
    house.hub("a", "/5").await;
    house.publish("5", &["test"]).await.expect("is published");
    let check = async |house: &House| {
        for (version, expect) in [
            ("4", false),
            ("2", false),
            ("3", true),
            ("1", true),
            ("5", true),
        ] {
            let changed = house.change(&back(version)).await;
            match changed {
                Ok(_) => assert!(expect, "{version} never ran"),
                Err(error) => {
                    assert_eq!(
                        (codes(error), expect),
                        (vec![Code::NotInHistory], false),
                        "{version}"
                    );
                }
            }
        }
    };
    check(&house).await;
    let house = house.again().await;
    check(&house).await;
}

async fn what_was_rejected_and_not_told_is_not_taken_for_applied(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let one = Puppet::joins(&house, "test");
    let operation = house.publish("1", &["test"]).await.expect("is published");
    one.rejects_more("another", 7);
    let rejected = [DeliveryState::Rejected];
    check(&house, &operation, OperationState::Failed, &rejected);
    let id = operation.operation.expect("is a real one");
    let seen = house
        .core
        .read(|memory| memory.operations[&id].destinations[0].instances[0].clone());
    assert_eq!(seen.code.as_deref(), Some("rejected"));
    assert!(
        seen.detail
            .is_some_and(|detail| detail.contains("7 faults"))
    );
}

async fn every_fault_of_a_service_is_shown(on: Engine) {
    let house = House::new(on).await.with_groups().await;
    let puppet = Puppet::joins(&house, "test");
    puppet.applies();
    let operation = house.publish("1", &["test"]).await.expect("is made");
    let fault = |code: &str, path: &str, detail: &str| Fault {
        stage: Stage::Build,
        code: code.to_owned(),
        path: path.to_owned(),
        detail: detail.to_owned(),
        evidence: None,
        ..check_failed("a")
    };
    let position = puppet.position();
    let effective = ferryway_proto::Position {
        root: Digest::of(b"what it had"),
        ..position
    };
    let nack = Nack {
        transaction: position.revision,
        desired: Some(position),
        effective: Some(effective),
        faults: vec![
            fault("bad_port", "binding.nodes[0].port", "is 0"),
            fault("bad_regex", "routes[0].match[0]", "explodes"),
        ],
        cut: 0,
    };
    house.core.rejected(&puppet.peer, &nack);
    let id = operation.operation.expect("has an id");
    let operation = house.core.read(|memory| memory.operations[&id].clone());
    let delivery = &operation.destinations[0].instances[0];
    assert_eq!(delivery.code.as_deref(), Some("bad_port"));
    assert_eq!(
        delivery.detail.as_deref(),
        Some("binding.nodes[0].port: is 0; routes[0].match[0]: explodes")
    );
}
