//! The frozen endpoints of an upstream.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;

use crate::endpoint::{Endpoint, Member};
use crate::order;

/// The endpoints of an upstream at one moment, ready to be picked from.
///
/// Building one does all the work that depends on the weights; 10,000 endpoints take some
/// milliseconds. A set is never changed: a new answer makes a new set.
#[derive(Debug)]
pub struct EndpointSet {
    /// By descending priority, then by name and address, so that the order in which a registry
    /// happened to answer does not matter.
    members: Box<[Member]>,
    tiers: Box<[Tier]>,
}

impl EndpointSet {
    /// Builds the set. An endpoint given twice (same name and address) counts once: with the
    /// higher priority, and with the weights added up where the priorities are equal.
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        let members: Box<[Member]> = distinct(endpoints).into_iter().map(Member::new).collect();
        let mut start = 0;
        let tiers = members
            .chunk_by(|a, b| a.endpoint().priority == b.endpoint().priority)
            .map(|tier| {
                let range = start..start + tier.len();
                start = range.end;
                Tier::new(range, tier)
            })
            .collect();
        Self { members, tiers }
    }

    /// A set without endpoints.
    pub fn empty() -> Self {
        Self::new(Vec::new())
    }

    /// How many endpoints there are, those of weight 0 included.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no endpoint at all.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// All endpoints, highest priority first.
    pub fn iter(&self) -> std::slice::Iter<'_, Member> {
        self.members.iter()
    }

    /// The tiers, highest priority first.
    pub(crate) fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// The endpoints of a tier.
    pub(crate) fn members(&self, tier: &Tier) -> &[Member] {
        &self.members[tier.members.clone()]
    }

    /// Takes over the state of every endpoint that `earlier` has too.
    pub(crate) fn adopt(&mut self, earlier: &Self) {
        let known: HashMap<_, _> = earlier
            .iter()
            .map(|member| {
                (
                    (&*member.endpoint().name, member.endpoint().address),
                    member.state(),
                )
            })
            .collect();
        for member in &mut self.members {
            let endpoint = member.endpoint();
            if let Some(&state) = known.get(&(&*endpoint.name, endpoint.address)) {
                member.adopt(state);
            }
        }
    }
}

impl<'a> IntoIterator for &'a EndpointSet {
    type Item = &'a Member;
    type IntoIter = std::slice::Iter<'a, Member>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The endpoints of one priority.
#[derive(Debug)]
pub(crate) struct Tier {
    members: Range<usize>,
    /// One cycle of turns; empty where every weight is 0.
    order: Box<[u32]>,
}

impl Tier {
    fn new(range: Range<usize>, members: &[Member]) -> Self {
        let weights: Vec<u16> = members
            .iter()
            .map(|member| member.endpoint().weight)
            .collect();
        Self {
            members: range,
            order: order::cycle(&weights),
        }
    }

    /// The cycle of turns: indexes into the tier's members.
    pub(crate) fn order(&self) -> &[u32] {
        &self.order
    }
}

/// Each endpoint once, by descending priority, then name and address.
fn distinct(mut endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    endpoints.sort_by(|a, b| {
        let key = |it: &Endpoint| (it.address, Reverse(it.priority));
        a.name.cmp(&b.name).then_with(|| key(a).cmp(&key(b)))
    });
    endpoints.dedup_by(|next, kept| {
        let same = next.name == kept.name && next.address == kept.address;
        if same && next.priority == kept.priority {
            kept.weight = kept.weight.saturating_add(next.weight);
        }
        same
    });
    endpoints.sort_by_key(|endpoint| Reverse(endpoint.priority));
    endpoints
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `a` or `a*3` (weight) or `a*3@-1` (weight and priority): an endpoint called `a` at an
    /// address of its own.
    pub(crate) fn endpoint(text: &str) -> Endpoint {
        let (text, priority) = text.split_once('@').unwrap_or((text, "0"));
        let (name, weight) = text.split_once('*').unwrap_or((text, "1"));
        Endpoint {
            name: name.into(),
            address: ([127, 0, 0, name.as_bytes()[0]], 80).into(),
            weight: weight.parse().unwrap(),
            priority: priority.parse().unwrap(),
        }
    }

    pub(crate) fn set(endpoints: &str) -> EndpointSet {
        EndpointSet::new(endpoints.split_whitespace().map(endpoint).collect())
    }

    fn show(set: &EndpointSet) -> String {
        let show = |it: &Endpoint| format!("{}*{}@{}", it.name, it.weight, it.priority);
        set.iter()
            .map(|member| show(member.endpoint()))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[track_caller]
    fn check(endpoints: &str, expect: &str) {
        let set = set(endpoints);
        assert_eq!(show(&set), expect);
        assert_eq!(set.is_empty(), expect.is_empty());
        assert_eq!(set.len(), expect.split_whitespace().count());
    }

    #[test]
    fn sorted_whatever_order_a_registry_answers_in() {
        check("c a b", "a*1@0 b*1@0 c*1@0");
        check("low@-5 high@7 mid*9", "high*1@7 mid*9@0 low*1@-5");
        check("", "");
    }

    #[test]
    fn twice_given_counts_once() {
        check("a*2 b a*3", "a*5@0 b*1@0");
        check("a*65535 a*9", "a*65535@0");
        check("a*2@1 a*3@2 b@1", "a*3@2 b*1@1");
    }

    #[test]
    fn tiers_cover_the_members() {
        let set = set("a*2@1 b*1@1 c@0 d*0@-1");
        let orders: Vec<_> = set
            .tiers()
            .iter()
            .map(|tier| {
                let names = tier
                    .order()
                    .iter()
                    .map(|&item| set.members(tier)[item as usize].endpoint().name.to_string());
                names.collect::<String>()
            })
            .collect();
        assert_eq!(orders, ["aba", "c", ""]);
    }
}
