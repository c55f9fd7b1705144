//! Gateway groups and their instances.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A gateway group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Its name, unique and unchangeable.
    pub name: String,
    /// Its name for people; empty: none.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Labels to list by.
    pub labels: BTreeMap<String, String>,
    /// Whether definitions come in by publishing and syncing only, not by editing in place.
    pub enforce_publishing: bool,
    /// The number of its view: it grows by one with each transaction that changes the view.
    pub revision: u64,
    /// The digest of its view.
    pub root: String,
    /// How many instances it has.
    pub instances: InstanceCounts,
}

/// How many instances a group has. `converged` counts online ones only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceCounts {
    /// With a stream, and heard within the last 15 s.
    pub online: u64,
    /// The others that are not yet forgotten.
    pub offline: u64,
    /// Online, running the view's root and holding nothing.
    pub converged: u64,
}

/// A gateway instance, as far as the control plane knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    /// Its id, kept over restarts.
    pub id: String,
    /// The host it runs on.
    pub hostname: String,
    /// The version of Ferryway that it runs.
    pub build: String,
    /// Whether it is heard.
    pub state: InstanceState,
    /// Since when it is in that state.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Where it listens, as it says itself.
    pub addresses: Vec<String>,
    /// What it was last told to run; null before the first view.
    pub desired: Option<ViewAt>,
    /// What it runs; null before its first view is effective.
    pub effective: Option<ViewAt>,
    /// Whether it runs its group's view and holds nothing.
    pub converged: bool,
    /// The services that it keeps at earlier content, each with the reason.
    pub held: Vec<Held>,
    /// Another process with this instance's identity wants in, and is turned away because it was
    /// started earlier: its data folder is in use twice. Left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
}

/// Whether an instance is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// It has a stream, and a message came within the last 15 s.
    Online,
    /// It is not heard. Forgotten after 7 days.
    Offline,
}

/// A view at one of its revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ViewAt {
    /// The view's number.
    pub revision: u64,
    /// The digest of its whole content.
    pub root: String,
}

/// A service that an instance keeps at its last good content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Held {
    /// The service.
    pub service: String,
    /// Why, for scripts.
    pub code: String,
    /// Why, for people.
    pub message: String,
}
