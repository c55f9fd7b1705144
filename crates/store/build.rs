//! Compiles etcd's protocol with protox: no protoc is needed.

use std::error::Error;

const ROOT: &str = "proto";
const ETCD: &str = "etcd.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ROOT}");
    let files = protox::compile([ETCD], [ROOT])?;
    tonic_prost_build::configure()
        .build_server(false)
        .bytes(".")
        .compile_fds(files)?;
    Ok(())
}
