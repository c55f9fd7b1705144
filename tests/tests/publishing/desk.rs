//! A control plane with groups that have no instance yet: what a change does to the groups is the
//! same, and it is done at once.

use ferryway_testkit::{Answer, Api, Control};
use serde_json::{Value, json};

use crate::calls::{self, define, destinations, items, service, succeeded};
use crate::site::make_group;

pub(super) const SERVICE: &str = "orders";

pub(super) struct Desk {
    control: Control,
}

impl Desk {
    /// `orders` is in the hub, and the groups `test`, `staging` and `production` run nothing.
    #[track_caller]
    pub(super) fn set() -> Self {
        let control = Control::start();
        for group in ["test", "staging", "production"] {
            make_group(&control.api(), group);
        }
        let desk = Self { control };
        desk.edit_hub("/orders");
        desk
    }

    /// As [`Self::set`], and `test` runs `orders` 1.0.0.
    #[track_caller]
    pub(super) fn published() -> Self {
        let desk = Self::set();
        desk.publish("1.0.0", "test");
        desk
    }

    pub(super) fn api(&self) -> Api {
        self.control.api()
    }

    /// Gives the hub's `orders` this path: other content than with another path.
    #[track_caller]
    pub(super) fn edit_hub(&self, path: &str) {
        define(&self.api(), &orders(path));
    }

    /// The digest of the hub's definition.
    #[track_caller]
    pub(super) fn hub_digest(&self) -> Value {
        self.api().get("/services/orders").json_of(200)["digest"].clone()
    }

    /// Publishes the hub's definition to a group, with [`binding`].
    #[track_caller]
    pub(super) fn publish(&self, version: &str, group: &str) -> Value {
        succeeded(&self.try_publish(version, &[(group, Some(&binding()))]))
    }

    #[track_caller]
    pub(super) fn try_publish(&self, version: &str, groups: &[(&str, Option<&Value>)]) -> Answer {
        calls::publish(&self.api(), SERVICE, version, groups)
    }

    /// Syncs `orders` from a group, with these further fields. The answer is not judged.
    #[track_caller]
    pub(super) fn try_sync(
        &self,
        from: &str,
        to: &[(&str, Option<&Value>)],
        further: Value,
    ) -> Answer {
        let mut body = further;
        body["to"] = destinations(to);
        self.post_in(from, "sync", &body)
    }

    #[track_caller]
    pub(super) fn try_rollback(&self, group: &str, body: &Value) -> Answer {
        self.post_in(group, "rollback", body)
    }

    #[track_caller]
    fn post_in(&self, group: &str, verb: &str, body: &Value) -> Answer {
        let path = format!("/gateway-groups/{group}/services/orders/{verb}?wait=30s");
        self.api().post(&path, body)
    }

    /// Edits the definition that runs in a group so that it has this path.
    #[track_caller]
    pub(super) fn edit_in(&self, group: &str, path: &str) -> Answer {
        let definition = format!("/gateway-groups/{group}/services/orders/definition?wait=30s");
        self.api().put(&definition, &orders(path))
    }

    #[track_caller]
    pub(super) fn patch(&self, group: &str, body: &Value) -> Answer {
        let path = format!("/gateway-groups/{group}/services/orders?wait=30s");
        self.api().patch(&path, body)
    }

    #[track_caller]
    pub(super) fn unpublish(&self, group: &str) -> Value {
        let path = format!("/gateway-groups/{group}/services/orders?wait=30s");
        succeeded(&self.api().delete(&path))
    }

    /// What a group runs of `orders`.
    #[track_caller]
    pub(super) fn running(&self, group: &str) -> Value {
        calls::published(&self.api(), group, SERVICE)
    }

    #[track_caller]
    pub(super) fn revision(&self, group: &str) -> u64 {
        let group = calls::group(&self.api(), group);
        group["revision"].as_u64().expect("a revision is a number")
    }

    #[track_caller]
    pub(super) fn history(&self, group: &str) -> Vec<Value> {
        let path = format!("/gateway-groups/{group}/services/orders/history");
        items(&self.api().get(&path))
    }

    /// All that a change could leave behind: of each group its revision and root, what it runs of
    /// `orders`, and all versions and operations.
    #[track_caller]
    pub(super) fn traces(&self) -> Value {
        let api = self.api();
        let groups = items(&api.get("/gateway-groups"));
        let services = ["test", "staging", "production"]
            .map(|group| items(&api.get(&format!("/gateway-groups/{group}/services"))));
        let versions = items(&api.get("/services/orders/versions"));
        let operations = items(&api.get("/operations"));
        json!([groups, services, versions, operations])
    }
}

/// `orders` with one route, at this path.
pub(super) fn orders(path: &str) -> Value {
    service(SERVICE, &[("all", path)])
}

/// A binding like any other.
pub(super) fn binding() -> Value {
    binding_to(80)
}

/// A binding that differs by its port.
pub(super) fn binding_to(port: u16) -> Value {
    json!({"nodes": [{"host": "orders.example", "port": port, "weight": 100, "priority": 0}]})
}
