//! How the programs start, refuse to start, and end.

mod control;
mod drain;
mod flags;
mod folders;
mod run;
mod sockets;
mod words;
