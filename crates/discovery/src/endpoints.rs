//! From places with addresses to endpoints with weights.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ferryway_balance::Endpoint;

use crate::answer::ENDPOINTS_MAX;

/// One node, or one SRV record, with the addresses its name has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) name: Arc<str>,
    pub(crate) port: u16,
    pub(crate) weight: u16,
    pub(crate) priority: i32,
    pub(crate) addresses: Vec<IpAddr>,
}

/// The endpoints of these places, in a fixed order, and how many were left out for being too many.
///
/// A place's weight is divided among its addresses, so that a name with two addresses gets no
/// double share. Where a weight does not divide evenly, all weights of that priority are first
/// multiplied: only their proportions mean anything. Multiplied weights must still be weights;
/// where that bound stops it (large uneven weights), an address gets its share rounded, and at
/// least 1.
pub(crate) fn expand(mut places: Vec<Place>) -> (Vec<Endpoint>, usize) {
    places.retain(|place| !place.addresses.is_empty());
    places.sort_by(|a, b| {
        let key = |it: &Place| (it.port, it.weight);
        b.priority
            .cmp(&a.priority)
            .then_with(|| a.name.cmp(&b.name))
            .then(key(a).cmp(&key(b)))
    });
    let mut endpoints = Vec::new();
    for tier in places.chunk_by(|a, b| a.priority == b.priority) {
        let factor = factor(tier);
        endpoints.extend(tier.iter().flat_map(|place| divide(place, factor)));
    }
    let left_out = endpoints.len().saturating_sub(ENDPOINTS_MAX);
    endpoints.truncate(ENDPOINTS_MAX);
    (endpoints, left_out)
}

/// By how much weights are multiplied so that each divides evenly, within a weight's bound.
fn factor(tier: &[Place]) -> u64 {
    let heaviest = tier
        .iter()
        .map(|place| u64::from(place.weight))
        .max()
        .unwrap_or_default();
    let most = u64::from(u16::MAX).checked_div(heaviest).unwrap_or(1);
    let needed = tier
        .iter()
        .filter(|place| place.weight > 0)
        .fold(1, |so_far, place| {
            let count = place.addresses.len() as u64;
            let needs = count / gcd(count, u64::from(place.weight));
            // Saturating: what does not fit is capped below anyway.
            (so_far / gcd(so_far, needs)).saturating_mul(needs)
        });
    needed.min(most)
}

fn divide(place: &Place, factor: u64) -> impl Iterator<Item = Endpoint> {
    let total = u64::from(place.weight) * factor;
    let count = place.addresses.len() as u64;
    let (share, over) = (total / count, total % count);
    let least = u64::from(place.weight > 0);
    place
        .addresses
        .iter()
        .zip(0..)
        .map(move |(&address, index)| Endpoint {
            name: Arc::clone(&place.name),
            address: SocketAddr::new(address, place.port),
            weight: u16::try_from((share + u64::from(index < over)).max(least)).unwrap_or(u16::MAX),
            priority: place.priority,
        })
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(index: usize, weight: u16, count: usize, priority: i32) -> Place {
        let address = |n| IpAddr::from([10, 0, index as u8, n as u8]);
        Place {
            name: format!("n{index}").into(),
            port: 80,
            weight,
            priority,
            addresses: (0..count).map(address).collect(),
        }
    }

    /// Places of weight and number of addresses; the weights of their endpoints.
    #[track_caller]
    fn check(places: &[(u16, usize)], expect: &[&[u16]]) {
        let places = places.iter().enumerate();
        let places: Vec<_> = places
            .map(|(i, &(weight, count))| place(i, weight, count, 0))
            .collect();
        let (endpoints, left_out) = expand(places);
        let weights: Vec<Vec<u16>> = endpoints
            .chunk_by(|a, b| a.name == b.name)
            .map(|place| place.iter().map(|endpoint| endpoint.weight).collect())
            .collect();
        assert_eq!(weights, expect);
        assert_eq!(left_out, 0);
    }

    #[test]
    fn a_weight_is_divided_among_addresses() {
        check(&[(100, 1), (100, 2)], &[&[100], &[50, 50]]);
        check(&[(100, 0), (100, 1)], &[&[100]]);
        check(&[(0, 2), (3, 1)], &[&[0, 0], &[3]]);
    }

    #[test]
    fn weights_grow_until_they_divide() {
        check(&[(1, 1), (1, 2)], &[&[2], &[1, 1]]);
        check(&[(100, 3), (100, 1)], &[&[100, 100, 100], &[300]]);
    }

    #[test]
    fn weights_that_cannot_grow_are_rounded() {
        check(&[(65535, 2), (1, 3)], &[&[32768, 32767], &[1, 1, 1]]);
    }

    #[test]
    fn more_than_fit_are_left_out() {
        let places = (0..200).map(|i| place(i, 1, 100, 0)).collect();
        let (endpoints, left_out) = expand(places);
        assert_eq!((endpoints.len(), left_out), (ENDPOINTS_MAX, 10_000));
    }

    proptest! {
        /// Every place has its weight's share of its tier: exactly where weights may grow.
        #[test]
        fn shares_are_kept(
            places in prop::collection::vec((1u16..300, 1usize..5, -1i32..1), 1..8),
        ) {
            let places: Vec<_> = places
                .iter()
                .enumerate()
                .map(|(i, &(weight, count, priority))| place(i, weight, count, priority))
                .collect();
            let (endpoints, _) = expand(places.clone());
            let sum = |place: &Place| -> u64 {
                let of_place = endpoints.iter().filter(|it| it.name == place.name);
                of_place.map(|it| u64::from(it.weight)).sum()
            };
            for a in &places {
                for b in places.iter().filter(|b| b.priority == a.priority) {
                    prop_assert_eq!(sum(a) * u64::from(b.weight), sum(b) * u64::from(a.weight));
                }
                let of_place = || endpoints.iter().filter(|it| it.name == a.name).map(|it| it.weight);
                prop_assert_eq!(of_place().count(), a.addresses.len());
                prop_assert_eq!(of_place().min(), of_place().max());
            }
        }
    }
}
