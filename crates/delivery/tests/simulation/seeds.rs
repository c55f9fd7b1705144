//! The seeds, as tests.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Once;

use crate::trace::Report;
use crate::world;

/// How many seeds are run where nothing else is said.
const SEEDS: u64 = 304;
/// Into how many tests they are split.
const PARTS: u64 = 16;

/// A number from the environment.
fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} must be a number, and is {text:?}")))
}

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// A panic in a task ends only the task; here it must not happen at all.
fn note_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            usual(panic);
        }));
    });
}

/// Runs a seed, whose invariants must hold.
#[track_caller]
fn check(seed: u64) -> Report {
    note_panics();
    let report = world::run(seed);
    let panics = PANICS.take();
    let broken = report.broken.as_ref().or_else(|| panics.first());
    if let Some(why) = broken {
        let shown = match variable("FERRYWAY_SEED") {
            Some(_) => report.lines().join("\n"),
            None => report.tail(),
        };
        panic!(
            "{shown}\n\nseed {seed}: {why}\n\
             to see all of it: FERRYWAY_SEED={seed} cargo nextest run -p ferryway-delivery \
             --test simulation --no-capture"
        );
    }
    report
}

/// Runs the seeds of a part.
#[track_caller]
fn part(number: u64) {
    if let Some(seed) = variable("FERRYWAY_SEED") {
        if seed % PARTS == number {
            println!("{}", check(seed).lines().join("\n"));
        }
        return;
    }
    let seeds = variable("FERRYWAY_SEEDS").unwrap_or(SEEDS);
    (0..seeds)
        .filter(|seed| seed % PARTS == number)
        .for_each(|seed| {
            check(seed);
        });
}

/// One test for each part, so that they run side by side.
macro_rules! parts {
    ($($name:ident: $number:literal)*) => {
        $(
            #[test]
            fn $name() {
                part($number);
            }
        )*
    };
}

parts! {
    seeds_0: 0 seeds_1: 1 seeds_2: 2 seeds_3: 3 seeds_4: 4 seeds_5: 5 seeds_6: 6 seeds_7: 7
    seeds_8: 8 seeds_9: 9 seeds_10: 10 seeds_11: 11 seeds_12: 12 seeds_13: 13 seeds_14: 14
    seeds_15: 15
}

#[test]
fn a_seed_is_a_run() {
    for seed in 1_000..1_008 {
        let [first, second] = [check(seed), check(seed)];
        let [first, second] = [first.lines(), second.lines()];
        let differs = first
            .iter()
            .zip(&second)
            .position(|(one, other)| one != other);
        let around = differs.map(|at| [first[at], second[at]]);
        assert_eq!(around, None, "seed {seed}");
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}

/// A simulation in which nothing happens finds nothing.
#[test]
fn everything_happens() {
    let mut counts = BTreeMap::new();
    for seed in 2_000..2_024 {
        for (what, count) in check(seed).counts {
            *counts.entry(what).or_insert(0) += count;
        }
    }
    for what in HAPPENS {
        assert!(
            counts.contains_key(what),
            "{what} never happens: {counts:?}"
        );
    }
    println!("{counts:?}");
}

/// What a few seeds have all of.
const HAPPENS: [&str; 24] = [
    "ack",
    "careless",
    "confirm",
    "content-away",
    "converged",
    "cut",
    "ends",
    "full",
    "fuse",
    "gone",
    "hello",
    "holding",
    "ill",
    "late",
    "mended",
    "nack",
    "old-files",
    "publish",
    "reset",
    "restore",
    "serves",
    "start-over",
    "starts",
    "weather",
];
