//! What groups publish meanwhile.

use bytes::Bytes;
use ferryway_delivery::Cause;
use ferryway_model::{Changes, Key, Name, Revision};

use crate::content::{Variant, name, registry, registry_key, service};
use crate::world::World;

/// The services of each group.
const SERVICES: u64 = 9;

impl World {
    /// The groups begin with some services.
    pub(crate) fn populate(&self) {
        for group in self.shared.store.groups() {
            let services: Vec<_> = (0..SERVICES - 2)
                .map(|n| (n, Some(Variant::Good(0))))
                .collect();
            self.commit(&group, &services, Cause::Operation);
        }
    }

    /// A transaction of one to four services.
    pub(crate) fn publish(&mut self) {
        let group = self.a_group();
        let count = 1 + self.random.below(4);
        let services: Vec<_> = (0..count)
            .map(|_| (self.random.below(SERVICES), self.a_variant()))
            .collect();
        self.commit(&group, &services, Cause::Operation);
    }

    /// A transaction that is good wherever it comes.
    pub(crate) fn publish_good(&mut self, group: &Name) {
        let n = self.random.below(200) as u8;
        let service = self.random.below(SERVICES);
        self.commit(
            group,
            &[(service, Some(Variant::Good(n)))],
            Cause::Operation,
        );
    }

    fn commit(&self, group: &Name, services: &[(u64, Option<Variant>)], cause: Cause) {
        let mut changes = Changes::default();
        let mut content = Vec::new();
        for (number, variant) in services {
            let service_name = name(&format!("s{number}"));
            let key = Key::service(&service_name);
            changes.upserts.remove(&key);
            changes.removals.remove(&key);
            match variant {
                Some(variant) => {
                    let (entry, blobs) = service(&service_name, *variant);
                    changes.upserts.insert(key, entry);
                    content.extend(blobs);
                }
                None => {
                    changes.removals.insert(key);
                }
            }
        }
        let detail: Vec<_> = services
            .iter()
            .map(|(number, variant)| match variant {
                Some(variant) => format!("s{number}={variant:?}"),
                None => format!("s{number}=gone"),
            })
            .collect();
        self.commit_changes(group, &changes, content, cause, &detail.join(" "));
    }

    fn commit_changes(
        &self,
        group: &Name,
        changes: &Changes,
        content: Vec<Bytes>,
        cause: Cause,
        detail: &str,
    ) {
        let store = &self.shared.store;
        let before = store.head(group).view;
        let after = before.with(changes);
        let keys: Vec<Key> = before.changes_to(&after).keys().cloned().collect();
        if keys.is_empty() {
            return;
        }
        let position = store.publish(group, changes, content, cause);
        self.shared.invariants.publishes(&keys);
        let revision = position.revision;
        self.trace.note(
            "publish",
            "",
            format!("{group} {revision} {cause:?} {detail}"),
        );
    }

    /// Some services become what they were.
    pub(crate) fn roll_back(&mut self) {
        let group = self.a_group();
        let ago = self.random.below(6) as usize;
        let former = self.shared.store.former_head(&group, ago).view;
        let head = self.shared.store.head(&group).view;
        let mut changes = head.changes_to(&former);
        changes.upserts.retain(|_, _| self.random.below(3) > 0);
        changes.removals.retain(|_| self.random.below(3) > 0);
        self.commit_changes(&group, &changes, Vec::new(), Cause::Rollback, "");
    }

    pub(crate) fn change_registry(&mut self) {
        let group = self.a_group();
        let mut changes = Changes::default();
        let mut content = Vec::new();
        if self.random.below(5) == 0 {
            changes.removals.insert(registry_key());
        } else {
            let (entry, blobs) = registry(53 + self.random.below(5) as u16);
            changes.upserts.insert(registry_key(), entry);
            content = blobs;
        }
        self.commit_changes(&group, &changes, content, Cause::Resource, "the registry");
    }

    /// The control planes of one history go on until they have passed what they once had.
    pub(crate) fn catch_up(&mut self) {
        for group in self.shared.store.groups() {
            while self.shared.store.head(&group).revision < self.newest(&group) {
                self.publish_good(&group);
            }
            self.publish_good(&group);
        }
    }

    fn newest(&self, group: &Name) -> Revision {
        self.shared.store.newest(group)
    }

    fn a_variant(&mut self) -> Option<Variant> {
        let n = self.random.below(6) as u8;
        match self.random.below(20) {
            0..10 => Some(Variant::Good(n)),
            10..12 => Some(Variant::Bad(n)),
            12..14 => Some(Variant::Flawed(n)),
            14 => Some(Variant::Unreadable(n)),
            15..17 => Some(Variant::ByRegistry),
            _ => None,
        }
    }
}
