//! Compiles the protocols with protox: no protoc is needed.

use std::error::Error;

const ROOT: &str = "../../proto";
const DELIVERY: &str = "ferryway/delivery/v1/delivery.proto";
const PLANES: &str = "ferryway/planes/v1/planes.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ROOT}");
    // It names what the other one makes, and leaves an empty file of it: so it goes first.
    tonic_prost_build::configure()
        .bytes(".")
        .extern_path(".ferryway.delivery.v1", "crate::wire")
        .compile_fds(protox::compile([PLANES], [ROOT])?)?;
    tonic_prost_build::configure()
        // The server's half is `ferryway-delivery`'s own: it hands out bytes encoded once.
        .build_server(false)
        .bytes(".")
        .compile_fds(protox::compile([DELIVERY], [ROOT])?)?;
    Ok(())
}
