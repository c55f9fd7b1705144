//! How what was published reaches gateway instances, stays there, and is proven.

mod absence;
mod convergence;
mod groups;
mod presence;
mod rejection;
mod shrink;
