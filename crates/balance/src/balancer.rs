//! Picking an endpoint.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::endpoint::{EndpointId, Member};
use crate::set::{EndpointSet, Tier};

/// Which rule spreads the requests of an upstream over the endpoints of a tier.
///
/// The rule chooses *within* a tier; which tier, and who is left out, is the same for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Smooth weighted round robin: exact shares, evenly spread.
    #[default]
    RoundRobin,
}

/// Picks endpoints for the requests of one upstream; shared by all workers of an instance.
#[derive(Debug)]
pub struct Balancer {
    policy: Policy,
    /// Turns taken by first attempts.
    first: Turns,
    /// Turns taken by retries. Apart from the first ones: a retry that took the turn of the next
    /// endpoint would keep an upstream of two, one of them dead, in step so that *every* first
    /// attempt meets the dead one.
    again: Turns,
}

impl Balancer {
    /// A balancer that starts at any place in the cycle. Instances (and upstreams) should start
    /// at random places, or all would send their first request to the same endpoint.
    pub fn new(policy: Policy, start: u64) -> Self {
        Self {
            policy,
            first: Turns::new(start),
            again: Turns::new(mix(start)),
        }
    }

    /// The rule it follows.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The endpoint for the next attempt of a request that has `tried` these already.
    ///
    /// Of the highest priority that has a healthy endpoint not yet tried. Where every healthy one
    /// was tried, the attempt goes to a healthy one again; where none is healthy, health is taken
    /// to be wrong and the whole highest tier is used, untried ones first. `None` only where no
    /// endpoint has a weight.
    pub fn pick<'s>(&self, set: &'s EndpointSet, tried: &[EndpointId]) -> Option<&'s Member> {
        let turns = if tried.is_empty() {
            &self.first
        } else {
            &self.again
        };
        let healthy = |member: &Member| member.state().healthy();
        let untried = |member: &Member| !tried.contains(&member.id());
        let tiers = || set.tiers().iter().filter(|tier| !tier.order().is_empty());
        let draw = |tier, usable: &dyn Fn(&Member) -> bool| self.draw(set, tier, turns, usable);
        tiers()
            .find_map(|tier| draw(tier, &|member| healthy(member) && untried(member)))
            .or_else(|| tiers().find_map(|tier| draw(tier, &healthy)))
            .or_else(|| tiers().next().and_then(|tier| draw(tier, &untried)))
            .or_else(|| tiers().next().and_then(|tier| draw(tier, &|_| true)))
    }

    fn draw<'s>(
        &self,
        set: &'s EndpointSet,
        tier: &Tier,
        turns: &Turns,
        usable: &dyn Fn(&Member) -> bool,
    ) -> Option<&'s Member> {
        match self.policy {
            Policy::RoundRobin => in_turn(set.members(tier), tier.order(), turns, usable),
        }
    }
}

/// The next usable endpoint in the cycle.
///
/// An unusable endpoint's turn is *spent*, not handed to whoever stands next to it: the cycle
/// without it is again an even cycle of the others. Where many turns in a row are spent, most of
/// the tier is down; then the usable ones are counted and drawn from by weight.
fn in_turn<'s>(
    members: &'s [Member],
    order: &[u32],
    turns: &Turns,
    usable: &dyn Fn(&Member) -> bool,
) -> Option<&'s Member> {
    let mut turn = 0;
    for _ in 0..order.len().min(TURNS_SPENT_MAX) {
        turn = turns.take();
        let slot = usize::try_from(turn % order.len() as u64).unwrap_or_default();
        let member = &members[order[slot] as usize];
        if usable(member) {
            return Some(member);
        }
    }
    by_weight(members, mix(turn), usable)
}

/// A usable endpoint, each as likely as its weight says, if `random` is.
fn by_weight<'s>(
    members: &'s [Member],
    random: u64,
    usable: &dyn Fn(&Member) -> bool,
) -> Option<&'s Member> {
    let usable = |member: &&Member| member.endpoint().weight > 0 && usable(member);
    let weight = |member: &Member| u64::from(member.endpoint().weight);
    let total: u64 = members.iter().filter(usable).map(weight).sum();
    let mut left = random.checked_rem(total)?;
    let mut chosen = None;
    // Health may change between the two walks: then the last usable one is as good as any.
    for member in members.iter().filter(usable) {
        chosen = Some(member);
        match left.checked_sub(weight(member)) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    chosen
}

/// A count of turns taken, over all workers.
#[derive(Debug)]
struct Turns(AtomicU64);

impl Turns {
    fn new(start: u64) -> Self {
        Self(AtomicU64::new(start))
    }

    fn take(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Spreads the bits of a count (the finaliser of splitmix64).
fn mix(count: u64) -> u64 {
    let mut z = count.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Turns spent on unusable endpoints in one pick before the usable ones are counted instead.
const TURNS_SPENT_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::set::tests::{endpoint, set};

    fn down(set: &EndpointSet, names: &str) {
        for member in set {
            let down = names
                .split_whitespace()
                .any(|name| name == &*member.endpoint().name);
            member.state().set_healthy(!down);
        }
    }

    fn ids(set: &EndpointSet, names: &str) -> Vec<EndpointId> {
        let id = |name| {
            let mut members = set.iter();
            members
                .find(|member| &*member.endpoint().name == name)
                .map(Member::id)
                .unwrap()
        };
        names.split_whitespace().map(id).collect()
    }

    fn picks(set: &EndpointSet, tried: &[EndpointId], count: usize) -> Vec<String> {
        let balancer = Balancer::new(Policy::RoundRobin, 0);
        let pick = || {
            balancer
                .pick(set, tried)
                .map(|member| member.endpoint().name.to_string())
        };
        (0..count).map_while(|_| pick()).collect()
    }

    /// How often each endpoint takes one of 60 attempts.
    #[track_caller]
    fn check(endpoints: &str, unhealthy: &str, tried: &str, expect: &str) {
        let set = set(endpoints);
        down(&set, unhealthy);
        let mut counts = BTreeMap::new();
        for name in picks(&set, &ids(&set, tried), 60) {
            *counts.entry(name).or_insert(0) += 1;
        }
        let counts: Vec<_> = counts
            .iter()
            .map(|(name, count)| format!("{name}:{count}"))
            .collect();
        assert_eq!(counts.join(" "), expect);
    }

    #[test]
    fn shares_follow_weights() {
        check("a*1 b*2 c*3", "", "", "a:10 b:20 c:30");
        check("a*65535 b*0", "", "", "a:60");
    }

    #[test]
    fn nobody_to_pick() {
        check("", "", "", "");
        check("a*0 b*0@1", "", "", "");
    }

    #[test]
    fn an_unhealthy_endpoints_share_goes_to_all_others_alike() {
        check("a b c", "a", "", "b:30 c:30");
        check("a b c d", "b", "", "a:20 c:20 d:20");
        check("a*3 b*2 c*1", "a", "", "b:40 c:20");
    }

    #[test]
    fn lower_tier_only_when_no_higher_one_is_healthy() {
        check("a@1 b@1 c@0", "", "", "a:30 b:30");
        check("a@1 b@1 c@0", "a", "", "b:60");
        check("a@1 b@1 c@0 d@-1", "a b", "", "c:60");
        check("a*0@1 c@0", "", "", "c:60");
    }

    #[test]
    fn all_unhealthy_means_the_whole_highest_tier() {
        check("a@1 b@1 c@0", "a b c", "", "a:30 b:30");
        check("a@1 b@1 c@0", "a b c", "a", "b:60");
        check("a@1 b@1 c@0", "a b c", "a b", "a:30 b:30");
    }

    #[test]
    fn a_retry_goes_elsewhere_when_there_is_an_elsewhere() {
        check("a b c", "", "a", "b:30 c:30");
        check("a b c", "c", "a", "b:60");
        check("a@1 c@0", "", "a", "c:60");
        check("a", "", "a", "a:60");
        check("a b", "b", "a", "a:60");
    }

    /// Two endpoints, one refuses: were a retry to take the survivor's turn, every first attempt
    /// would meet the dead one.
    #[test]
    fn retries_do_not_fall_into_step_with_first_attempts() {
        let set = set("a b");
        let dead = ids(&set, "a");
        let balancer = Balancer::new(Policy::RoundRobin, 0);
        let mut met = 0;
        for _ in 0..100 {
            let first = balancer.pick(&set, &[]).unwrap();
            if dead.contains(&first.id()) {
                met += 1;
                assert_ne!(balancer.pick(&set, &dead).unwrap().id(), first.id());
            }
        }
        assert_eq!(met, 50);
    }

    /// Far more turns would be spent than one pick may spend.
    #[test]
    fn survivors_of_a_big_outage_share_by_weight() {
        let names: Vec<_> = (0..1000).map(|i| format!("n{i}*{}", 1 + i % 2)).collect();
        let set = EndpointSet::new(
            names
                .iter()
                .enumerate()
                .map(|(i, name)| crate::Endpoint {
                    address: ([10, 0, (i / 250) as u8, (i % 250) as u8], 80).into(),
                    ..endpoint(name)
                })
                .collect(),
        );
        for member in &set {
            member
                .state()
                .set_healthy(matches!(&*member.endpoint().name, "n2" | "n3" | "n4"));
        }
        let picks = picks(&set, &[], 4000);
        let share = |name| picks.iter().filter(|pick| *pick == name).count();
        assert_eq!(share("n2") + share("n3") + share("n4"), 4000);
        assert!(
            (1800..2200).contains(&share("n3")),
            "n3 has half the weight: {}",
            share("n3")
        );
        assert!(
            (850..1150).contains(&share("n2")),
            "n2 has a quarter: {}",
            share("n2")
        );
    }

    #[test]
    fn workers_share_one_cycle() {
        let set = set("a*3 b*2 c*1");
        let balancer = Balancer::new(Policy::RoundRobin, 7);
        let names = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let name = balancer.pick(&set, &[]).unwrap().endpoint().name.clone();
                        names.lock().unwrap().push(name);
                    }
                });
            }
        });
        let names = names.into_inner().unwrap();
        let share = |name| names.iter().filter(|pick| &***pick == name).count();
        assert_eq!((share("a"), share("b"), share("c")), (300, 200, 100));
    }

    proptest! {
        /// Against the rules written down one by one, for any set, health and attempts so far.
        #[test]
        fn a_pick_keeps_the_rules(
            nodes in prop::collection::vec((0u16..4, -1i32..2, any::<bool>(), any::<bool>()), 0..8),
            start in any::<u64>(),
        ) {
            let text = nodes.iter().zip("abcdefgh".chars());
            let text: Vec<_> = text.map(|(it, name)| format!("{name}*{}@{}", it.0, it.1)).collect();
            let set = set(&text.join(" "));
            let flag = |member: &Member| {
                let node = nodes[usize::from(member.endpoint().name.as_bytes()[0] - b'a')];
                (node.2, node.3)
            };
            set.iter().for_each(|member| member.state().set_healthy(flag(member).0));
            let tried: Vec<_> = set.iter().filter(|it| flag(it).1).map(Member::id).collect();

            let weighted: Vec<_> = set.iter().filter(|it| it.endpoint().weight > 0).collect();
            let top = |members: Vec<&Member>| -> Vec<EndpointId> {
                let best = members.iter().map(|it| it.endpoint().priority).max();
                members
                    .iter()
                    .filter(|it| Some(it.endpoint().priority) == best)
                    .map(|it| it.id())
                    .collect()
            };
            let healthy = |it: &&Member| it.state().healthy();
            let untried = |id: &EndpointId| !tried.contains(id);
            let all = || weighted.iter().copied();
            let highest = top(all().collect());
            let candidates = [
                top(all().filter(healthy).filter(|it| untried(&it.id())).collect()),
                top(all().filter(healthy).collect()),
                highest.iter().copied().filter(untried).collect(),
                highest,
            ];
            let allowed = candidates.into_iter().find(|ids| !ids.is_empty()).unwrap_or_default();

            let balancer = Balancer::new(Policy::RoundRobin, start);
            for _ in 0..10 {
                let picked = balancer.pick(&set, &tried).map(Member::id);
                prop_assert_eq!(picked.is_some(), !allowed.is_empty());
                prop_assert!(picked.is_none_or(|id| allowed.contains(&id)));
            }
        }
    }
}
