//! What an upstream gets, what a client gets back, and what happens when the upstream is not as it
//! should be.

mod balance;
mod bodies;
mod failures;
mod headers;
mod protocols;
mod retries;
