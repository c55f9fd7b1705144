//! From what a watch of etcd sends to whole transactions. No I/O: messages in, events out.

use std::sync::Arc;

use super::names::Names;
use super::wire::{self, EventType, WatchResponse};
use crate::{Change, Event, Revision, StoreError, Trouble};

/// What lies under `meta/` and never changes while a store is open.
const FIXED: [&[u8]; 2] = [b"identity", b"restores"];

/// Puts transactions together. Everything up to and with `seen` has been told.
#[derive(Debug)]
pub(super) struct Assembly {
    names: Names,
    seen: Revision,
    /// Of the transaction that may go on in the next message.
    pending: Vec<wire::Event>,
}

/// What a message comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Transactions, in order.
    Events(Vec<Arc<Event>>),
    /// The watch goes on no further: what follows `seen` is no longer kept.
    Compacted,
    /// The member ended the watch.
    Ended(Box<str>),
    /// The store is another than it was.
    Lost(Trouble),
}

impl Assembly {
    pub(super) fn new(names: Names, seen: Revision) -> Self {
        Self {
            names,
            seen,
            pending: Vec::new(),
        }
    }

    pub(super) fn seen(&self) -> Revision {
        self.seen
    }

    /// A new watch begins after `seen`: what was told in part will be told again.
    pub(super) fn begin(&mut self) {
        self.pending.clear();
    }

    /// Passes over what is no longer kept.
    pub(super) fn skip_to(&mut self, revision: Revision) {
        self.pending.clear();
        self.seen = self.seen.max(revision);
    }

    pub(super) fn take(&mut self, message: WatchResponse) -> Told {
        if message.compact_revision > 0 {
            return Told::Compacted;
        }
        if message.canceled {
            return Told::Ended(message.cancel_reason.into());
        }
        // Progress of this watch, which etcd sends when it has been quiet: nothing was left out up
        // to there. An answer to a request for progress has no watch's id, and is no such promise
        // (etcd before 3.4.25 gives it too early).
        let is_progress = message.events.is_empty() && !message.created && message.watch_id == 0;
        if is_progress && !message.fragment && self.pending.is_empty() {
            self.seen = self.seen.max(wire::at(message.header.as_ref()));
            return Told::Events(Vec::new());
        }
        self.pending.extend(message.events);
        let last = self.pending.last().map(revision_of);
        let is_whole = |event: &wire::Event| !message.fragment || Some(revision_of(event)) != last;
        let whole = self.pending.iter().take_while(|it| is_whole(it)).count();
        let rest = self.pending.split_off(whole);
        let whole = std::mem::replace(&mut self.pending, rest);
        match self.events(whole) {
            Ok(events) => Told::Events(events),
            Err(trouble) => Told::Lost(trouble),
        }
    }

    fn events(&mut self, raw: Vec<wire::Event>) -> Result<Vec<Arc<Event>>, Trouble> {
        let mut events: Vec<Event> = Vec::new();
        for raw in raw {
            let revision = revision_of(&raw);
            if revision <= self.seen {
                continue;
            }
            if events.last().is_none_or(|last| last.revision != revision) {
                events.push(Event {
                    revision,
                    changes: Vec::new(),
                });
            }
            let change = self.change(raw)?;
            if let (Some(event), Some(change)) = (events.last_mut(), change) {
                event.changes.push(change);
            }
        }
        if let Some(last) = events.last() {
            self.seen = last.revision;
        }
        for event in &mut events {
            event.changes.sort_by(|a, b| a.key.cmp(&b.key));
        }
        Ok(events.into_iter().map(Arc::new).collect())
    }

    /// What an event of etcd says of an entry; `None` where it is of none.
    fn change(&self, raw: wire::Event) -> Result<Option<Change>, Trouble> {
        let is_deleted = raw.r#type() == EventType::Delete;
        let Some(kv) = raw.kv else {
            return Ok(None);
        };
        if self
            .names
            .fact(&kv.key)
            .is_some_and(|name| FIXED.contains(&name))
        {
            return Err(Trouble::Replaced);
        }
        let key = self.names.entry(&kv.key).map_err(|error| foreign(&error))?;
        Ok(key.map(|key| Change {
            key,
            value: (!is_deleted).then_some(kv.value),
        }))
    }
}

/// A key among the entries that none of ours can be.
pub(super) fn foreign(error: &StoreError) -> Trouble {
    Trouble::Damaged {
        detail: format!("among the entries is a key that is none: {error}").into(),
    }
}

fn revision_of(event: &wire::Event) -> Revision {
    let number = event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
    wire::revision(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::wire::{KeyValue, ResponseHeader};

    /// `5 a=1`, `5 -a`, `5 !slot` (under `meta/`).
    fn raw(text: &str) -> wire::Event {
        let names = Names::new("/f/");
        let (revision, what) = text.split_once(' ').unwrap();
        let (kind, key, value) = match (what.strip_prefix('-'), what.strip_prefix('!')) {
            (Some(key), _) => (EventType::Delete, names.data(key), ""),
            (_, Some(fact)) => (EventType::Put, names.meta(fact), ""),
            _ => {
                let (key, value) = what.split_once('=').unwrap();
                (EventType::Put, names.data(key), value)
            }
        };
        wire::Event {
            r#type: kind.into(),
            kv: Some(KeyValue {
                key,
                value: value.to_owned().into(),
                mod_revision: revision.parse().unwrap(),
                ..KeyValue::default()
            }),
        }
    }

    fn message(events: &[&str], fragment: bool) -> WatchResponse {
        WatchResponse {
            events: events.iter().map(|text| raw(text)).collect(),
            fragment,
            ..WatchResponse::default()
        }
    }

    fn assembly(seen: u64) -> Assembly {
        Assembly::new(Names::new("/f/"), Revision::new(seen))
    }

    fn text(told: &Told) -> String {
        let Told::Events(events) = told else {
            return format!("{told:?}");
        };
        let event = |event: &Arc<Event>| {
            let change = |change: &Change| match &change.value {
                Some(value) => format!(" {}={}", change.key, String::from_utf8_lossy(value)),
                None => format!(" -{}", change.key),
            };
            let changes: String = event.changes.iter().map(change).collect();
            format!("{}:{changes}", event.revision)
        };
        events.iter().map(event).collect::<Vec<_>>().join("; ")
    }

    #[track_caller]
    fn check(assembly: &mut Assembly, message: WatchResponse, expect: &str) {
        assert_eq!(text(&assembly.take(message)), expect);
    }

    #[test]
    fn a_message_is_taken_apart_by_revision() {
        let mut assembly = assembly(3);
        let events = ["4 b=1", "4 !slot/1", "4 a=1", "6 !slot/1", "9 -a"];
        check(
            &mut assembly,
            message(&events, false),
            "4: a=1 b=1; 6:; 9: -a",
        );
        assert_eq!(assembly.seen().number(), 9);
    }

    #[test]
    fn fragments_are_joined_and_told_as_soon_as_a_transaction_is_whole() {
        let mut assembly = assembly(3);
        check(&mut assembly, message(&["4 a=1", "5 a=2"], true), "4: a=1");
        check(&mut assembly, message(&["5 b=2"], true), "");
        check(&mut assembly, message(&["5 c=2"], false), "5: a=2 b=2 c=2");
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let mut assembly = assembly(3);
        check(&mut assembly, message(&["4 a=1"], false), "4: a=1");
        check(&mut assembly, message(&["5 a=2"], true), "");
        assembly.begin();
        let again = ["4 a=1", "5 a=2", "5 b=2"];
        check(&mut assembly, message(&again, false), "5: a=2 b=2");
    }

    #[test]
    fn only_a_watchs_own_progress_counts() {
        let progress = |watch_id, revision| WatchResponse {
            watch_id,
            header: Some(ResponseHeader {
                revision,
                ..ResponseHeader::default()
            }),
            ..WatchResponse::default()
        };
        let mut assembly = assembly(3);
        check(&mut assembly, progress(-1, 9), "");
        assert_eq!(assembly.seen().number(), 3);
        check(&mut assembly, progress(0, 7), "");
        assert_eq!(assembly.seen().number(), 7);
        check(&mut assembly, progress(0, 5), "");
        assert_eq!(assembly.seen().number(), 7);
        let created = WatchResponse {
            created: true,
            ..progress(0, 20)
        };
        check(&mut assembly, created, "");
        assert_eq!(assembly.seen().number(), 7);
    }

    #[test]
    fn ends_are_told() {
        let compacted = WatchResponse {
            canceled: true,
            compact_revision: 9,
            ..WatchResponse::default()
        };
        assert_eq!(assembly(3).take(compacted), Told::Compacted);
        let ended = WatchResponse {
            canceled: true,
            cancel_reason: String::from("why"),
            ..WatchResponse::default()
        };
        assert_eq!(assembly(3).take(ended), Told::Ended("why".into()));
        let lost = assembly(3).take(message(&["4 !restores"], false));
        assert_eq!(lost, Told::Lost(Trouble::Replaced));
        let foreign = assembly(3).take(message(&["4 =1"], false));
        assert!(matches!(foreign, Told::Lost(Trouble::Damaged { .. })));
    }
}
