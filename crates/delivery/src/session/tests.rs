//! The session against a real feed, with everything between them going wrong.

mod faults;
mod rules;
mod unsaid;
mod warnings;
mod world;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::testing::Variant;
use world::{Op, World};

/// Names that histories are about.
const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn variant() -> impl Strategy<Value = Option<Variant>> {
    prop_oneof![
        6 => (0_u8..3).prop_map(|n| Some(Variant::Good(n))),
        2 => (0_u8..2).prop_map(|n| Some(Variant::Bad(n))),
        1 => Just(Some(Variant::Unreadable(0))),
        1 => Just(Some(Variant::Dangling)),
        1 => (0_u8..2).prop_map(|n| Some(Variant::Newer(n))),
        2 => Just(None),
    ]
}

fn services() -> impl Strategy<Value = Vec<(&'static str, Option<Variant>)>> {
    vec((proptest::sample::select(&NAMES[..]), variant()), 1..5)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (services(), any::<bool>()).prop_map(|(services, inline)| Op::Publish { services, inline }),
        10 => Just(Op::Deliver),
        1 => Just(Op::Duplicate),
        1 => Just(Op::Drop),
        1 => Just(Op::Swap),
        3 => Just(Op::Connect),
        1 => Just(Op::Lose),
        8 => Just(Op::Install),
        1 => Just(Op::FailInstall),
        4 => Just(Op::Fetch),
        1 => Just(Op::FetchNothing),
        2 => Just(Op::Beat),
        2 => (0_usize..4).prop_map(Op::Restart),
        3 => Just(Op::Sync),
        1 => services().prop_map(Op::NewEpoch),
        1 => Just(Op::Confirm),
        1 => Just(Op::ForgetLog),
        2 => Just(Op::Wait),
    ]
}

proptest! {

    /// Whatever happens, in whatever order, the invariants hold after each step, and once
    /// everything works again the instance runs the head or says what it holds.
    #[test]
    fn histories(ops in vec(op(), 1..80), seed: u64) {
        let mut world = World::new(seed);
        for op in ops {
            world.step(op);
        }
        world.heal();
    }
}
