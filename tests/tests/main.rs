//! What users rely on, tried from outside. One module for each promise.

mod sandbox;
mod scenario;
