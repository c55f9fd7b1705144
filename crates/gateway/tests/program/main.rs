//! The program as it is started by hand or by a supervisor, and as it serves what a control plane
//! sends.

mod alone;
mod control;
mod from_file;
mod serving;
mod setup;
