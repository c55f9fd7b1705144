//! Registries of a group.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A connection to a service registry. Its fields depend on its kind; a PUT takes it back
/// unchanged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Registry {
    /// Its name for people; empty: none.
    pub title: String,
    /// What callers set, with its defaults filled in. Kind `dns`: `name`, `kind`, `endpoints`,
    /// `auth`, `empty_after`, `min_ttl`, `max_ttl`.
    #[serde(flatten)]
    pub settings: Map<String, Value>,
}
