//! The rules, one by one.

use std::collections::BTreeSet;
use std::time::Duration;

use ferryway_model::{Changes, Key, Revision, View};
use ferryway_proto::{AckStage, AgentMessage, Cause, ControlMessage, DecodeError, Nack, Reason};

use super::world::{Op, World};
use crate::candidate::{Checks, Occasion};
use crate::feed::Head;
use crate::hold::{HELD_TOGETHER, SHRINK_UNCONFIRMED, Why};
use crate::limits::QUEUE_MAX;
use crate::session::{Event, Record};
use crate::testing::Variant::{Bad, Dangling, Good, Unreadable};
use crate::testing::{Variant, change, epoch, name, registry, service};

/// A connected session that runs these services.
pub(super) fn running(services: &[(&str, Variant)]) -> World {
    let mut world = World::new(1);
    world.settle();
    publish(&mut world, services);
    world
}

/// Publishes, and lets the session do its work.
pub(super) fn publish(world: &mut World, services: &[(&str, Variant)]) {
    let services: Vec<_> = services
        .iter()
        .map(|(name, variant)| (*name, Some(*variant)))
        .collect();
    world.publish(&services, true, Cause::Operation);
    world.settle();
}

/// What is held, with the codes.
fn held(world: &World) -> Vec<(String, String)> {
    let holds = world.session.standing().holds;
    holds
        .iter()
        .map(|(key, hold)| (key.name.to_string(), hold.code.clone()))
        .collect()
}

#[track_caller]
pub(super) fn check_held(world: &World, expect: &[(&str, &str)]) {
    let expect: Vec<_> = expect
        .iter()
        .map(|(name, code)| ((*name).to_owned(), (*code).to_owned()))
        .collect();
    assert_eq!(held(world), expect);
    assert_eq!(world.session.standing().converged, expect.is_empty());
}

/// What runs under this name.
#[track_caller]
pub(super) fn check_runs(world: &World, text: &str, expect: Option<Variant>) {
    let name = name(text);
    let entry = world.session.effective().get(&Key::service(&name));
    let expect = expect.map(|variant| service(&name, variant).0);
    assert_eq!(entry, expect.as_ref(), "{text}");
}

/// The stages of a transaction that were acknowledged.
pub(super) fn stages(world: &World, revision: u64) -> Vec<AckStage> {
    let acks = world.sent.iter().filter_map(|message| match message {
        AgentMessage::Ack(ack) if ack.transaction == Revision(revision) => Some(ack.stage),
        _ => None,
    });
    acks.collect()
}

pub(super) fn nacks(world: &World) -> Vec<&Nack> {
    let nacks = world.sent.iter().filter_map(|message| match message {
        AgentMessage::Nack(nack) => Some(nack),
        _ => None,
    });
    nacks.collect()
}

fn reconciles(world: &World) -> Vec<Reason> {
    let asked = world.sent.iter().filter_map(|message| match message {
        AgentMessage::Reconcile(reconcile) => Some(reconcile.reason),
        _ => None,
    });
    asked.collect()
}

#[test]
fn the_first_view_is_installed_even_if_it_is_empty() {
    let mut world = World::new(1);
    assert_eq!(world.session.standing().effective, None);
    world.settle();
    assert_eq!(world.installs, 1);
    check_held(&world, &[]);
}

#[test]
fn a_transaction_is_received_then_applied_then_durable() {
    let world = running(&[("a", Good(0))]);
    check_runs(&world, "a", Some(Good(0)));
    let applied = AckStage::Applied {
        build: Duration::ZERO,
        swap: Duration::ZERO,
        table_bytes: 0,
    };
    assert_eq!(
        stages(&world, 1),
        [AckStage::Received, applied, AckStage::Durable]
    );
}

#[test]
fn desired_is_recorded_before_the_swap_and_effective_after_it() {
    let mut world = running(&[]);
    let before = world.disk.len();
    world.publish(&[("a", Some(Good(0)))], true, Cause::Operation);
    world.deliver_all();
    assert!(world.candidate.is_some());
    let records = &world.disk[before..];
    assert!(matches!(records, [Record::Desired(desired, content)]
        if desired.position.revision == Revision(2) && content.len() == 2));
    world.install(true);
    assert!(
        matches!(world.disk.last(), Some(Record::Settled { effective, .. })
        if effective.position == world.feed.head().position())
    );
}

#[test]
fn a_rejection_holds_its_transaction_and_nothing_else() {
    let mut world = running(&[("a", Good(0)), ("b", Good(0))]);
    publish(
        &mut world,
        &[("a", Bad(0)), ("b", Good(1)), ("new", Good(0))],
    );
    let expect = [
        ("a", "bad_port"),
        ("b", HELD_TOGETHER),
        ("new", HELD_TOGETHER),
    ];
    check_held(&world, &expect);
    check_runs(&world, "a", Some(Good(0)));
    check_runs(&world, "b", Some(Good(0)));
    check_runs(&world, "new", None);
    let [nack] = nacks(&world)[..] else {
        panic!("one nack, not {:?}", nacks(&world));
    };
    assert_eq!(nack.transaction, Revision(2));
    let told = nack
        .faults
        .iter()
        .map(|it| (it.key.name.as_str(), it.code.as_str()));
    assert_eq!(
        told.collect::<Vec<_>>(),
        expect,
        "the innocent are named too"
    );
    assert_eq!(nack.faults[0].path, "binding.nodes[0].port");
    assert_eq!(stages(&world, 2), [AckStage::Received], "it is not applied");

    publish(&mut world, &[("other", Good(0))]);
    check_held(&world, &expect);
    check_runs(&world, "other", Some(Good(0)));
    assert_eq!(
        world.session.standing().effective.unwrap().revision,
        Revision(3)
    );
}

#[test]
fn the_innocent_are_released_with_the_culprit() {
    let mut world = running(&[("a", Good(0)), ("b", Good(0))]);
    publish(&mut world, &[("a", Bad(0)), ("b", Good(1))]);
    // Another bad one: all stay held, and b waits for it now.
    publish(&mut world, &[("a", Bad(1))]);
    check_held(&world, &[("a", "bad_port"), ("b", HELD_TOGETHER)]);
    publish(&mut world, &[("a", Good(2))]);
    check_held(&world, &[]);
    check_runs(&world, "b", Some(Good(1)));
}

#[test]
fn who_waits_for_the_released_is_released_too() {
    let services = ["a", "b", "c", "d"].map(|name| (name, Good(0)));
    let mut world = running(&services);
    publish(&mut world, &[("a", Bad(0)), ("b", Good(1)), ("d", Bad(0))]);
    // The first culprit is innocent now, and waits for another.
    publish(&mut world, &[("a", Good(1)), ("c", Bad(0))]);
    publish(&mut world, &[("d", Good(1))]);
    check_held(
        &world,
        &[
            ("a", HELD_TOGETHER),
            ("b", HELD_TOGETHER),
            ("c", "bad_port"),
        ],
    );
    publish(&mut world, &[("c", Good(1))]);
    check_held(&world, &[]);
    check_runs(&world, "b", Some(Good(1)));
}

#[test]
fn going_back_to_what_runs_ends_a_hold_without_an_installation() {
    let mut world = running(&[("a", Good(0)), ("c", Good(0))]);
    publish(&mut world, &[("a", Bad(0))]);
    let installs = world.installs;
    publish(&mut world, &[("a", Good(0))]);
    check_held(&world, &[]);
    assert_eq!(world.installs, installs);
    assert_eq!(stages(&world, 3).len(), 3);
}

#[test]
fn what_cannot_be_read_or_names_nothing_is_held_with_its_place() {
    let mut world = running(&[("a", Good(0))]);
    publish(&mut world, &[("a", Unreadable(0))]);
    publish(&mut world, &[("b", Dangling)]);
    check_held(&world, &[("a", "invalid"), ("b", "registry_missing")]);
    let faults = nacks(&world).into_iter().flat_map(|nack| &nack.faults);
    let places: Vec<_> = faults
        .map(|fault| (fault.stage, fault.path.as_str()))
        .collect();
    use ferryway_proto::Stage::{Decode, Reference};
    assert_eq!(
        places,
        [(Decode, ""), (Reference, "binding.discovery.registry")]
    );
}

#[test]
fn a_binding_may_name_a_registry_of_the_same_transaction() {
    let mut world = running(&[]);
    let (view, mut content) = change(&world.feed.head().view, &[("a", Some(Dangling))]);
    let nowhere = name("nowhere");
    let (entry, bytes) = registry(&nowhere, 53);
    let mut changes = Changes::default();
    changes.upserts.insert(Key::registry(&nowhere), entry);
    content.push(bytes);
    world.publish_view(view.with(&changes), content, Cause::Operation);
    world.deliver_all();
    let candidate = world.candidate.clone().unwrap();
    assert_eq!(
        (candidate.registries.len(), candidate.services.len()),
        (1, 1)
    );
    world.settle();
    check_held(&world, &[]);
}

#[test]
fn in_a_reconcile_each_entry_is_for_itself() {
    let mut world = World::new(1);
    let services = [
        ("a", Some(Good(0))),
        ("b", Some(Bad(0))),
        ("c", Some(Unreadable(0))),
        ("d", Some(Dangling)),
    ];
    world.publish(&services, true, Cause::Operation);
    world.settle();
    let expect = [
        ("b", "bad_port"),
        ("c", "invalid"),
        ("d", "registry_missing"),
    ];
    check_held(&world, &expect);
    check_runs(&world, "a", Some(Good(0)));

    // Neither another reconcile nor a restart offers them again.
    let installs = world.installs;
    world.step(Op::ForgetLog);
    world.settle();
    world.lose();
    world.settle();
    world.restart(0);
    world.settle();
    check_held(&world, &expect);
    assert_eq!(
        world.installs,
        installs + 1,
        "what was effective, at the start"
    );
}

#[test]
fn a_cursor_moves_only_over_contiguous_data() {
    let mut world = running(&[("a", Good(0))]);
    for services in [[("a", Some(Good(1)))], [("b", Some(Good(0)))]] {
        world.publish(&services, true, Cause::Operation);
    }
    world.step(Op::Duplicate); // Nothing is on the wire yet.
    world.beat();
    world.step(Op::Drop);
    world.deliver();
    assert_eq!(
        reconciles(&world),
        [Reason::Gap, Reason::Gap],
        "the first at the very start"
    );
    world.settle();
    check_held(&world, &[]);
    check_runs(&world, "a", Some(Good(1)));

    // What came before is refused, and changes nothing.
    publish(&mut world, &[("c", Good(0))]);
    world.publish(&[("c", Some(Good(1)))], true, Cause::Operation);
    world.beat();
    world.step(Op::Duplicate);
    world.settle();
    assert_eq!(reconciles(&world).len(), 2);
    check_runs(&world, "c", Some(Good(1)));
}

#[test]
fn a_control_plane_that_went_back_is_refused_and_what_runs_stays() {
    let mut world = running(&[("a", Good(0))]);
    publish(&mut world, &[("a", Good(1))]);
    let view = View::empty();
    world.replace_head(Head {
        epoch: epoch(1),
        revision: Revision(1),
        view,
    });
    world.deliver_all();
    assert!(!world.session.standing().connected);
    world.connect();
    world.deliver_all();
    assert!(!world.session.standing().connected);
    check_runs(&world, "a", Some(Good(1)));
}

#[test]
fn another_epoch_is_reconciled_while_serving_on() {
    let mut world = running(&[("a", Good(0)), ("b", Good(0))]);
    let (view, content) = change(
        &View::empty(),
        &[("a", Some(Good(0))), ("b", Some(Good(2)))],
    );
    world.publish(&[("b", Some(Good(2)))], true, Cause::Operation);
    drop(content);
    world.replace_head(Head {
        epoch: epoch(2),
        revision: Revision(0),
        view,
    });
    world.settle();
    assert_eq!(reconciles(&world).last(), Some(&Reason::Epoch));
    check_held(&world, &[]);
    let position = world.session.standing().effective.unwrap();
    assert_eq!((position.epoch, position.revision), (epoch(2), Revision(0)));
}

#[test]
fn a_view_that_shrank_waits_for_an_operator() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let services = names.map(|name| (name, Good(0)));
    let mut world = running(&services);
    let (view, _) = change(
        &View::empty(),
        &[("a", Some(Good(0))), ("b", Some(Good(0)))],
    );
    world.replace_head(Head {
        epoch: epoch(2),
        revision: Revision(7),
        view,
    });
    world.settle();
    check_held(
        &world,
        &["c", "d", "e", "f", "g", "h"].map(|name| (name, SHRINK_UNCONFIRMED)),
    );
    for name in names {
        check_runs(&world, name, Some(Good(0)));
    }
    assert!(
        nacks(&world)[0]
            .faults
            .iter()
            .all(|fault| fault.code == SHRINK_UNCONFIRMED)
    );
    // Transactions go on, and one that names an entry ends its hold.
    publish(&mut world, &[("c", Good(1))]);
    check_runs(&world, "c", Some(Good(1)));
    assert!(!held(&world).contains(&("c".to_owned(), SHRINK_UNCONFIRMED.to_owned())));
    world.restart(0);
    world.settle();
    assert_eq!(held(&world).len(), 5);

    world.feed.confirm_shrink();
    world.beat();
    world.settle();
    check_held(&world, &[]);
    check_runs(&world, "h", None);
}

#[test]
fn a_word_on_a_shrunken_view_is_none_on_what_was_rejected_since() {
    let services = ["a", "b", "c", "d", "e", "f"].map(|name| (name, Good(0)));
    let mut world = running(&services);
    let (view, _) = change(&View::empty(), &[("a", Some(Good(0)))]);
    world.replace_head(Head {
        epoch: epoch(2),
        revision: Revision(7),
        view,
    });
    world.settle();
    // The word comes while what changes two of the held services still waits for its turn.
    let one = [("a", Some(Good(1)))];
    let two = [("b", Some(Bad(0))), ("c", Some(Good(1)))];
    world.publish(&one, true, Cause::Operation);
    world.publish(&two, true, Cause::Operation);
    world.deliver_all();
    world.feed.confirm_shrink();
    world.beat();
    world.settle();
    check_held(&world, &[("b", "bad_port"), ("c", HELD_TOGETHER)]);
    check_runs(&world, "c", Some(Good(0)));
    check_runs(&world, "d", None);
}

#[test]
fn a_crash_does_not_take_a_doubted_view_for_a_plan() {
    let services = ["a", "b", "c", "d", "e"].map(|name| (name, Good(0)));
    let mut world = running(&services);
    world.is_lazy = true;
    world.replace_head(Head {
        epoch: epoch(2),
        revision: Revision(7),
        view: View::empty(),
    });
    world.settle();
    // The last thing that was to be recorded was not, and no control plane is there.
    world.restart(1);
    while world.candidate.is_some() {
        world.install(true);
    }
    for (name, _) in services {
        check_runs(&world, name, Some(Good(0)));
    }
}

#[test]
fn a_small_loss_or_a_confirmed_one_needs_no_operator() {
    let services = ["a", "b", "c", "d"].map(|name| (name, Good(0)));
    let mut world = running(&services);
    let (view, _) = change(&View::empty(), &[("a", Some(Good(0)))]);
    world.replace_head(Head {
        epoch: epoch(2),
        revision: Revision(1),
        view,
    });
    world.settle();
    check_held(&world, &[]);
    check_runs(&world, "d", None);

    let services = ["a", "b", "c", "d", "e"].map(|name| (name, Good(0)));
    let mut world = running(&services);
    world.lose();
    let view = View::empty();
    world.replace_head(Head {
        epoch: epoch(2),
        revision: Revision(1),
        view,
    });
    world.feed.confirm_shrink();
    world.settle();
    check_held(&world, &[]);
    check_runs(&world, "d", None);
}

/// What checks the next candidate is offered with.
#[track_caller]
fn check_checks(world: &mut World, cause: Cause, expect: Checks) {
    let revision = world.feed.head().revision.0 as u8;
    world.publish(&[("a", Some(Good(revision)))], true, cause);
    world.connect();
    world.deliver_all();
    world.answer_fetch(true);
    let candidate = world.candidate.clone().unwrap();
    assert_eq!(
        (candidate.checks, candidate.occasion),
        (expect, Occasion::Sent(cause))
    );
    world.settle();
}

#[test]
fn checks_gate_what_is_changed_now_and_nothing_else() {
    let mut world = running(&[("a", Good(100))]);
    check_checks(&mut world, Cause::Operation, Checks::Gate);
    check_checks(&mut world, Cause::Rollback, Checks::Warn);
    check_checks(&mut world, Cause::Abort, Checks::Warn);
    check_checks(&mut world, Cause::Resource, Checks::Skip);
    world.lose();
    check_checks(&mut world, Cause::Operation, Checks::Skip);
    check_checks(&mut world, Cause::Operation, Checks::Gate);
    world.lose();
    world.publish(&[("b", Some(Good(0)))], true, Cause::Operation);
    world.step(Op::ForgetLog);
    world.connect();
    world.deliver_all();
    world.answer_fetch(true);
    let candidate = world.candidate.clone().unwrap();
    assert_eq!(candidate.checks, Checks::Skip);
    world.settle();
    world.restart(0);
    let candidate = world.candidate.clone().unwrap();
    assert_eq!(
        (candidate.checks, candidate.occasion),
        (Checks::Skip, Occasion::Start)
    );
}

#[test]
fn a_failure_outside_the_candidate_is_no_rejection() {
    let mut world = running(&[]);
    world.publish(&[("a", Some(Good(0)))], true, Cause::Operation);
    world.deliver_all();
    for _ in 0..20 {
        world.install(false);
        assert!(world.candidate.is_none());
        world.wait();
    }
    world.settle();
    check_held(&world, &[]);
    assert!(nacks(&world).is_empty());
}

#[test]
fn content_that_cannot_be_got_is_asked_for_again_and_content_that_is_gone_is_a_fault() {
    let mut world = running(&[]);
    world.publish(&[("a", Some(Good(0)))], false, Cause::Operation);
    world.publish(&[("b", Some(Good(0)))], true, Cause::Operation);
    for _ in 0..20 {
        world.deliver_all();
        assert!(world.fetch.is_some());
        world.answer_fetch(false);
        world.wait();
    }
    assert!(held(&world).is_empty());
    world.forget_content();
    for _ in 0..20 {
        world.answer_fetch(true);
        world.wait();
    }
    world.settle();
    check_held(&world, &[("a", "invalid")]);
    check_runs(&world, "b", Some(Good(0)));
}

#[test]
fn content_lost_from_the_disk_is_got_again() {
    let mut world = running(&[("a", Good(0)), ("b", Good(0))]);
    let (_, of_a) = change(&View::empty(), &[("a", Some(Good(0)))]);
    let (_, of_b) = change(&View::empty(), &[("b", Some(Good(0)))]);
    world.forget_content();
    world.add_content(of_a);
    world.restart(0);
    world.install(true);
    check_runs(&world, "a", Some(Good(0)));
    check_runs(&world, "b", None);
    assert!(held(&world).is_empty(), "it was not rejected");

    world.add_content(of_b);
    world.settle();
    world.wait();
    world.settle();
    check_held(&world, &[]);
    check_runs(&world, "b", Some(Good(0)));
}

#[test]
fn a_full_queue_is_left_to_a_reconcile() {
    let mut world = running(&[]);
    for n in 0..=u8::MAX {
        world.publish(&[("a", Some(Good(n)))], true, Cause::Operation);
    }
    for n in 0..100 {
        world.publish(&[("b", Some(Good(n)))], true, Cause::Operation);
    }
    world.deliver_all();
    assert_eq!(world.session.queue.len(), QUEUE_MAX);
    world.beat();
    world.deliver_all();
    let asked = reconciles(&world).len();
    while world.candidate.is_some() {
        world.install(true);
    }
    world.beat();
    world.settle();
    assert_eq!(reconciles(&world).len(), asked + 1);
    check_held(&world, &[]);
    assert_eq!(
        world.session.standing().desired,
        Some(world.feed.head().position())
    );
}

#[test]
fn silence_and_nonsense_end_a_stream_but_nothing_else() {
    let mut world = running(&[("a", Good(0))]);
    world.now += Duration::from_secs(3_001);
    world.on(Event::Tick);
    assert!(
        !world.session.standing().connected,
        "three heartbeats are missing"
    );

    world.settle();
    assert!(world.session.standing().connected);
    let message = wire_without_a_message();
    world.on(Event::Undecodable(message));
    assert!(!world.session.standing().connected);
    check_runs(&world, "a", Some(Good(0)));

    world.on(Event::Connected);
    world.on(Event::Message(Box::new(ControlMessage::Ask { id: 1 })));
    assert!(
        !world.session.standing().connected,
        "no message comes before the welcome"
    );
}

fn wire_without_a_message() -> DecodeError {
    ControlMessage::decode(ferryway_proto::wire::ControlMessage::default()).unwrap_err()
}

#[test]
fn a_question_is_answered_with_unsupported() {
    let mut world = running(&[]);
    world.on(Event::Message(Box::new(ControlMessage::Ask { id: 7 })));
    assert!(matches!(
        world.sent.last(),
        Some(AgentMessage::Unsupported { id: 7, .. })
    ));
}

#[test]
fn holds_say_whose_fault_it_was_and_survive_their_bytes() {
    let mut world = running(&[("a", Good(0)), ("b", Good(0))]);
    publish(&mut world, &[("a", Bad(0)), ("b", Good(1))]);
    let holds = world.session.standing().holds;
    let whys: Vec<_> = holds.values().map(|hold| hold.why.clone()).collect();
    let culprits = BTreeSet::from([Key::service(&name("a"))]);
    assert_eq!(whys, [Why::Rejected, Why::Together(culprits)]);
    for hold in holds.values() {
        let json = serde_json::to_vec(hold).unwrap();
        assert_eq!(
            &serde_json::from_slice::<crate::hold::Hold>(&json).unwrap(),
            hold
        );
    }
}
