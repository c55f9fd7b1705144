//! Bodies of the REST API and its errors: what a caller sends, and what it is answered.

mod event;
mod group;
mod list;
mod operation;
mod overview;
mod problem;
mod registry;
mod service;

pub use event::{InstanceEvent, OperationEvent, StateEvent};
pub use group::{Group, Held, Instance, InstanceCounts, InstanceState, ViewAt};
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
