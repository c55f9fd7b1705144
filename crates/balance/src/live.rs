//! The cell between discovery, which writes, and the proxy, which reads.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::set::EndpointSet;

/// The endpoints of an upstream as they are now.
///
/// A set is swapped whole; a request that has loaded one goes on with it.
#[derive(Debug)]
pub struct LiveEndpoints {
    set: ArcSwap<EndpointSet>,
    /// Two writers at once could lose the state of an endpoint that both keep.
    writing: Mutex<()>,
}

impl LiveEndpoints {
    /// Starts with this set.
    pub fn new(set: EndpointSet) -> Self {
        Self {
            set: ArcSwap::from_pointee(set),
            writing: Mutex::new(()),
        }
    }

    /// The present set, to keep as long as it is needed.
    pub fn load(&self) -> Arc<EndpointSet> {
        self.set.load_full()
    }

    /// Looks at the present set for a moment: cheaper than [`load`](Self::load), as no reference
    /// count shared between workers is touched, and nothing can be held across an await.
    pub fn read<R>(&self, look: impl FnOnce(&EndpointSet) -> R) -> R {
        look(&self.set.load())
    }

    /// Replaces the set. An endpoint that stays, by name and address, keeps its state: its
    /// requests in flight, its connect failures and its health.
    pub fn store(&self, mut set: EndpointSet) {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        set.adopt(&self.set.load());
        self.set.store(Arc::new(set));
    }
}

impl Default for LiveEndpoints {
    fn default() -> Self {
        Self::new(EndpointSet::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::tests::set;

    fn state(live: &LiveEndpoints, name: &str) -> Arc<crate::EndpointState> {
        let set = live.load();
        let member = set
            .iter()
            .find(|member| &*member.endpoint().name == name)
            .unwrap();
        Arc::clone(member.state())
    }

    #[test]
    fn what_stays_keeps_its_state() {
        let live = LiveEndpoints::new(set("a b"));
        let before = state(&live, "a");
        before.set_healthy(false);
        before.connect_failed();
        let in_flight = live.read(|set| set.iter().next().map(crate::Member::begin));

        live.store(set("a*7@3 c"));

        assert!(Arc::ptr_eq(&before, &state(&live, "a")));
        assert!(!state(&live, "a").healthy());
        assert_eq!(state(&live, "a").connect_failures(), 1);
        assert_eq!(state(&live, "a").in_flight(), 1);
        assert!(state(&live, "c").healthy());
        drop(in_flight);
        assert_eq!(state(&live, "a").in_flight(), 0);
    }

    #[test]
    fn what_left_and_came_back_starts_anew() {
        let live = LiveEndpoints::new(set("a b"));
        state(&live, "a").set_healthy(false);
        live.store(set("b"));
        live.store(set("a b"));
        assert!(state(&live, "a").healthy());
    }

    #[test]
    fn a_loaded_set_is_frozen() {
        let live = LiveEndpoints::default();
        let before = live.load();
        live.store(set("a"));
        assert!(before.is_empty());
        assert_eq!(live.read(EndpointSet::len), 1);
    }
}
