//! Bodies of the REST API, its errors, and a typed client.

mod operation;
mod problem;

pub use operation::{
    BeforeAfter, Changes, DeliveryState, Destination, InstanceDelivery, NameChanges, Operation,
    OperationKind, OperationState, RouteChange, RouteChanges,
};
pub use problem::{Problem, Severity};
