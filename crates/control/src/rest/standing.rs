//! How far the instances of a group are with what it should serve.

use std::collections::BTreeMap;

use ferryway_api::{Convergence, InstanceCounts};
use ferryway_model::Name;

use crate::core::{Instance, Memory};

/// The instances of one group, counted once for all its services.
#[derive(Debug, Default)]
pub(super) struct Standing {
    counts: InstanceCounts,
    /// Online instances that have come to terms with the group's present revision.
    current: u64,
    /// Online instances that hold a service at earlier content, and how many of them are current.
    held: BTreeMap<Name, (u64, u64)>,
}

impl Standing {
    /// Counts the instances of a group.
    pub(super) fn of(memory: &Memory, group: &Name) -> Self {
        let mut standing = Self::default();
        let Some(head) = memory.groups.get(group).map(|group| group.head) else {
            return standing;
        };
        for instance in memory
            .instances
            .get(group)
            .into_iter()
            .flat_map(BTreeMap::values)
        {
            if !instance.is_online() {
                standing.counts.offline += 1;
                continue;
            }
            standing.counts.online += 1;
            standing.counts.converged += u64::from(instance.is_converged(Some(head.root)));
            let is_current = is_current(instance, head.revision);
            standing.current += u64::from(is_current);
            for service in instance.held.keys() {
                let (all, current) = standing.held.entry(service.clone()).or_default();
                *all += 1;
                *current += u64::from(is_current);
            }
        }
        standing
    }

    /// How many instances the group has.
    pub(super) fn counts(&self) -> InstanceCounts {
        self.counts
    }

    /// How far they are with one service.
    pub(super) fn with(&self, service: &Name) -> Convergence {
        let (held, held_current) = self.held.get(service).copied().unwrap_or_default();
        Convergence {
            online: self.counts.online,
            converged: self.current.saturating_sub(held_current),
            held,
        }
    }
}

/// Whether an instance has come to terms with everything up to this revision.
fn is_current(instance: &Instance, revision: ferryway_model::Revision) -> bool {
    instance
        .effective
        .is_some_and(|effective| effective.revision >= revision)
}
