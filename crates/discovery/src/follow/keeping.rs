//! What of a target is kept across restarts, and how it is taken up again.

use std::net::IpAddr;

use ferryway_model::HostName;
use tokio::time::Instant;

use super::{Action, Follow};
use crate::kept::Kept;
use crate::slot::Slot;
use crate::spots::spots_of_services;

impl Follow {
    /// What is kept, by key: a service with its hosts as one, a named node for itself, so that it
    /// is found again whatever other nodes its binding has by then.
    fn kept(&self) -> Vec<(String, Kept)> {
        let records = |(name, slot): (&HostName, &Slot<Vec<IpAddr>>)| {
            Some((name.clone(), slot.records()?.clone()))
        };
        if let Some((name, slot)) = &self.services {
            let services = slot.records().cloned().unwrap_or_default();
            let addresses = self.hosts.iter().filter_map(records).collect();
            return vec![(
                self.service_key(name),
                Kept {
                    services,
                    addresses,
                },
            )];
        }
        let host = |(name, slot): (&HostName, &_)| {
            let addresses = records((name, slot)).into_iter().collect();
            (
                self.host_key(name),
                Kept {
                    services: Vec::new(),
                    addresses,
                },
            )
        };
        self.hosts.iter().map(host).collect()
    }

    /// What has to be saved for the next life to begin with what is known now.
    pub(super) fn save(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (key, kept) in self.kept() {
            // What was never known needs no forgetting.
            let same = self
                .saved
                .get(&key)
                .map_or_else(|| kept.is_empty(), |it| *it == kept);
            if !same {
                self.saved.insert(key.clone(), kept.clone());
                actions.push(Action::Save { key, kept });
            }
        }
        actions
    }

    /// Starts from what was kept.
    pub(super) fn restore(&mut self, now: Instant, load: impl Fn(&str) -> Option<Kept>) {
        let retry = self.rules.retry.clone();
        if let Some((name, _)) = &self.services {
            let (name, key) = (name.clone(), self.service_key(name));
            let Some(kept) = load(&key).filter(|kept| !kept.services.is_empty()) else {
                return;
            };
            self.spots = spots_of_services(&kept.services);
            self.services = Some((name, Slot::restored(kept.services.clone(), now, &retry)));
            self.keep_hosts(now);
            self.restore_hosts(&kept, now);
            self.saved.insert(key, kept);
            return;
        }
        for name in self.hosts.keys().cloned().collect::<Vec<_>>() {
            let key = self.host_key(&name);
            if let Some(kept) = load(&key) {
                self.restore_hosts(&kept, now);
                self.saved.insert(key, kept);
            }
        }
    }

    fn restore_hosts(&mut self, kept: &Kept, now: Instant) {
        for (name, addresses) in kept.addresses.iter().filter(|(_, it)| !it.is_empty()) {
            if let Some(slot) = self.hosts.get_mut(name) {
                *slot = Slot::restored(addresses.clone(), now, &self.rules.retry);
            }
        }
    }

    fn service_key(&self, name: &HostName) -> String {
        format!("{}/srv/{name}", self.rules.asked)
    }

    fn host_key(&self, name: &HostName) -> String {
        format!("{}/host/{name}", self.rules.asked)
    }
}
