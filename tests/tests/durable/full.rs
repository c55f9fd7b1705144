//! Disks without room. A disk can be filled only with privileges; here the system refuses what a
//! process writes beyond a number of bytes of a file, which it reports as it does a full disk, by an
//! error of the write. That the error is another one (EFBIG, not ENOSPC), the store's and the
//! instance's disk own tests make good.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ferryway_testkit::{Program, eventually, heedless};
use serde_json::Value;

use super::history::{Seen, check};
use super::instance::Instance;
use super::machine::Machine;
use super::stream::{Stream, nobody};
use super::writers::Writer;
use crate::caller::Caller;

const WRITERS: u32 = 3;
/// How many answers are waited for, refusals included, before there is room again.
const ANSWERS: u32 = 90;
/// How long an instance's disk may take to be tried again, and more.
const TRIED_AGAIN_WITHIN: Duration = Duration::from_secs(40);
/// Longer than a start takes that fails.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(15);

/// How much of the store's file can be written, in parts of a hundred: at 100 it cannot grow, at 0
/// nothing can be written at all.
const ROOM: [u64; 4] = [100, 60, 0, 30];

#[test]
fn a_control_plane_without_room_refuses_and_goes_on_when_there_is_some() {
    let mut machine = Machine::new();
    let command = heedless(&machine.command(), "");
    machine.run(command);
    machine.wait_ready();
    let shared = super::writers::make_shared(&machine);
    let mut writers: Vec<_> = (0..WRITERS)
        .map(|number| Writer::new(number, WRITERS, 7))
        .collect();
    for writer in &mut writers {
        writer.prepare(machine.api());
    }
    for room in ROOM {
        let file = machine.data().join("store.redb");
        let bytes = file.metadata().expect("the store is there").len();
        machine.program().limit_files(Some(bytes * room / 100));
        write(&machine, &mut writers, ANSWERS);
        // Reading goes on.
        let mut caller = Caller::connect(machine.api()).expect("it runs");
        for path in ["/gateway-groups", "/operations", "/audit", "/services"] {
            assert!(!caller.list(path).is_empty(), "{path}");
        }
        let ready = caller.probe("/readyz").expect("it runs");
        let why = String::from_utf8_lossy(&ready.body).into_owned();
        let is_told = ready.status == 503 && why.contains("store.redb");
        assert!(ready.status == 200 || is_told, "{} {why}", ready.status);

        machine.program().limit_files(None);
        // Without a restart, and at once.
        write(&machine, &mut writers, WRITERS * 4);
        assert_eq!(caller.probe("/readyz").expect("it runs").status, 200);
        let calls = all(&shared, &mut writers, &mut caller);
        let wrong = check(&calls, &Seen::read(&mut |path| caller.list(path)));
        assert!(wrong.is_empty(), "with room for {room} of 100: {wrong:#?}");
    }
    let refused: u32 = writers.iter().map(Writer::refused).sum();
    assert!(refused > 0, "there was always room");

    machine.kill();
    machine.start();
    let mut caller = Caller::connect(machine.api()).expect("it is ready");
    let calls = all(&shared, &mut writers, &mut caller);
    let wrong = check(&calls, &Seen::read(&mut |path| caller.list(path)));
    assert!(wrong.is_empty(), "after a restart: {wrong:#?}");
}

/// Lets all of them write until there were so many answers.
fn write(machine: &Machine, writers: &mut [Writer], answers: u32) {
    let api = machine.api();
    thread::scope(|scope| {
        let (answered, is_answered) = mpsc::channel();
        for writer in writers {
            let answered = answered.clone();
            scope.spawn(move || writer.write(api, &answered));
        }
        drop(answered);
        for _ in 0..answers {
            is_answered.recv().expect("the control plane runs");
        }
    });
}

/// What they asked, after each has looked whether it is there.
#[track_caller]
fn all(
    shared: &super::history::Call,
    writers: &mut [Writer],
    caller: &mut Caller,
) -> Vec<super::history::Call> {
    let mut calls = vec![shared.clone()];
    for writer in writers {
        writer.look_again(caller).expect("the control plane runs");
        calls.extend_from_slice(writer.calls());
    }
    calls
}

/// What a gateway says of its disk.
#[track_caller]
fn wait_disk(instance: &Instance, is_writable: bool) -> Value {
    let what = format!("a disk that is writable: {is_writable}");
    eventually(TRIED_AGAIN_WITHIN, &what, || {
        let disk = instance.status()["disk"].clone();
        (disk["writable"] == is_writable).then_some(disk)
    })
}

#[test]
fn a_gateway_without_room_serves_what_it_is_sent_and_writes_it_later() {
    let mut stream = Stream::start();
    let mut instance = Instance::new();
    let control = stream.machine.delivery_url();
    instance.run(heedless(&instance.command(&control), ""));
    instance.wait_ready();
    for room in [100, 50, 0] {
        let file = instance.data().join("instance.redb");
        let bytes = file.metadata().expect("the database is there").len();
        instance.program().limit_files(Some(bytes * room / 100));
        // Small changes fit into a file that may not grow; not for ever.
        let failing = eventually(TRIED_AGAIN_WITHIN, "a disk that is full", || {
            stream.step();
            wait_served(&stream, &instance);
            let disk = instance.status()["disk"].clone();
            (disk["writable"] == false || room == 100).then_some(disk)
        });
        if room < 100 {
            let why = failing["error"].as_str().expect("there is a reason");
            assert!(
                why.contains("instance.redb") || why.contains("last-good"),
                "{why}"
            );
        }
        instance.program().limit_files(None);
        wait_disk(&instance, true);
    }
    // What came while the disk was full is on it.
    stream.step();
    wait_served(&stream, &instance);
    instance.program().signal(ferryway_testkit::Signal::TERM);
    instance.program().wait_exit(TRIED_AGAIN_WITHIN);
    instance.kill();
    instance.spawn(&nobody());
    instance.wait_ready();
    assert_eq!(stream.check(&instance), stream.revision());
}

#[track_caller]
fn wait_served(stream: &Stream, instance: &Instance) {
    eventually(TRIED_AGAIN_WITHIN, "the newest revision", || {
        (stream.check(instance) == stream.revision()).then_some(())
    });
}

#[test]
fn a_gateway_starts_on_a_full_disk_without_its_control_plane() {
    let mut stream = Stream::start();
    let mut instance = Instance::new();
    instance.spawn(&stream.machine.delivery_url());
    instance.wait_ready();
    stream.step();
    wait_served(&stream, &instance);
    instance.program().signal(ferryway_testkit::Signal::TERM);
    instance.program().wait_exit(TRIED_AGAIN_WITHIN);
    let newest = stream.revision();
    // Ended as it should, and then killed: the second time, its database must be mended first.
    for _ in 0..2 {
        let command = instance.command(&nobody());
        instance.run(heedless(&command, "ulimit -S -f 0"));
        instance.wait_ready();
        assert_eq!(stream.check(&instance), newest);
        assert_eq!(wait_disk(&instance, false)["writable"], false);
        instance.kill();

        instance.spawn(&nobody());
        instance.wait_ready();
        assert_eq!(stream.check(&instance), newest);
        assert_eq!(instance.status()["disk"]["writable"], true);
        instance.kill();
    }
}

#[test]
fn a_control_plane_that_cannot_write_at_its_start_says_so() {
    let mut machine = Machine::new();
    machine.start();
    machine.kill();
    let command = heedless(&machine.command(), "ulimit -S -f 0");
    let said = ends(machine.run(command));
    // Its own words are refused as well where they go to a file.
    assert_eq!(said, "");
    machine.start();
}

/// Nobody may be able to read what a program says; it does its work all the same.
#[test]
fn a_full_disk_under_the_log_stops_nobody() {
    let mute = "exec 2>/dev/full >/dev/full";
    let mut stream = Stream::start();
    stream.machine.kill();
    let command = heedless(&stream.machine.command(), mute);
    stream.machine.run(command);
    stream.machine.wait_ready();
    let mut instance = Instance::new();
    let command = instance.command(&stream.machine.delivery_url());
    instance.run(heedless(&command, mute));
    instance.wait_ready();
    stream.step();
    wait_served(&stream, &instance);
    // And one that is refused still says so by its code.
    let mut second = Machine::new();
    second.share(stream.machine.data());
    let command = heedless(&second.command(), mute);
    ends(second.run(command));
}

/// Waits until a program has ended as one does that cannot start. What it said.
#[track_caller]
fn ends(program: &mut Program) -> String {
    let exit = program.wait_exit(REFUSAL_TIME_MAX);
    let said = program.stderr();
    assert_eq!(exit.code(), Some(1), "{said}");
    said
}
