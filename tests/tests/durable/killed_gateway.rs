//! A gateway, killed while it writes what it is sent to its disk.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ferryway_runtime::Random;
use ferryway_testkit::{Deadline, eventually};

use super::instance::Instance;
use super::stream::{Stream, nobody, position};

/// How often the gateway is started and killed; every second time without a control plane.
const KILLS: u32 = 100;
/// How many changes reach it at most before it is killed, and at most how long after that.
const CHANGES_MAX: u64 = 4;
const THEN_MICROS_MAX: u64 = 20_000;
/// How long a change may take to reach a gateway on a busy machine, its connection included.
const REACHED_WITHIN: Duration = Duration::from_secs(30);

#[test]
fn a_killed_gateway_starts_from_one_revision() {
    let seed = 5;
    let mut random = Random::seeded(seed);
    let mut stream = Stream::start();
    let mut instance = Instance::new();
    let (control, nobody) = (stream.machine.delivery_url(), nobody());
    let mut served = 0;
    let mut starts = 0;
    for kill in 0..KILLS / 2 {
        instance.spawn(&control);
        instance.wait_ready();
        served = stream.check(&instance).max(served);
        kill_writing(&mut instance, &mut stream, &mut random);

        instance.spawn(&nobody);
        instance.wait_ready();
        let found = stream.check(&instance);
        let status = instance.status();
        assert_eq!(status["source"], "disk", "kill {kill} of seed {seed}");
        assert_eq!(status["control"]["connected"], false);
        // What it once started from, it has.
        assert!(
            found >= starts,
            "kill {kill} of seed {seed}: {found} after {starts}"
        );
        starts = found;
        instance.kill();
    }
    // The disk was written to: it did not start from the same thing each time.
    assert!(starts > 1 && served > starts / 2, "{starts} {served}");
}

/// Kills it while it is sent one change after the other.
fn kill_writing(instance: &mut Instance, stream: &mut Stream, random: &mut Random) {
    let changes = 1 + random.below(CHANGES_MAX);
    let then = Duration::from_micros(random.below(THEN_MICROS_MAX));
    let until = stream.revision() + changes;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let steps = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                stream.step();
            }
        });
        eventually(REACHED_WITHIN, "some changes to reach the gateway", || {
            assert!(!steps.is_finished(), "the changes have failed");
            let (revision, _) = position(&instance.status()["effective"]);
            (revision >= until).then_some(())
        });
        let moment = Deadline::after(then);
        while !moment.is_over() {
            thread::yield_now();
        }
        instance.kill();
        stop.store(true, Ordering::Relaxed);
    });
}
