//! A service's routes, as a table takes them.

use ferryway_model::{Binding, Definition, HostPattern, Name, PathPattern, Predicate, Route};
use http::Method;

/// The routes of one service in one group.
#[derive(Clone, Debug)]
pub struct ServiceRoutes<T> {
    /// The service's name.
    pub service: Name,
    /// The hosts that it is served under; none means any.
    pub hosts: Vec<HostPattern>,
    /// Its routes; names unique.
    pub routes: Vec<RouteSpec<T>>,
}

/// One route, and what a table answers where it matches.
#[derive(Clone, Debug)]
pub struct RouteSpec<T> {
    /// The route's name.
    pub name: Name,
    /// What paths it has, with the service's base path put before.
    pub paths: Vec<PathPattern>,
    /// Which methods it takes; none means all.
    pub methods: Vec<Method>,
    /// Of equally specific paths the higher goes first.
    pub priority: i32,
    /// What must hold of a request; all of them.
    pub predicates: Vec<Predicate>,
    /// The table's answer.
    pub target: T,
}

impl<T> ServiceRoutes<T> {
    /// The routes of a definition under a binding, each with the target made for it. The one way
    /// from a definition to routes: what the control plane compiles on trial, gateways load.
    pub fn of(
        definition: &Definition,
        binding: &Binding,
        mut target: impl FnMut(&Route) -> T,
    ) -> Self {
        let base = &definition.base_path;
        let routes = definition.routes.iter().map(|route| RouteSpec {
            name: route.name.clone(),
            paths: route
                .paths
                .iter()
                .flat_map(|path| path.under(base))
                .collect(),
            methods: route.methods.clone(),
            priority: route.priority,
            predicates: route.predicates.clone(),
            target: target(route),
        });
        Self {
            service: definition.name.clone(),
            hosts: binding.effective_hosts(definition).to_vec(),
            routes: routes.collect(),
        }
    }
}
