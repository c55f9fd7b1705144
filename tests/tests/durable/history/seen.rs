//! Everything that a control plane shows, read through its API.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::calls::text;

/// A group and a service in it.
pub(in super::super) type Place = (String, String);

/// What a control plane shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Seen {
    /// Operations by id.
    pub(in super::super) operations: BTreeMap<String, (String, Vec<Touch>)>,
    /// What ran at each place, newest first.
    pub(in super::super) history: BTreeMap<Place, Vec<Entry>>,
    /// Newest first.
    pub(in super::super) audit: Vec<Audit>,
    /// What runs at each place: version and mark.
    pub(in super::super) running: BTreeMap<Place, (String, u32)>,
    pub(in super::super) revisions: BTreeMap<String, u64>,
    /// Version numbers that were used, by service.
    pub(in super::super) versions: BTreeMap<String, BTreeSet<String>>,
    /// The mark that each plain resource has, by its path.
    pub(in super::super) titles: BTreeMap<String, u32>,
}

/// What an operation did at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Touch {
    pub(in super::super) place: Place,
    pub(in super::super) version: String,
    pub(in super::super) mark: u32,
    pub(in super::super) revision: u64,
}

/// An entry of a place's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Entry {
    pub(in super::super) operation: String,
    pub(in super::super) version: String,
    pub(in super::super) mark: u32,
}

/// An entry of the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Audit {
    pub(in super::super) action: String,
    pub(in super::super) target: String,
    pub(in super::super) operation: Option<String>,
    /// What a plain resource became.
    pub(in super::super) mark: Option<u32>,
}

impl Seen {
    /// Reads everything; `list` gives all items at a path, over all its pages.
    pub(in super::super) fn read(list: &mut dyn FnMut(&str) -> Vec<Value>) -> Self {
        let mut seen = Self::default();
        for operation in list("/operations") {
            let touches = operation["destinations"].as_array().into_iter().flatten();
            let touches = touches.map(Touch::of).collect();
            let (id, kind) = (text(&operation["operation"]), text(&operation["kind"]));
            seen.operations
                .insert(id.to_owned(), (kind.to_owned(), touches));
        }
        seen.audit = list("/audit").iter().map(Audit::of).collect();
        for service in list("/services") {
            let name = text(&service["name"]);
            seen.titles
                .insert(format!("services/{name}"), title(&service));
            let versions = list(&format!("/services/{name}/versions"));
            let versions = versions.iter().map(|it| text(&it["version"]).to_owned());
            seen.versions.insert(name.to_owned(), versions.collect());
        }
        for group in list("/gateway-groups") {
            seen.read_group(&group, list);
        }
        seen
    }

    fn read_group(&mut self, group: &Value, list: &mut dyn FnMut(&str) -> Vec<Value>) {
        let name = text(&group["name"]).to_owned();
        let path = format!("gateway-groups/{name}");
        let revision = group["revision"].as_u64().expect("a revision is a number");
        self.revisions.insert(name.clone(), revision);
        self.titles.insert(path.clone(), title(group));
        for registry in list(&format!("/{path}/registries")) {
            let target = format!("{path}/registries/{}", text(&registry["name"]));
            self.titles.insert(target, title(&registry));
        }
        for published in list(&format!("/{path}/services")) {
            let service = text(&published["service"]).to_owned();
            let version = text(&published["version"]).to_owned();
            let place = (name.clone(), service.clone());
            let runs = (version, port(&published["binding"]));
            self.running.insert(place.clone(), runs);
            let history = list(&format!("/{path}/services/{service}/history"));
            let history = history.iter().map(Entry::of).collect();
            self.history.insert(place, history);
        }
    }
}

impl Touch {
    fn of(destination: &Value) -> Self {
        Self {
            place: (
                text(&destination["group"]).to_owned(),
                text(&destination["service"]).to_owned(),
            ),
            version: text(&destination["version"]).to_owned(),
            mark: port(&destination["changes"]["binding"]["after"]),
            revision: destination["revision"].as_u64().unwrap_or_default(),
        }
    }
}

impl Entry {
    fn of(entry: &Value) -> Self {
        Self {
            operation: text(&entry["operation"]).to_owned(),
            version: text(&entry["version"]).to_owned(),
            mark: port(&entry["binding"]),
        }
    }
}

impl Audit {
    fn of(entry: &Value) -> Self {
        let after = &entry["after"];
        let mark = [&after["title"], &after["meta"]["title"]];
        let mark = mark.iter().find_map(|title| title.as_str()?.parse().ok());
        Self {
            action: text(&entry["action"]).to_owned(),
            target: text(&entry["target"]).to_owned(),
            operation: entry["operation"].as_str().map(str::to_owned),
            mark,
        }
    }
}

/// The mark of a resource that has it for its title.
#[track_caller]
fn title(resource: &Value) -> u32 {
    let title = text(&resource["title"]);
    title
        .parse()
        .unwrap_or_else(|_| panic!("{resource} has a mark for its title"))
}

/// The mark of a binding, which is the port of its one node.
#[track_caller]
fn port(binding: &Value) -> u32 {
    let port = binding["nodes"][0]["port"].as_u64();
    port.and_then(|port| u32::try_from(port).ok())
        .unwrap_or_else(|| panic!("{binding} has a node with a port"))
}
