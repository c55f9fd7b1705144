//! Getting the content that a step needs.

use std::collections::BTreeSet;

use bytes::Bytes;
use ferryway_model::Digest;
use tokio::time::Instant;

use super::Session;
use super::event::Action;
use super::step::{Plan, Work};
use crate::limits::CONTENT_BYTES_MAX;

/// How often content is asked for that the control plane says it does not have.
const FETCH_TRIES: u32 = 5;

impl Session {
    pub(super) fn fetched(&mut self, now: Instant, found: Vec<Bytes>, missing: &[Digest]) {
        let (Some(step), Work::Fetching { needed, .. }) = (self.queue.front_mut(), &mut self.work)
        else {
            return;
        };
        for bytes in found {
            let digest = Digest::of(&bytes);
            if needed.remove(&digest) {
                step.content.insert(digest, bytes);
            }
        }
        let work = std::mem::replace(&mut self.work, Work::Idle);
        let Work::Fetching {
            plan,
            needed,
            tries,
            ..
        } = work
        else {
            return;
        };
        let size: usize = self
            .queue
            .front()
            .map_or(0, |step| step.content.values().map(Bytes::len).sum());
        let is_full = size >= CONTENT_BYTES_MAX;
        let gone = needed.iter().all(|digest| missing.contains(digest));
        let tries = if gone { tries + 1 } else { tries };
        // What the control plane says it does not have, again and again, is a fault of the entry;
        // what could not be got is not.
        if needed.is_empty() || tries >= FETCH_TRIES || is_full {
            self.retry.reset();
            return self.offer(plan);
        }
        let wait = self.retry.next(&mut self.random);
        let again = self.link.is_live().then(|| now + wait);
        self.work = Work::Fetching {
            plan,
            needed,
            again,
            under_way: false,
            tries,
        };
    }

    /// A control plane is there again: what is needed can be asked for.
    pub(super) fn refetch(&mut self, now: Instant) {
        if let Work::Fetching {
            again,
            under_way: false,
            ..
        } = &mut self.work
        {
            *again = Some(now);
            self.tick_work(now);
        }
    }

    pub(super) fn fetch(&mut self, plan: Plan, needed: BTreeSet<Digest>, tries: u32) {
        let session = self.link.live().map(|live| live.session);
        self.out.push(Action::Fetch {
            digests: needed.iter().copied().collect(),
            session,
        });
        self.work = Work::Fetching {
            plan,
            needed,
            again: None,
            under_way: true,
            tries,
        };
    }
}
