//! The control plane, killed while several writers write to it, again and again on one data folder.

use std::env;
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ferryway_runtime::Random;
use ferryway_testkit::{Deadline, START_TIME_MAX, eventually};

use super::history::{Call, Outcome, Seen, check};
use super::machine::Machine;
use super::writers::{Writer, make_shared};
use crate::caller::Caller;

/// How often each of the tests below kills; this variable says otherwise.
const KILLS: u32 = 50;
const KILLS_VARIABLE: &str = "FERRYWAY_TEST_KILLS";
const WRITERS: u32 = 4;
/// After so many restarts everything is looked at; and at the end.
const LOOKED_AT_EVERY: u32 = 25;
/// One kill in so many comes while the control plane starts.
const STARTING_ONE_IN: u64 = 9;
/// At most so many answers before a kill, and at most so long after the last of them.
const ANSWERS_MAX: u64 = 40;
const THEN_MICROS_MAX: u64 = 3_000;

/// Kills at moments that this number decides, as far as processes let it.
#[track_caller]
fn killed(seed: u64) {
    let kills = env::var(KILLS_VARIABLE).map_or(KILLS, |text| {
        text.parse().expect("FERRYWAY_TEST_KILLS is a number")
    });
    let mut random = Random::seeded(seed);
    let mut machine = Machine::new();
    let mut writers: Vec<_> = (0..WRITERS)
        .map(|number| Writer::new(number, WRITERS, seed))
        .collect();
    machine.start();
    let shared = make_shared(&machine);
    for writer in &mut writers {
        writer.prepare(machine.api());
    }
    for kill in 1..=kills {
        if random.below(STARTING_ONE_IN) == 0 {
            kill_starting(&mut machine);
        }
        kill_writing(&mut machine, &mut writers, &mut random);
        machine.start();
        if kill % LOOKED_AT_EVERY == 0 || kill == kills {
            look(
                &machine,
                &shared,
                &mut writers,
                &format!("seed {seed}, kill {kill}"),
            );
        }
    }
}

/// Kills in the middle of writes.
fn kill_writing(machine: &mut Machine, writers: &mut [Writer], random: &mut Random) {
    let answers = random.below(ANSWERS_MAX);
    let then = Duration::from_micros(random.below(THEN_MICROS_MAX));
    let api = machine.api();
    thread::scope(|scope| {
        let (answered, is_answered) = mpsc::channel();
        for writer in writers {
            let answered = answered.clone();
            scope.spawn(move || writer.write(api, &answered));
        }
        drop(answered);
        for _ in 0..answers {
            // An error: every writer has failed, which the scope tells.
            if is_answered.recv().is_err() {
                break;
            }
        }
        let moment = Deadline::after(then);
        while !moment.is_over() {
            thread::yield_now();
        }
        machine.kill();
    });
}

/// Kills between the moment in which a start takes its port and the one in which it is done.
fn kill_starting(machine: &mut Machine) {
    machine.kill();
    let api = machine.api();
    machine.spawn();
    eventually(START_TIME_MAX, "its port", || TcpStream::connect(api).ok());
    machine.kill();
    machine.start();
}

/// Everything that was answered is there, and nothing by half.
#[track_caller]
fn look(machine: &Machine, shared: &Call, writers: &mut [Writer], when: &str) {
    let mut caller = Caller::connect(machine.api()).expect("it is ready");
    let mut calls = vec![shared.clone()];
    for writer in writers {
        writer.look_again(&mut caller).expect("nobody kills it now");
        calls.extend_from_slice(writer.calls());
    }
    let seen = Seen::read(&mut |path| caller.list(path));
    let wrong = check(&calls, &seen);
    assert!(wrong.is_empty(), "{when}: {wrong:#?}");
    let cut = calls.iter().filter(|call| call.outcome == Outcome::Cut);
    let (all, cut) = (calls.len(), cut.count());
    // It would prove nothing if no call was ever under way.
    assert!(
        cut > 0 && all > 4 * cut,
        "{when}: {cut} of {all} were cut off"
    );
}

#[test]
fn with_seed_1() {
    killed(1);
}

#[test]
fn with_seed_2() {
    killed(2);
}

#[test]
fn with_seed_3() {
    killed(3);
}

#[test]
fn with_seed_4() {
    killed(4);
}
