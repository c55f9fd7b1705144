//! `ferryway`, run as a person or a script runs it, against a real control plane.

mod bad_input;
mod errors;
mod files;
mod golden;
mod steering;
mod terminal;
mod trade;
