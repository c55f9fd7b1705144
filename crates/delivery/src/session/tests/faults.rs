//! What cannot be read is held like what cannot be loaded; and all faults are told.

use std::collections::BTreeSet;

use ferryway_model::{Key, Revision};
use ferryway_proto::limits::FAULTS_MAX;
use ferryway_proto::{AgentMessage, Cause, Fault, Nack, Stage};

use super::rules::{check_held, check_runs, nacks, publish, running};
use super::world::{Op, World};
use crate::hold::HELD_TOGETHER;
use crate::testing::Variant::{Bad, Good, Newer};
use crate::testing::{Variant, name};

#[test]
fn an_entry_of_a_newer_form_holds_its_transaction_and_nothing_else() {
    let mut world = running(&[("a", Good(0)), ("b", Good(0))]);
    publish(&mut world, &[("a", Newer(0)), ("b", Good(1))]);
    check_held(&world, &[("a", "unsupported"), ("b", HELD_TOGETHER)]);
    let fault = &nacks(&world)[0].faults[0];
    assert_eq!(
        (fault.stage, fault.path.as_str()),
        (Stage::Schema, "schema")
    );
    let head = world.feed.head();
    assert_eq!(
        fault.digest,
        head.view.get_digested(&fault.key).map(|it| it.1)
    );
    assert!(world.session.standing().connected, "the stream goes on");
    publish(&mut world, &[("c", Good(0))]);
    check_runs(&world, "a", Some(Good(0)));
    check_runs(&world, "c", Some(Good(0)));

    // Neither a restart nor a comparison offers it, and other content ends the hold.
    for again in [Op::Restart(0), Op::ForgetLog] {
        world.step(again);
        world.settle();
        check_held(&world, &[("a", "unsupported"), ("b", HELD_TOGETHER)]);
        let head = world.feed.head().position();
        assert_eq!(world.session.standing().desired, Some(head));
    }
    publish(&mut world, &[("a", Good(2))]);
    check_held(&world, &[]);
    check_runs(&world, "b", Some(Good(1)));
}

#[test]
fn in_a_reconcile_only_the_newer_entry_is_held() {
    let mut world = World::new(1);
    let services = [("a", Some(Good(0))), ("b", Some(Newer(0)))];
    world.publish(&services, true, Cause::Operation);
    world.settle();
    check_held(&world, &[("b", "unsupported")]);
    check_runs(&world, "a", Some(Good(0)));
    publish(&mut world, &[("b", Good(0))]);
    check_held(&world, &[]);
}

#[test]
fn a_removal_of_what_cannot_be_read_ends_its_hold() {
    let mut world = running(&[("a", Good(0))]);
    publish(&mut world, &[("b", Newer(0))]);
    check_held(&world, &[("b", "unsupported")]);
    world.publish(&[("b", None)], true, Cause::Operation);
    world.settle();
    check_held(&world, &[]);
}

#[test]
fn a_transaction_of_many_is_told_in_several_messages() {
    let mut world = running(&[("a", Good(0))]);
    let names: Vec<String> = (0..FAULTS_MAX).map(|n| format!("s{n}")).collect();
    let others = names.iter().map(|name| (name.as_str(), Good(0)));
    let services: Vec<(&str, Variant)> = [("a", Bad(0))].into_iter().chain(others).collect();
    publish(&mut world, &services);
    // Whatever is not named when the second revision is said to be settled would be taken for applied.
    assert_eq!(shape(&nacks(&world)), [(FAULTS_MAX, 1, 0), (1, 2, 0)]);
    assert_eq!(world.session.standing().holds.len(), FAULTS_MAX + 1);
}

/// How many faults each message has, up to which revision it says all is settled, and how many are
/// left out.
fn shape(nacks: &[&Nack]) -> Vec<(usize, u64, u32)> {
    let shape = nacks.iter().map(|nack| {
        assert_eq!(nack.transaction, Revision(2));
        let effective = nack.effective.unwrap().revision.0;
        (nack.faults.len(), effective, nack.cut)
    });
    shape.collect()
}

/// Of this many entries, each has two faults: how many are told, of how many entries, and how many
/// are left out?
#[track_caller]
fn check_cut(entries: usize, expect: (usize, usize, u32)) {
    let world = running(&[("a", Good(0))]);
    let position = world.session.standing().effective.unwrap();
    let fault = |n: usize| Fault {
        key: Key::service(&name(&format!("s{n}"))),
        digest: None,
        stage: Stage::Build,
        code: "bad".to_owned(),
        path: String::new(),
        detail: String::new(),
        evidence: None,
    };
    let faults = (0..entries).flat_map(|n| [fault(n), fault(n)]).collect();
    let (mut told, mut named, mut cut) = (0, BTreeSet::new(), 0);
    for message in world.session.nacks(position, faults) {
        let AgentMessage::Nack(nack) = message else {
            panic!("{message:?}");
        };
        assert_eq!(cut, 0, "said by the last one only");
        assert!((1..=FAULTS_MAX).contains(&nack.faults.len()));
        told += nack.faults.len();
        cut = nack.cut;
        named.extend(nack.faults.into_iter().map(|fault| fault.key));
    }
    assert_eq!((told, named.len(), cut), expect);
}

#[test]
fn what_is_left_out_is_counted_and_each_entry_comes_before_its_second_fault() {
    check_cut(0, (0, 0, 0));
    check_cut(1, (2, 1, 0));
    check_cut(4_096, (8_192, 4_096, 0));
    check_cut(5_000, (8_192, 5_000, 1_808));
    check_cut(9_000, (8_192, 8_192, 9_808));
}
