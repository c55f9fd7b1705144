//! The words and the rules of Ferryway.
//!
//! Everything that both halves of the system must agree on is here, once: what a definition, a
//! binding and a registry may say (one walk that collects every problem with its place), how
//! content is named (canonical bytes and digests), what a group's view is, what differs between two
//! definitions, and what a publish, a sync or a rollback would do (the plan).
//!
//! This crate must not know: files, sockets, clocks, tasks, HTTP statuses, the store, the wire.

mod binding;
mod conflict;
mod definition;
mod diff;
mod digest;
pub mod document;
mod group;
mod host;
mod json;
pub mod limits;
mod meta;
mod name;
mod normal;
mod path;
pub mod plan;
mod predicate;
mod problem;
mod registry;
mod span;
mod text;
mod view;
mod walk;

pub use binding::{Binding, Discovery, InvalidNodeHost, Node, NodeHost, Upstream};
pub use conflict::{Claimant, Places, RouteConflict, RouteIndex};
pub use definition::{
    Check, Definition, Expect, HostHeader, Keepalive, LoadBalancing, Retry, RetryOn, Route,
    RouteTimeout, SCHEMA, Scheme, Sealed, Timeouts, UpstreamPolicy,
};
pub use diff::{BeforeAfter, Difference, NameChanges, RouteChange, RouteChanges, Side};
pub use digest::{Digest, InvalidDigest};
pub use group::Group;
pub use host::{HostName, HostPattern, InvalidHost};
pub use json::{canonical as canonical_json, parse as parse_json};
pub use meta::Meta;
pub use name::{InvalidName, Name, VersionNumber};
pub use normal::{BadPath, normal_path};
pub use path::{BasePath, End, InvalidBasePath, InvalidPath, PathPattern, Segment};
pub use predicate::{Op, Pattern, Predicate, Source};
pub use problem::{Class, Code, Problem, Severity};
pub use registry::{DnsQuery, Registry};
pub use span::{InvalidSpan, Span};
pub use view::{
    BUCKETS, Bucket, Candidate, Changes, Entry, Key, Kind, RegistryEntry, Revision, Rollout,
    ServiceEntry, View,
};
pub use walk::{At, Object, PROBLEMS_MAX, Walk};
