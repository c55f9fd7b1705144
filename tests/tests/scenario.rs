//! The scenario that must always work: httpbin is published to the group `test`, proven there, and
//! synced to `production`, where it talks to production's own upstream.

mod empty;
mod exact;
mod finding;
mod following;
mod from_file;
mod on_etcd;
mod stage;
