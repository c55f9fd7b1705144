//! Checks that only warn, and what the control plane is told of them.

use ferryway_model::{Key, Revision};
use ferryway_proto::{Ack, AckStage, AgentMessage, Cause, Fault, Position, Stage, Warnings};

use super::world::World;
use crate::feed::Head;
use crate::session::Event;
use crate::testing::Variant::{Checked, Good};
use crate::testing::{Variant, change, epoch, name};

/// A connected session that has gone back once, and whose checks run.
fn gone_back() -> World {
    let mut world = World::new(1);
    world.settle();
    world.sent.clear();
    go_back(&mut world);
    world
}

fn go_back(world: &mut World) {
    go_back_to(world, Checked(world.feed.head().revision.0 as u8));
}

fn go_back_to(world: &mut World, variant: Variant) {
    world.publish(&[("a", Some(variant))], true, Cause::Rollback);
    world.settle();
}

fn fault() -> Fault {
    Fault {
        key: Key::service(&name("a")),
        digest: None,
        stage: Stage::Check,
        code: "check_failed".to_owned(),
        path: "checks[0]".to_owned(),
        detail: "expected status 200, got 500".to_owned(),
        evidence: None,
    }
}

/// What was said of warnings and of what is applied, in order.
#[track_caller]
fn check(world: &World, expect: &[&str]) {
    let told = world.sent.iter().filter_map(|message| match message {
        AgentMessage::Warnings(Warnings { transaction, found }) => Some(match found {
            None => format!("{transaction} checks"),
            Some(found) => format!("{transaction} found {}", found.len()),
        }),
        AgentMessage::Ack(Ack {
            transaction,
            stage: AckStage::Applied { .. },
            ..
        }) => Some(format!("{transaction} applied")),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), expect);
}

fn finish(world: &mut World, position: Position, faults: Vec<Fault>) {
    world.on(Event::Checked { position, faults });
}

#[test]
fn the_control_plane_is_told_before_the_ack_and_when_it_is_over() {
    let mut world = gone_back();
    check(&world, &["1 checks", "1 applied"]);
    // What comes next waits for nothing.
    go_back(&mut world);
    let [first, second] = world.checking[..] else {
        panic!("both are checked: {:?}", world.checking);
    };
    finish(&mut world, second, vec![]);
    finish(&mut world, first, vec![fault()]);
    let end = ["2 checks", "2 applied", "2 found 0", "1 found 1"];
    check(&world, &[&["1 checks", "1 applied"], &end[..]].concat());
}

#[test]
fn more_than_a_few_at_a_time_are_said_to_be_left_out() {
    let mut world = gone_back();
    for _ in 0..4 {
        go_back(&mut world);
    }
    assert_eq!(world.checking.len(), 4);
    let first = world.checking[0];
    let left_out = world.sent.iter().find_map(|message| match message {
        AgentMessage::Warnings(Warnings { transaction, found }) if *transaction == Revision(5) => {
            found.clone()
        }
        _ => None,
    });
    let codes = left_out.into_iter().flatten().map(|fault| fault.code);
    assert_eq!(codes.collect::<Vec<_>>(), ["checks_skipped"]);
    finish(&mut world, first, vec![]);
    go_back(&mut world);
    assert_eq!(world.checking.len(), 5);
}

#[test]
fn without_checks_there_is_nothing_to_say() {
    let mut world = World::new(1);
    world.settle();
    world.sent.clear();
    go_back_to(&mut world, Good(1));
    check(&world, &["1 applied"]);
    world.publish(&[("a", None)], true, Cause::Rollback);
    world.settle();
    check(&world, &["1 applied", "2 applied"]);
}

#[test]
fn another_history_is_told_nothing_of_them() {
    let mut world = gone_back();
    let (view, _) = change(&world.feed.head().view, &[("b", Some(Good(0)))]);
    world.lose();
    world.replace_head(Head {
        epoch: epoch(2),
        revision: Revision(1),
        view,
    });
    world.settle();
    world.sent.clear();
    let position = world.checking[0];
    finish(&mut world, position, vec![fault()]);
    check(&world, &[]);
}
