//! End-to-end tests: the built programs as real processes, a real httpbin, a real DNS server and
//! the real `curl`. All of it is in `tests/`; this library is empty, because a package needs one.
//!
//! `cargo xtask test -p ferryway-tests [NAME]` brings what they need and runs them.
