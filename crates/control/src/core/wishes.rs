//! Wishes: who has lost against other control planes says so, and is let go first.
//!
//! Writers of one control plane take turns without waiting, so one that is nearer to the store would
//! win against another one nearly every time. A change that has lost writes a wish into the store:
//! what it wants to change. Other control planes hold changes of that back, until the wish is gone,
//! in one transaction with the change it was for, or is old. Among those who wish, the earlier one
//! goes first. For a while after a loss changes of the same wish before they try: while several
//! control planes change one thing all the time, they take turns.
//!
//! Nothing but fairness depends on it: a wish that comes late, or that nobody heeds, costs a try.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ferryway_store::{Key as StoreKey, Revision as StoreRevision, Txn};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::writing::Tries;
use super::{Core, keys, records};

/// `wish/PLANE/ID`: a change that others are asked to let go first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WishRecord {
    /// What it waits its turn for, as a key of the store.
    place: String,
}

/// The wishes of other control planes.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    heeded: BTreeMap<StoreKey, Heeded>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Heeded {
    place: StoreKey,
    made: StoreRevision,
    until: Instant,
}

/// A wish of a change of this control plane; it goes with the change.
#[derive(Debug)]
pub(super) struct Wish {
    key: StoreKey,
    pub(super) place: StoreKey,
    pub(super) made: StoreRevision,
    at: Instant,
    is_gone: bool,
    core: Core,
}

/// What changes of this control plane have lost lately, and when.
#[derive(Debug, Default)]
pub(super) struct Losses(Mutex<BTreeMap<StoreKey, Instant>>);

/// How long a wish is heeded, from when it is seen: some commits long, also of a control plane that
/// is 30 ms from the store. A change is held back for no longer, however many wishes there are.
const HEEDED_FOR: Duration = Duration::from_millis(500);
/// For how long after a loss changes of the same wish before they try.
const LATELY: Duration = Duration::from_secs(1);
/// Most wishes that are heeded at one time; others are passed over.
const WISHES_MAX: usize = 1_024;

impl Losses {
    /// Notes a loss; what is long past is forgotten.
    fn note(&self, place: &StoreKey) {
        let now = Instant::now();
        let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lost.retain(|_, at| now.duration_since(*at) < LATELY);
        lost.insert(place.clone(), now);
    }

    /// What of this was lost lately.
    fn of(&self, places: &BTreeSet<StoreKey>) -> Vec<StoreKey> {
        let now = Instant::now();
        let lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = lost
            .iter()
            .filter(|(place, at)| places.contains(*place) && now.duration_since(**at) < LATELY);
        lately.map(|(place, _)| place.clone()).collect()
    }
}

impl Wishes {
    /// Takes in what the store says of a wish of another control plane.
    pub(super) fn take(&mut self, key: StoreKey, wish: Option<WishRecord>, made: StoreRevision) {
        let now = Instant::now();
        self.heeded.retain(|_, heeded| heeded.until > now);
        let place = wish.and_then(|wish| StoreKey::new(wish.place).ok());
        match place.filter(|_| self.heeded.len() < WISHES_MAX) {
            Some(place) => {
                let until = now + HEEDED_FOR;
                let heeded = Heeded { place, made, until };
                self.heeded.insert(key, heeded);
            }
            None => drop(self.heeded.remove(&key)),
        }
        self.changed.send_replace(());
    }

    /// Until when a change of these places is held back at most. One that has wished itself, at
    /// this revision, is only held back for earlier ones.
    fn against(
        &self,
        places: &BTreeSet<StoreKey>,
        own: Option<StoreRevision>,
        now: Instant,
    ) -> Option<Instant> {
        let heeded = self.heeded.values().filter(|it| {
            let is_first = own.is_none_or(|own| it.made < own);
            is_first && it.until > now && places.contains(&it.place)
        });
        heeded.map(|it| it.until).max()
    }
}

impl Core {
    /// Lets changes of other control planes go first that wish so.
    pub(super) async fn heed(&self, tries: &Tries) {
        let end = Instant::now() + HEEDED_FOR;
        let own = tries.wishes.iter().map(|wish| wish.made).min();
        loop {
            let now = Instant::now();
            let (until, mut changed) = self.read(|memory| {
                let until = memory.wishes.against(&tries.places, own, now);
                (until, memory.wishes.changed.subscribe())
            });
            let Some(until) = until.filter(|_| now < end) else {
                return;
            };
            // Whatever comes first.
            let _ = timeout_at(until.min(end), changed.changed()).await;
        }
    }

    /// A change lost at this key: it wishes to go first. False: what it lost is nothing that others
    /// could hold back.
    pub(super) async fn lose_turn(&self, tries: &mut Tries, lost_at: &StoreKey) -> bool {
        let Some(place) = place_of(lost_at) else {
            return false;
        };
        self.0.losses.note(&place);
        self.wish(tries, place).await;
        true
    }

    /// Wishes at once where others were faster lately.
    pub(super) async fn wish_again(&self, tries: &mut Tries) {
        for place in self.0.losses.of(&tries.places) {
            self.wish(tries, place).await;
        }
    }

    /// Asks other control planes to let a change of this place go first. Where that can't be
    /// written, it goes without.
    async fn wish(&self, tries: &mut Tries, place: StoreKey) {
        let Some(plane) = self.read(|memory| memory.tracker.plane()) else {
            return;
        };
        let old = tries.wishes.iter().position(|wish| wish.place == place);
        let key = match old.map(|old| &tries.wishes[old]) {
            Some(wish) if wish.at.elapsed() < HEEDED_FOR => return,
            Some(wish) => wish.key.clone(),
            None => keys::wish(plane, Uuid::now_v7()),
        };
        let record = WishRecord {
            place: place.as_str().to_owned(),
        };
        let txn = Txn::new()
            .put(key.clone(), records::write(&record))
            .durable(false);
        let made = match self.0.store.commit(txn).await {
            Ok(committed) => committed.revision,
            Err(error) => return tracing::debug!(%error, "a wish can't be written"),
        };
        let at = Instant::now();
        match old.and_then(|old| tries.wishes.get_mut(old)) {
            Some(wish) => (wish.made, wish.at) = (made, at),
            None => tries.wishes.push(Wish {
                key,
                place,
                made,
                at,
                is_gone: false,
                core: self.clone(),
            }),
        }
    }
}

impl Tries {
    /// The transaction, and the end of the wishes in it, where there is room.
    pub(super) fn with_wishes(&self, txn: Txn) -> Txn {
        if self.wishes.is_empty() {
            return txn;
        }
        let wishes = self.wishes.iter().map(|wish| wish.key.clone());
        let with = wishes.fold(txn.clone(), Txn::delete);
        if with.check_bounds().is_ok() {
            with
        } else {
            txn
        }
    }

    /// That transaction was made.
    pub(super) fn wishes_are_gone(&mut self) {
        for wish in &mut self.wishes {
            wish.is_gone = true;
        }
    }
}

impl Drop for Wish {
    /// A change that ends without being made takes its wish back.
    fn drop(&mut self) {
        // A change that is dropped with the whole process has nobody left to write for it.
        if self.is_gone || Handle::try_current().is_err() {
            return;
        }
        let (core, key) = (self.core.clone(), self.key.clone());
        self.core.0.tasks.spawn("take a wish back", |_| async move {
            let txn = Txn::new().delete(key).durable(false);
            if let Err(error) = core.0.store.commit(txn).await {
                tracing::debug!(%error, "a wish stays in the store until this control plane is gone");
            }
        });
    }
}

/// What a change waits its turn for that lost at this key; none: it did not lose its turn, but what
/// it found is no more.
fn place_of(key: &StoreKey) -> Option<StoreKey> {
    let key = key.as_str();
    let place = if let Some(group) = key.strip_prefix(keys::HEADS) {
        format!("{}{group}", keys::GROUPS)
    } else if let Some(version) = key.strip_prefix(keys::VERSIONS) {
        let (service, _) = version.split_once('/')?;
        format!("{}{service}", keys::HUB)
    } else if key.starts_with(keys::GROUPS) || key.starts_with(keys::HUB) {
        key.to_owned()
    } else {
        return None;
    };
    StoreKey::new(place).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> StoreKey {
        StoreKey::new(text).expect("is a key")
    }

    #[track_caller]
    fn check(lost_at: &str, place: Option<&str>) {
        assert_eq!(place_of(&key(lost_at)), place.map(key), "{lost_at}");
    }

    #[test]
    fn what_a_change_waits_for_is_what_it_lost() {
        check("head/test", Some("group/test"));
        check("group/test", Some("group/test"));
        check("hub/a", Some("hub/a"));
        check("version/a/1.0", Some("hub/a"));
        check("sweep/content", None);
        check("once/0123", None);
    }

    #[tokio::test(start_paused = true)]
    async fn earlier_wishes_go_first_and_none_for_long() {
        let mut wishes = Wishes::default();
        let wish = |place: &str| {
            let place = place.to_owned();
            Some(WishRecord { place })
        };
        let [one, two] = [key("wish/p/1"), key("wish/q/2")];
        wishes.take(one.clone(), wish("group/test"), StoreRevision::new(5));
        wishes.take(two, wish("hub/a"), StoreRevision::new(7));
        let now = Instant::now();
        let until = Some(now + HEEDED_FOR);
        let against = |wishes: &Wishes, places: &[&str], own: Option<u64>, now| {
            let places = places.iter().map(|it| key(it)).collect();
            wishes.against(&places, own.map(StoreRevision::new), now)
        };
        assert_eq!(against(&wishes, &["group/test"], None, now), until);
        assert_eq!(against(&wishes, &["group/other"], None, now), None);
        assert_eq!(against(&wishes, &["group/test"], Some(4), now), None);
        assert_eq!(against(&wishes, &["group/test"], Some(6), now), until);
        assert_eq!(
            against(&wishes, &["hub/a", "group/other"], Some(6), now),
            None
        );
        let later = now + HEEDED_FOR;
        assert_eq!(against(&wishes, &["group/test"], None, later), None);
        wishes.take(one, None, StoreRevision::new(8));
        assert_eq!(against(&wishes, &["group/test"], None, now), None);
        assert_eq!(against(&wishes, &["hub/a"], None, now), until);
    }
}
