//! What is known of an instance where it is connected, told to the other control planes, and taken
//! in there: so that operations, instances and convergence are true on each of them.
//!
//! What is told is not what happened but how an instance stands. So nothing has to be kept for a
//! reader that is slow: it is told the last word when it gets there, and words between may be left
//! out. There is one log for all readers, with one place for each instance of this control plane;
//! a reader has a cursor in it, and one that starts over begins at its beginning.
//!
//! Nothing of this is stored. What a control plane that dies knew, the instances say again to the
//! next one.

use std::collections::{BTreeMap, HashMap};

use ferryway_model::Name;
use ferryway_proto::Warnings as Warned;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::memory::Memory;
use super::presence::{Held, Instance, Position, Session};
use super::records::InstanceRecord;
use super::{Core, SILENCE_MAX};

/// How an instance stands, as the control plane says that has its stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) group: Name,
    pub(crate) id: String,
    pub(crate) session: Uuid,
    /// How often the instance had started, and dialled since.
    pub(crate) order: (u64, u64),
    pub(crate) online: bool,
    pub(crate) since: Timestamp,
    pub(crate) record: InstanceRecord,
    pub(crate) desired: Option<Position>,
    pub(crate) effective: Option<Position>,
    pub(crate) held: BTreeMap<Name, Held>,
    pub(crate) warnings: Vec<Warned>,
    pub(crate) schemas: Vec<u32>,
}

/// The log of what is told: the instances that were told of, each at the place of its last change.
#[derive(Debug)]
pub(super) struct Told {
    places: BTreeMap<u64, (Name, String)>,
    place_of: HashMap<(Name, String), u64>,
    /// The last place given away.
    last: watch::Sender<u64>,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            place_of: HashMap::new(),
            last: watch::Sender::new(0),
        }
    }
}

impl Told {
    fn tell(&mut self, group: &Name, id: &str) {
        let instance = (group.clone(), id.to_owned());
        let place = *self.last.borrow() + 1;
        if let Some(old) = self.place_of.insert(instance.clone(), place) {
            self.places.remove(&old);
        }
        self.places.insert(place, instance);
        self.last.send_replace(place);
    }

    fn drop_gone(&mut self, gone: &(Name, String)) {
        if let Some(place) = self.place_of.remove(gone) {
            self.places.remove(&place);
        }
    }
}

impl Memory {
    /// Notes that others are to be told how an instance stands that is connected here.
    pub(super) fn tell(&mut self, group: &Name, id: &str) {
        if self.tracker.plane().is_none() {
            return; // there are no others
        }
        let instances = self.instances.get_mut(group);
        if let Some(instance) = instances.and_then(|instances| instances.get_mut(id)) {
            instance.told = Some(Instant::now());
            self.told.tell(group, id);
        }
    }

    fn report_of(&self, group: &Name, id: &str) -> Option<Report> {
        let instance = self.instances.get(group)?.get(id)?;
        let session = instance.session.filter(|session| session.plane.is_none())?;
        Some(Report {
            group: group.clone(),
            id: id.to_owned(),
            session: session.id,
            order: session.order,
            online: instance.online,
            since: instance.since,
            record: instance.record.clone(),
            desired: instance.desired,
            effective: instance.effective,
            held: instance.held.clone(),
            warnings: instance.warnings.all(),
            schemas: instance.schemas.clone(),
        })
    }

    /// Takes in how an instance stands, as another control plane says.
    pub(super) fn relayed(&mut self, plane: Uuid, link: u64, report: Report, at: Timestamp) {
        let Report { group, id, .. } = &report;
        let (group, id) = (group.clone(), id.clone());
        let known = self.instances.get(&group).and_then(|all| all.get(&id));
        let (session, online) = known.map_or((None, false), |it| (it.session, it.online));
        let is_last = session
            .is_some_and(|session| session.plane == Some(plane) && session.id == report.session);
        if !report.online {
            if is_last && online {
                self.lose(&group, &id, report.since, at);
            }
            return;
        }
        let is_newer = session
            .filter(|_| online)
            .is_none_or(|session| match session.plane {
                // Its stream here may be one whose end nobody has seen yet.
                None => report.order > session.order,
                Some(by) => by == plane || report.order >= session.order,
            });
        if !is_newer {
            return;
        }
        let Report {
            group: _,
            id: _,
            session,
            order,
            online,
            since,
            record,
            desired,
            effective,
            held,
            warnings,
            schemas,
        } = report;
        let instances = self.instances.entry(group.clone()).or_default();
        let instance = instances
            .entry(id.clone())
            .or_insert_with(|| Instance::away(id.clone(), record.clone()));
        instance.session = Some(Session {
            id: session,
            plane: Some(plane),
            order,
            link,
        });
        (instance.online, instance.since, instance.record) = (online, since, record);
        (instance.desired, instance.effective, instance.held) = (desired, effective, held);
        instance.schemas = schemas;
        let warned = instance.warnings.replace(&warnings, Instant::now());
        self.told.drop_gone(&(group.clone(), id.clone()));
        self.report(&group, &id, at);
        if warned {
            self.look_again(&group, &id, at);
        }
    }

    /// All that another control plane knew was told through this link: what it said before and did
    /// not say again is no more.
    fn followed(&mut self, plane: Uuid, link: u64, at: Timestamp) {
        let Some(other) = self.planes.get_mut(&plane) else {
            return;
        };
        other.is_followed = true;
        self.lose_all(at, |session| {
            session.plane == Some(plane) && session.link != link
        });
    }

    /// A control plane is gone: its instances get a while to arrive elsewhere.
    pub(super) fn orphan(&mut self, plane: Uuid) {
        self.orphaned.insert(plane, Instant::now());
    }

    /// A control plane is there, or again.
    pub(super) fn adopted(&mut self, plane: Uuid) {
        self.orphaned.remove(&plane);
    }

    /// Draws the conclusions of time that passed: what nobody has told for long is no more.
    pub(super) fn look_around(&mut self, now: Instant, at: Timestamp) {
        let orphaned = self.orphaned.iter();
        let due = orphaned.filter(|(_, since)| now.duration_since(**since) >= SILENCE_MAX);
        let due: Vec<_> = due.map(|(plane, _)| *plane).collect();
        for plane in due {
            self.orphaned.remove(&plane);
            self.lose_all(at, |session| session.plane == Some(plane));
        }
        self.take_over(now, at);
    }

    fn lose_all(&mut self, at: Timestamp, is_lost: impl Fn(&Session) -> bool) {
        let all = self.instances.iter();
        let all = all.flat_map(|(group, all)| all.iter().map(move |(id, it)| (group, id, it)));
        let lost = all.filter(|(_, _, it)| it.online && it.session.as_ref().is_some_and(&is_lost));
        let lost: Vec<_> = lost
            .map(|(group, id, _)| (group.clone(), id.clone()))
            .collect();
        for (group, id) in lost {
            self.lose(&group, &id, at, at);
        }
    }

    /// An instance's stream to another control plane has ended.
    fn lose(&mut self, group: &Name, id: &str, since: Timestamp, at: Timestamp) {
        let instances = self.instances.get_mut(group);
        let Some(instance) = instances.and_then(|instances| instances.get_mut(id)) else {
            return;
        };
        (instance.online, instance.since) = (false, since);
        instance.record.last_seen = since;
        let warned = instance.warnings.clear();
        self.away(group, id, at);
        if warned {
            self.look_again(group, id, at);
        }
    }
}

/// Most reports handed out at once.
const REPORTS_MAX: usize = 256;

impl Core {
    /// How instances here stand whose place in the log is after `after`; and where to go on. There
    /// may be more.
    pub(crate) fn reports_after(&self, after: u64) -> (Vec<Report>, u64) {
        self.read(|memory| {
            let last = *memory.told.last.borrow();
            let mut places = memory.told.places.range(after.saturating_add(1)..);
            let mut reports = Vec::new();
            let mut reached = after;
            for (place, (group, id)) in places.by_ref().take(REPORTS_MAX) {
                reached = *place;
                reports.extend(memory.report_of(group, id));
            }
            let reached = if places.next().is_none() {
                last
            } else {
                reached
            };
            (reports, reached)
        })
    }

    /// The last place in the log of what is told, now and later.
    pub(crate) fn told(&self) -> watch::Receiver<u64> {
        self.read(|memory| memory.told.last.subscribe())
    }

    /// Takes in what another control plane tells through this link.
    pub(crate) fn relayed(&self, plane: Uuid, link: u64, reports: Vec<Report>) {
        let at = self.0.clock.now();
        self.write(|memory| {
            for report in reports {
                memory.relayed(plane, link, report, at);
            }
        });
    }

    /// Takes in that a link has told all that there was when it began.
    pub(crate) fn followed(&self, plane: Uuid, link: u64) {
        let at = self.0.clock.now();
        self.write(|memory| memory.followed(plane, link, at));
    }

    /// Takes in that a link is down: what is known of that control plane's instances stays.
    pub(crate) fn unfollowed(&self, plane: Uuid) {
        self.write(|memory| {
            if let Some(other) = memory.planes.get_mut(&plane) {
                other.is_followed = false;
            }
        });
    }
}
