//! Operations come to their end by what instances say, each way of ending once.

use ferryway_api::{DeliveryState, OperationState};
use ferryway_delivery::{Peer, Presence};
use ferryway_model::{Key, Revision};
use ferryway_proto::{Ack, AckStage, Fault, Hello, Limits, Nack, Source, Stage, Status, Warnings};

use super::*;

on_each_engine!([
    an_operation_ends_when_every_instance_has_answered,
    what_every_instance_rejected_is_no_history,
    what_was_rejected_and_not_told_is_not_taken_for_applied,
    a_later_change_of_the_same_service_supersedes,
    after_a_start_open_operations_end_by_what_instances_say_then,
    what_is_said_of_an_operation_can_be_followed_and_caught_up_with,
    a_stream_that_was_replaced_has_no_say_any_more,
    an_instance_that_left_can_be_deleted_at_once_and_stays_deleted,
    an_instance_that_leaves_between_plan_and_commit_is_not_waited_for,
    an_old_record_told_again_undoes_no_progress,
    an_operation_waits_for_checks_that_only_warn_and_shows_what_they_find,
]);

/// An instance that says what it is told to say.
pub(super) struct Puppet {
    pub(super) peer: Peer,
    core: Core,
}

impl Puppet {
    pub(super) fn joins(house: &House, group: &str) -> Self {
        let peer = Peer {
            instance: Uuid::now_v7(),
            boot: 1,
            attempt: 1,
            session: Uuid::now_v7(),
            group: named(group),
            address: None,
        };
        let puppet = Self {
            peer,
            core: house.core.clone(),
        };
        puppet.says_hello();
        puppet
    }

    /// The same instance dials another control plane.
    pub(super) fn again_at(&self, house: &House, attempt: u64) -> Self {
        let peer = Peer {
            session: Uuid::now_v7(),
            attempt,
            ..self.peer.clone()
        };
        let puppet = Self {
            peer,
            core: house.core.clone(),
        };
        puppet.says_hello();
        puppet
    }

    fn says_hello(&self) {
        let hello = Hello {
            protocol: (1, 1),
            instance: self.peer.instance,
            boot: self.peer.boot,
            attempt: self.peer.attempt,
            group: self.peer.group.clone(),
            build: "test".into(),
            hostname: "host".into(),
            addresses: vec![],
            schemas: vec![1],
            plugins: vec![],
            limits: Limits {
                entries: 1,
                blob_bytes: 1,
                transaction_bytes: 1,
            },
            desired: None,
            effective: None,
            holds: vec![],
            held: 0,
            source: Source::Empty,
        };
        self.core.connected(&self.peer, &hello);
    }

    fn position(&self) -> ferryway_proto::Position {
        self.core
            .0
            .sessions
            .feed(&self.peer.group)
            .expect("the group has a feed")
            .head()
            .position()
    }

    pub(super) fn applies(&self) {
        let position = self.position();
        let stage = AckStage::Applied {
            build: Duration::ZERO,
            swap: Duration::ZERO,
            table_bytes: 0,
        };
        let at = Some(position);
        self.core.acked(
            &self.peer,
            &Ack {
                transaction: position.revision,
                stage,
                desired: at,
                effective: at,
            },
        );
    }

    /// Says what checks have found that only warn, or that they run.
    pub(super) fn warns(&self, found: Option<Vec<Fault>>) {
        let transaction = self.position().revision;
        let warnings = Warnings { transaction, found };
        self.core.warned(&self.peer, &warnings);
    }

    pub(super) fn rejects(&self, service: &str) {
        self.rejects_more(service, 0);
    }

    /// Rejects this, and more than it can tell.
    fn rejects_more(&self, service: &str, cut: u32) {
        let position = self.position();
        let fault = check_failed(service);
        let effective = ferryway_proto::Position {
            root: Digest::of(b"what it had"),
            ..position
        };
        let nack = Nack {
            transaction: position.revision,
            desired: Some(position),
            effective: Some(effective),
            faults: vec![fault],
            cut,
        };
        self.core.rejected(&self.peer, &nack);
    }

    /// Answers a heartbeat as an instance does that has come to `revision` and holds nothing.
    fn stands_at(&self, revision: u64) {
        let at = Some(ferryway_proto::Position {
            revision: Revision(revision),
            ..self.position()
        });
        self.core.reported(
            &self.peer,
            &Status {
                desired: at,
                effective: at,
                holds: vec![],
                held: 0,
            },
        );
    }

    pub(super) fn leaves(&self) {
        self.core.disconnected(&self.peer);
    }
}

pub(super) fn check_failed(service: &str) -> Fault {
    Fault {
        key: Key::service(&named(service)),
        digest: None,
        stage: Stage::Check,
        code: "check_failed".into(),
        path: "checks[0]".into(),
        detail: "expected 200, got 500".into(),
        evidence: Some(r#"{"request":{},"response":{"status":500}}"#.into()),
    }
}

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
