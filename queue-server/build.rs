//! Generates the messages of CMQ's TCP protocol from `src/doors/cmq_tcp/cmq.proto` into `OUT_DIR`.
//!
//! Must never: need a program that a bare machine with Rust lacks; the compiler of `.proto` files is a crate.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/doors/cmq_tcp/cmq.proto");
    let descriptors = protox::compile(["cmq.proto"], ["src/doors/cmq_tcp"])?;
    // Bodies become slices of the receive buffer.
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
