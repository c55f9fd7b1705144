//! Compiles the protocol with protox: no protoc is needed.

use std::error::Error;

const ROOT: &str = "../../proto";
const DELIVERY: &str = "ferryway/delivery/v1/delivery.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ROOT}");
    let files = protox::compile([DELIVERY], [ROOT])?;
    tonic_prost_build::configure()
        // The server's half is `ferryway-delivery`'s own: it hands out bytes encoded once.
        .build_server(false)
        .bytes(".")
        .compile_fds(files)?;
    Ok(())
}
