//! How content arrives in a group, with which binding; and where the body speaks of it.

use std::sync::Arc;

use super::super::{Destination, Running, World};
use super::{Content, Planner, below};
use crate::binding::{Binding, Upstream};
use crate::definition::Sealed;
use crate::name::Name;
use crate::problem::{Code, Problem};

/// Where the body sent speaks of a destination.
pub(super) struct Place {
    /// The destination itself.
    pub(super) item: String,
    /// Its binding.
    pub(super) binding: Spot,
}

/// Where a body says which binding it wants.
pub(super) enum Spot {
    /// It holds the binding here, or would.
    Holds(String),
    /// It asks here for one that it doesn't hold.
    Asks(String),
}

impl<W: World> Planner<'_, W> {
    /// Content arrives in a group: with the binding given, or the one the group has.
    pub(super) fn arrive(
        &self,
        group: &Name,
        service: &Name,
        content: &Content,
        binding: Option<&Arc<Sealed<Binding>>>,
        place: &Place,
    ) -> Destination {
        let Place { item, binding: at } = place;
        let before = self.world.running(group, service);
        let kept = before.as_ref().map(|running| running.binding.clone());
        let kept_at = Spot::Asks(item.clone());
        let at_present = if binding.is_some() { at } else { &kept_at };
        let Some(binding) = binding.cloned().or(kept) else {
            let mut destination = Destination::new(group, service, None, None);
            destination.place.clone_from(item);
            let message = format!(
                "{group} doesn't have {service} yet; say where its upstream is there (nodes or discovery)"
            );
            let problem = Problem::new(Code::BindingRequired, at.whole(), message);
            destination
                .problems
                .push(problem.in_group(group).of_service(service));
            return destination;
        };
        let mut problems = self.binding_problems(group, service, &binding.content, at_present);
        if let Some(before) = &before
            && before.version.is_none()
            && before.definition.digest != content.definition.digest
        {
            let digest = before.definition.digest;
            let message = format!(
                "{service} was edited in {group}; the edit stays in the history as {digest}"
            );
            let problem = Problem::new(Code::UnversionedEditReplaced, item, message);
            problems.push(problem.in_group(group).of_service(service));
        }
        let after = Running {
            version: content.version.clone(),
            definition: content.definition.clone(),
            binding,
            enabled: before.as_ref().is_none_or(|running| running.enabled),
        };
        let mut destination = Destination::new(group, service, before, Some(after));
        destination.place.clone_from(item);
        destination.problems = problems;
        destination
    }

    /// What is wrong with a binding in this group.
    pub(super) fn binding_problems(
        &self,
        group: &Name,
        service: &Name,
        binding: &Binding,
        at: &Spot,
    ) -> Vec<Problem> {
        let Upstream::Discovery(discovery) = &binding.upstream else {
            return Vec::new();
        };
        let problem = match self.world.registry(group, &discovery.registry) {
            None => {
                let message = format!(
                    "{group} has no registry {:?}; create it, or name another",
                    discovery.registry
                );
                Problem::new(
                    Code::RegistryMissing,
                    at.field("discovery.registry"),
                    message,
                )
            }
            Some(registry) => match registry.content.query(discovery) {
                Ok(_) => return Vec::new(),
                Err(why) => Problem::new(Code::Invalid, at.field("discovery"), why),
            },
        };
        vec![problem.in_group(group).of_service(service)]
    }
}

impl Place {
    /// A destination in a list, and the field of it that holds its binding.
    pub(super) fn of(item: String, field: &str) -> Self {
        let binding = Spot::Holds(below(&item, field));
        Self { item, binding }
    }
}

impl Spot {
    fn whole(&self) -> &str {
        let (Self::Holds(place) | Self::Asks(place)) = self;
        place
    }

    /// A field of the binding, as far as the body has it.
    fn field(&self, name: &str) -> String {
        match self {
            Self::Holds(place) => below(place, name),
            Self::Asks(place) => place.clone(),
        }
    }
}
