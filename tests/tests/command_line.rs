//! `ferryway`, run as a person or a script runs it, against a real control plane.

mod errors;
mod terminal;
mod trade;
