//! Control planes that fall silent: how soon an instance is with another one, and with which.
//!
//! In simulated time: the clock stands still while anybody has something to do, so a second is one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ferryway_runtime::{Random, Tasks};
use tokio::time::{Instant, sleep};

use super::fixture::{Control, Instance, Notes, Seen};
use super::wires::{Stopped, Wires};
use crate::agent::{Agent, AgentSettings, Origin};
use crate::disk::Export;
use crate::limits::{PING_ANSWERED_WITHIN, PING_EVERY};
use crate::load::Content;
use crate::server::ServerSettings;
use crate::testing::Variant::Good;
use crate::testing::name;

const BOTH: Stopped = Stopped {
    to_it: true,
    from_it: true,
};
const TO_IT: Stopped = Stopped {
    to_it: true,
    from_it: false,
};
const FROM_IT: Stopped = Stopped {
    to_it: false,
    from_it: true,
};
const NOTHING: Stopped = Stopped {
    to_it: false,
    from_it: false,
};

/// Control planes at the ends of wires, and an instance that may go to any of them.
struct Scene {
    wires: Arc<Wires>,
    controls: Vec<(String, Control)>,
    instance: Instance,
}

impl Scene {
    /// With so many control planes. `stopped`: how all but the last one are from the beginning.
    fn set(count: usize, stopped: Stopped, seed: u64) -> Self {
        let mut wires = Wires::new();
        let ends: Vec<_> = (0..count).map(|n| wires.lay(&format!("c{n}"))).collect();
        let controls = ends.into_iter();
        let controls: Vec<_> = controls
            .map(|(address, arriving)| (address, Control::wired(arriving, Vec::new())))
            .collect();
        for (address, _) in &controls[..count - 1] {
            wires.stop(address, stopped);
        }
        let wires = Arc::new(wires);
        let addresses = controls.iter().map(|(address, _)| address.clone());
        let instance = Instance::wired(addresses.collect(), Arc::clone(&wires) as _, seed);
        Self {
            wires,
            controls,
            instance,
        }
    }

    /// The address of the control plane that the instance is with.
    async fn is_with(&self) -> String {
        let status = self.instance.until(|status| status.connected).await;
        status.address.expect("it is with one")
    }

    /// How long it takes from now until the instance is with another control plane than this one,
    /// and takes what that publishes.
    async fn leaves(&self, old: &str) -> Duration {
        let since = Instant::now();
        let status = self
            .instance
            .until(|status| status.connected && status.address.as_deref() != Some(old));
        let new = status.await.address;
        let took = since.elapsed();
        let (_, control) = self
            .controls
            .iter()
            .find(|(address, _)| Some(address) == new.as_ref())
            .expect("it is one of them");
        control.publish(&[("a", Some(Good(0)))]);
        self.instance.runs("a", Some(Good(0))).await;
        took
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_one_is_left_within_seconds_and_one_that_stalls_is_not() {
    for (seed, stopped) in (0..).zip([BOTH, TO_IT, FROM_IT].repeat(4)) {
        let scene = Scene::set(2, NOTHING, seed);
        let old = scene.is_with().await;
        // At any moment between two pings.
        sleep(Duration::from_secs(60) + PING_EVERY.mul_f64(0.1 * seed as f64)).await;

        scene.wires.stop(&old, stopped);
        sleep(PING_ANSWERED_WITHIN - Duration::from_millis(100)).await;
        scene.wires.stop(&old, NOTHING);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(scene.is_with().await, old, "it stalled, and was not left");
        let lost = |control: &Control| {
            let seen = control.seen();
            seen.iter().any(|seen| matches!(seen, Seen::Disconnected))
        };
        assert!(!scene.controls.iter().any(|(_, control)| lost(control)));

        scene.wires.stop(&old, stopped);
        let took = scene.leaves(&old).await;
        let mut most = PING_EVERY + PING_ANSWERED_WITHIN + ServerSettings::default().spread;
        if !stopped.from_it {
            // A heartbeat may come right before the ping is due, which waits anew then; the next
            // heartbeat comes too late for that.
            most += PING_EVERY;
        }
        assert!(took <= most, "{stopped:?}: it took {took:?}");
        assert!(took >= PING_ANSWERED_WITHIN, "{stopped:?}: {took:?}");
    }
}

/// A process that is stopped takes connections still: the kernel does.
#[tokio::test(start_paused = true)]
async fn silent_ones_are_passed_by() {
    for seed in 0..8 {
        let started = Instant::now();
        let scene = Scene::set(3, BOTH, seed);
        assert_eq!(scene.is_with().await, scene.controls[2].0);
        let took = started.elapsed();
        // For each of the two the time of a dial, and short waits between.
        assert!(took < Duration::from_secs(7), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_says_where_to_go() {
    for seed in 0..12 {
        let mut wires = Wires::new();
        let gone = wires.lay_to_nobody("gone");
        let [first, second] = ["first", "second"].map(|name| wires.lay(name));
        let addresses = [&first.0, &gone, &second.0].map(Clone::clone);
        // Written otherwise, and with one that the instance was not given.
        let named = |of: &str| {
            vec![
                "http://stranger:7943".to_owned(),
                format!("http://{of}:7943/"),
            ]
        };
        let mut one = Control::wired(first.1, named("SECOND"));
        let mut two = Control::wired(second.1, named("First"));
        let wires = Arc::new(wires);
        let instance = Instance::wired(addresses.to_vec(), Arc::clone(&wires) as _, seed);
        let status = instance.until(|status| status.connected).await;
        let (ends, stays) = if status.address.as_ref() == Some(&first.0) {
            (&mut one, second.0)
        } else {
            (&mut two, first.0)
        };
        let before = wires.dialled().len();
        ends.stop().await;
        let status = instance
            .until(|status| status.connected && status.address.as_ref() == Some(&stays))
            .await;
        assert!(status.connected);
        assert_eq!(
            wires.dialled()[before..],
            [stays],
            "nobody else was dialled"
        );
    }
}

/// Who begins at one goes on to the others in equal parts, when it is lost.
#[tokio::test]
async fn the_instances_of_one_that_is_lost_spread_over_all_others() {
    let mut counts: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for seed in 0..600 {
        let controls = ["a", "b", "c"].map(|name| format!("http://{name}:1"));
        let settings = AgentSettings {
            controls: controls.to_vec(),
            credentials: None,
            group: name("test"),
            build: String::new(),
            hostname: String::new(),
            addresses: Vec::new(),
        };
        let export = Export {
            group: name("test"),
            position: None,
            view: ferryway_model::View::empty(),
            content: Content::default(),
        };
        let mut random = Random::seeded(seed);
        let origin = Origin::of_file(export, &mut random);
        let notes = Arc::new(Notes::default());
        let agent = Agent::new(settings, origin, notes, random, &Tasks::new("test"));
        let agent = agent.expect("the addresses are good");
        let order = agent.controls.endpoints.iter();
        let order = order.map(|(address, _)| address.clone()).collect();
        *counts.entry(order).or_default() += 1;
    }
    assert_eq!(counts.len(), 6, "{counts:?}");
    assert!(counts.values().all(|n| (70..130).contains(n)), "{counts:?}");
}
