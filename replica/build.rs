//! Generates the carrier of the replication protocol from `proto/replica.proto`, without protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/replica.proto");
    let files = protox::compile(["proto/replica.proto"], ["proto"])?;
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    Ok(())
}
