//! Generates the messages of CMQ's TCP protocol, as the queue server's own build does.
//!
//! Must never: read another contract than the server's.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    const CONTRACT: &str = "../queue-server/src/doors/cmq_tcp";
    println!("cargo::rerun-if-changed={CONTRACT}/cmq.proto");
    let descriptors = protox::compile(["cmq.proto"], [CONTRACT])?;
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
