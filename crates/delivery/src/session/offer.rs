//! Offering a step for installation: what of it can be read, and is whole, becomes a candidate.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferryway_model::{Changes, Entry, Key, View};

use super::Session;
use super::event::{Action, Atoms, Desired, Record};
use super::step::{Intent, Plan, Work};
use crate::candidate::{Applied, Candidate, Changed};
use crate::load::{Loaded, dangling, load_all};

impl Session {
    /// Reads the content of what changes and offers it; what cannot be read is rejected.
    pub(super) fn offer(&mut self, mut plan: Plan) {
        let Some(step) = self.queue.front() else {
            return;
        };
        if step.intent == Intent::Start {
            let there = |entry: &Entry| entry.content().all(|d| step.content.contains_key(&d));
            plan.changes
                .retain(|_, entry| entry.as_ref().is_none_or(there));
        }
        let mut loaded = BTreeMap::new();
        let mut faults = Vec::new();
        let changes = plan.changes.iter();
        let entries: Vec<_> = changes
            .filter_map(|(key, entry)| Some((key, entry.as_ref()?)))
            .collect();
        for (key, read) in load_all(&entries, &step.content) {
            match read {
                Ok(content) => {
                    loaded.insert(key.clone(), content);
                }
                Err(more) => faults.extend(more),
            }
        }
        let whole = step.atoms == Atoms::Whole;
        if whole && !faults.is_empty() {
            return self.rejected(plan, faults);
        }
        self.set_aside(&mut plan, faults);
        let target = self.target(&plan);
        let dangling: Vec<_> = plan
            .changes
            .iter()
            .filter_map(|(key, entry)| dangling(key, loaded.get(key)?, entry.as_ref()?, &target))
            .collect();
        if whole && !dangling.is_empty() {
            return self.rejected(plan, dangling);
        }
        self.set_aside(&mut plan, dangling);
        self.install(plan, &loaded);
    }

    fn install(&mut self, plan: Plan, loaded: &BTreeMap<Key, Loaded>) {
        let target = self.target(&plan);
        let Some(step) = self.queue.front() else {
            return;
        };
        // The first view is installed even if it is empty: an instance is ready with it.
        if plan.changes.is_empty() && self.effective_at.is_some() {
            return self.complete(plan, Applied::default());
        }
        let mut candidate = Candidate {
            position: step.position,
            occasion: step.occasion,
            checks: step.checks,
            registries: Vec::new(),
            services: Vec::new(),
            target,
        };
        for key in plan.changes.keys() {
            let name = key.name.clone();
            match loaded.get(key) {
                Some(Loaded::Service(service)) => {
                    let content = Some(Arc::clone(service));
                    candidate.services.push(Changed { name, content });
                }
                Some(Loaded::Registry(registry)) => {
                    let content = Some(Arc::clone(registry));
                    candidate.registries.push(Changed { name, content });
                }
                None => match key.kind {
                    ferryway_model::Kind::Service => {
                        candidate.services.push(Changed {
                            name,
                            content: None,
                        });
                    }
                    ferryway_model::Kind::Registry => {
                        candidate.registries.push(Changed {
                            name,
                            content: None,
                        });
                    }
                },
            }
        }
        if step.intent != Intent::Start {
            let desired = Desired {
                position: step.position,
                view: step.after.clone(),
                atoms: step.atoms,
            };
            let record = Record::Desired(desired, step.content.clone());
            self.out.push(Action::Save(record));
        }
        let candidate = Arc::new(candidate);
        self.out.push(Action::Install(Arc::clone(&candidate)));
        self.work = Work::Installing { plan, candidate };
    }

    /// What would run if all of the plan were applied.
    fn target(&self, plan: &Plan) -> View {
        self.effective.with(&to_changes(&plan.changes))
    }
}

pub(super) fn to_changes(changes: &BTreeMap<Key, Option<Entry>>) -> Changes {
    let mut made = Changes::default();
    for (key, entry) in changes {
        match entry {
            Some(entry) => {
                made.upserts.insert(key.clone(), entry.clone());
            }
            None => {
                made.removals.insert(key.clone());
            }
        }
    }
    made
}
