//! The trial: what would be committed is compiled as a gateway would, so that whatever the control
//! plane accepts can be loaded.

use ferryway_model::plan::Plan;
use ferryway_router::{Change, RouteTable, ServiceRoutes};

/// Compiles the routes of everything that a plan would make run.
pub(super) fn compile(plan: &Plan) -> RouteTable<()> {
    let after = plan
        .destinations
        .iter()
        .filter(|destination| !destination.is_unchanged());
    let routes = after.filter_map(|destination| {
        let running = destination.after.as_ref()?;
        let (definition, binding) = (&running.definition.content, &running.binding.content);
        Some(Change::Put(ServiceRoutes::of(definition, binding, |_| ())))
    });
    RouteTable::empty().with(routes)
}
