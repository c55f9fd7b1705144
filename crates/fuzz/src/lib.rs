//! What must hold of any bytes: a property for each border where bytes come in that nobody here
//! wrote.
//!
//! A property is a plain function of bytes that fails by panicking, be it in an assertion of its own
//! or in what it calls. The folder `fuzz/` of the repository runs each under libFuzzer, which looks
//! for bytes that break it; the tests of this crate run it on what libFuzzer has found worth keeping
//! (`fuzz/corpus/`), on stable and in every test run. So whatever was broken once stays mended.
//!
//! What only one crate sees (the HTTP/1 codec, the records of an instance's disk) has its property
//! there, in a hidden module `fuzz`.
//!
//! Absent on purpose: bytes that dependencies read for us (HTTP/2, TLS, DNS, the database's pages).

mod bodies;
mod definition;
mod documents;
mod frames;
mod requests;

/// A border, and what must hold there.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name: of the target in `fuzz/`, and of its folder in `fuzz/corpus/`.
    pub name: &'static str,
    /// The property.
    pub check: fn(&[u8]),
}

/// All borders.
pub const TARGETS: &[Target] = &[
    Target {
        name: "bodies",
        check: bodies::check,
    },
    Target {
        name: "definition",
        check: definition::check,
    },
    Target {
        name: "documents",
        check: documents::check,
    },
    Target {
        name: "frames",
        check: frames::check,
    },
    Target {
        name: "http1_request",
        check: ferryway_proxy::fuzz::request,
    },
    Target {
        name: "http1_response",
        check: http1_response,
    },
    Target {
        name: "instance_files",
        check: instance_files,
    },
    Target {
        name: "requests",
        check: requests::check,
    },
];

/// The property of a target.
///
/// # Panics
/// When there is no such target.
#[must_use]
pub fn property(name: &str) -> fn(&[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    target.expect("TARGETS has all that fuzz/ runs").check
}

fn http1_response(data: &[u8]) {
    ferryway_proxy::fuzz::response(data);
    ferryway_proxy::fuzz::chunks(data);
}

fn instance_files(data: &[u8]) {
    ferryway_delivery::fuzz::export(data);
    ferryway_delivery::fuzz::records(data);
    ferryway_discovery::fuzz::kept(data);
}
