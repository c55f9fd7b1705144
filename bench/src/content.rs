//! Content of a given size: services as a group has them, and changes of one of them.

use std::net::SocketAddr;

use serde_json::{Value, json};

/// So many services, each with so many routes, ten services under each host.
///
/// Of ten routes six are exact, two have a parameter, one is a prefix, one is both. The first route
/// of each service is the one that changes; the second never does, and answers for the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// How many services.
    pub services: usize,
    /// How many routes each of them has.
    pub routes_each: usize,
}

impl Content {
    /// Services of [`SERVICE_ROUTES`] with at least so many routes together.
    #[must_use]
    pub fn of(routes: usize) -> Self {
        Self {
            services: routes.div_ceil(SERVICE_ROUTES).max(1),
            routes_each: SERVICE_ROUTES,
        }
    }

    /// All routes.
    #[must_use]
    pub fn routes(self) -> usize {
        self.services * self.routes_each
    }

    /// The service that the `n`th change is of: no two in a row are the same where there are two.
    #[must_use]
    pub fn changed_by(self, n: usize) -> usize {
        // A step that is coprime to the numbers of services measured with.
        n.wrapping_mul(7_919) % self.services
    }

    /// The definition of a service after its `n`th change: in the first route the priority
    /// (odd changes) or the path (even ones) is another than before, and nothing else.
    #[must_use]
    pub fn definition(self, service: usize, n: usize) -> Value {
        let routes = (0..self.routes_each).map(|route| match route {
            0 => json!({
                "name": "changing",
                "paths": [format!("/changing/{}", n / 2)],
                "priority": n.div_ceil(2) % 2,
            }),
            1 => json!({"name": "steady", "paths": [STEADY]}),
            route => json!({
                "name": format!("r{route}"),
                "paths": [path(route)],
                "methods": ["GET", "POST"],
            }),
        });
        json!({
            "name": name(service),
            "hosts": [host(service)],
            "base_path": format!("/{}", name(service)),
            "routes": routes.collect::<Vec<_>>(),
        })
    }
}

/// Services of [`SERVICE_ROUTES`] with so many routes together, for any host: the first route,
/// `/*`, answers whatever the others, `/api/v1/rN/{id}`, don't.
pub fn catch_all(routes: usize) -> impl Iterator<Item = Value> {
    (0..routes).step_by(SERVICE_ROUTES).map(move |first| {
        let last = routes.min(first + SERVICE_ROUTES);
        let routes = (first..last).map(|route| match route {
            0 => json!({"name": "all", "paths": ["/*"]}),
            _ => json!({
                "name": format!("r{route}"),
                "paths": [format!("/api/v1/r{route}/{{id}}")],
            }),
        });
        json!({
            "name": name(first / SERVICE_ROUTES),
            "routes": routes.collect::<Vec<_>>(),
        })
    })
}

/// The name of a service.
#[must_use]
pub fn name(service: usize) -> String {
    format!("s{service}")
}

/// The host that a service answers under.
#[must_use]
pub fn host(service: usize) -> String {
    format!("h{}.bench.example", service / 10)
}

/// A path that a service answers at whatever was changed.
#[must_use]
pub fn steady_path(service: usize) -> String {
    format!("/{}{STEADY}", name(service))
}

/// A binding to one node.
#[must_use]
pub fn binding(node: SocketAddr) -> Value {
    json!({"nodes": [{"host": node.ip(), "port": node.port()}]})
}

/// Routes of a service.
pub const SERVICE_ROUTES: usize = 100;
const STEADY: &str = "/steady";

fn path(route: usize) -> String {
    let tens = route / 10;
    match route % 10 {
        6 => format!("/users{tens}/{{id}}"),
        7 => format!("/users{tens}/{{id}}/orders"),
        8 => format!("/users{tens}/{{id}}/documents/*"),
        9 => format!("/files{tens}/*"),
        exact => format!("/items{tens}/r{exact}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(routes: usize, services: usize) {
        let content = Content::of(routes);
        assert_eq!(content.services, services);
        assert_eq!(content.routes(), services * SERVICE_ROUTES);
    }

    #[test]
    fn sizes() {
        check(0, 1);
        check(100, 1);
        check(101, 2);
        check(100_000, 1_000);
        for size in [200, 1_000, 100_000] {
            let content = Content::of(size);
            for n in 0..10 {
                assert_ne!(content.changed_by(n), content.changed_by(n + 1), "{n}");
            }
        }
    }

    #[test]
    fn one_route_takes_what_the_others_leave() {
        for (routes, services) in [(1, 1), (100, 1), (101, 2), (10_000, 100)] {
            let all: Vec<Value> = catch_all(routes).collect();
            assert_eq!(all.len(), services);
            assert_eq!(all[0]["routes"][0]["paths"], json!(["/*"]));
            let of_each = all.iter().map(|it| it["routes"].as_array().unwrap().len());
            assert_eq!(of_each.sum::<usize>(), routes);
        }
    }

    #[test]
    fn each_change_is_of_one_field_of_one_route() {
        let content = Content::of(100);
        for n in 0..5 {
            let mut before = content.definition(3, n);
            let after = content.definition(3, n + 1);
            let field = if n % 2 == 0 { "priority" } else { "paths" };
            assert_ne!(before, after);
            before["routes"][0][field] = after["routes"][0][field].clone();
            assert_eq!(before, after);
        }
    }
}
