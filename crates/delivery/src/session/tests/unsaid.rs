//! When it is said that something is held.

use std::time::Duration;

use ferryway_model::Revision;
use ferryway_proto::{AgentMessage, Cause};

use super::rules::{check_held, check_runs, nacks, publish, running, stages};
use super::world::World;
use crate::session::Event;
use crate::testing::Variant::{Bad, Good};

/// An instance that runs `a` and `b`, and was sent an `a` that it rejects; its disk is slow.
fn holding() -> World {
    let mut world = running(&[("a", Good(0)), ("b", Good(0))]);
    world.is_lazy = true;
    publish(&mut world, &[("a", Bad(0))]);
    check_held(&world, &[("a", "bad_port")]);
    world
}

/// What the last status or hello says: up to which revision all is settled, and how much is held.
fn claimed(world: &World) -> (u64, u32) {
    let claim = world.sent.iter().rev().find_map(|message| match message {
        AgentMessage::Status(status) => Some((status.effective, status.held)),
        AgentMessage::Hello(hello) => Some((hello.effective, hello.held)),
        AgentMessage::Ack(_)
        | AgentMessage::Nack(_)
        | AgentMessage::Reconcile(_)
        | AgentMessage::Warnings(_)
        | AgentMessage::Unsupported { .. } => None,
    });
    let (effective, held) = claim.unwrap();
    (effective.unwrap().revision.0, held)
}

/// What is said of a rejection of the second transaction and of what came after it is right.
#[track_caller]
fn check_told(world: &World, is_told: bool) {
    let told: Vec<_> = nacks(world).iter().map(|nack| nack.transaction).collect();
    let expect = if is_told { vec![Revision(2)] } else { vec![] };
    assert_eq!(told, expect);
}

#[test]
fn a_hold_is_said_when_it_is_on_the_disk_and_what_follows_after_it() {
    let mut world = holding();
    check_told(&world, false);
    world.beat();
    world.deliver_all();
    assert_eq!(claimed(&world), (1, 0));

    publish(&mut world, &[("b", Good(1))]);
    check_runs(&world, "b", Some(Good(1)));
    check_told(&world, false);
    assert_eq!(stages(&world, 3).len(), 1, "received");
    world.beat();
    world.deliver_all();
    assert_eq!(claimed(&world), (1, 0));

    let before = world.sent.len();
    world.sync();
    let said: Vec<_> = world.sent[before..]
        .iter()
        .filter_map(|message| match message {
            AgentMessage::Nack(nack) => Some(("nack", nack.transaction.0, nack.effective)),
            AgentMessage::Ack(ack) => Some(("ack", ack.transaction.0, ack.effective)),
            _ => None,
        })
        .map(|(what, transaction, effective)| (what, transaction, effective.unwrap().revision.0))
        .collect();
    // The first says that it would survive a loss of power.
    assert_eq!(said, [("ack", 3, 1), ("nack", 2, 2), ("ack", 3, 3)]);
    world.beat();
    world.deliver_all();
    assert_eq!(claimed(&world), (3, 1));
}

#[test]
fn without_a_disk_a_hold_is_said_at_once() {
    let mut world = holding();
    world.on(Event::Unkept);
    check_told(&world, true);
    publish(&mut world, &[("b", Bad(0))]);
    assert_eq!(nacks(&world).len(), 2);

    // With the next write that works, the disk is waited for again.
    world.sync();
    publish(&mut world, &[("c", Bad(0))]);
    assert_eq!(nacks(&world).len(), 2);
    world.sync();
    assert_eq!(nacks(&world).len(), 3);
}

#[test]
fn a_disk_that_hangs_is_not_waited_for_for_ever() {
    let mut world = holding();
    let deadline = world.session.deadline().unwrap();
    world.now = deadline - Duration::from_millis(1);
    world.on(Event::Tick);
    check_told(&world, false);
    world.now = deadline;
    world.on(Event::Tick);
    check_told(&world, true);
}

#[test]
fn on_another_stream_the_hold_is_said_but_not_the_transaction() {
    let mut world = holding();
    world.lose();
    world.connect();
    assert_eq!(claimed(&world), (1, 0), "hello");
    world.deliver_all();
    world.sync();
    assert_eq!(claimed(&world), (2, 1), "status");
    check_told(&world, false);
    publish(&mut world, &[("b", Good(1))]);
    world.sync();
    assert_eq!(stages(&world, 3).len(), 3);
}

#[test]
fn steps_do_not_pile_up_behind_a_hold() {
    let mut world = holding();
    for n in 0..=255 {
        world.publish(&[("b", Some(Good(n)))], true, Cause::Operation);
        world.settle();
    }
    check_told(&world, true);
}

#[test]
#[should_panic(expected = "a start revives")]
fn said_before_the_disk_has_it_a_hold_may_be_lost() {
    let mut world = holding();
    world.on(Event::Unkept);
    world.restart(1);
    world.install(true);
    world.answer_fetch(true);
}
