//! Bodies of the REST API and its errors: what a caller sends, and what it is answered.
//!
//! Answers are plain types, written by the control plane and read by clients. Calls are read twice
//! as strictly as serde would: by the model's walk, so that every mistake is named at once with its
//! place ([`Call`]); the types in [`body`] are for those who write them. An [`ApiError`] knows its
//! status and its code, and nothing of the web framework that sends it.
//!
//! A [`Client`] speaks all of it.
//!
//! This crate must not know: the store, tasks, who may do what; and no socket but the client's.

mod apply;
mod authority;
pub mod body;
mod call;
mod catalogue;
pub mod client;
mod error;
mod event;
mod group;
mod join_token;
mod list;
mod operation;
mod overview;
mod problem;
mod registry;
mod service;
mod token;

pub use apply::{
    Applied, AppliedResource, ApplyBody, ApplyCall, PruneBody, ResourceAction, ResourceId,
};
pub use authority::{AuthorityItem, AuthorityState};
pub use call::{BadCall, Call, CallOptions};
pub use catalogue::{codes_of, explain};
pub use client::{Client, ClientError};
pub use error::{ApiError, RETRY_AFTER};
pub use event::{InstanceEvent, OperationEvent, StateEvent};
pub use group::{Group, Held, Instance, InstanceCounts, InstanceState, ViewAt};
pub use join_token::{JoinToken, JoinTokenDraft, NewJoinToken};
pub use list::List;
pub use operation::{
    BeforeAfter, Changes, DeliveryState, Destination, InstanceDelivery, NameChanges, Operation,
    OperationKind, OperationState, RouteChange, RouteChanges,
};
pub use overview::{
    AuditEntry, Compare, ComparedService, ComparedSide, ComparedState, Matrix, MatrixCell,
    MatrixRow,
};
pub use problem::{Problem, ProblemDetails, Severity};
pub use registry::Registry;
pub use service::{Convergence, HistoryEntry, PublishedService, Service, Version};
pub use token::{InvalidScope, NewToken, Scope, Token, TokenDraft};
