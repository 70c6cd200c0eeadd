//! Generates the contracts' code from `tercet/**/*.proto` into `OUT_DIR`, with the descriptor set for reflection.
//!
//! Why here: the `.proto` files are the contract; code that is generated anew in every build cannot disagree with them.
//!
//! Must never: need a program that a bare machine with Rust lacks; the compiler of `.proto` files is a crate.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;

const CONTRACTS: [&str; 12] = [
    "tercet/queue/v1/queue.proto",
    "tercet/queue/v1/topic.proto",
    "tercet/queue/v1/history.proto",
    "tercet/queue/v1/move.proto",
    "tercet/ledger/v1/ledger.proto",
    "tercet/packet/v1/packet.proto",
    "tercet/pay/v1/pay.proto",
    "tercet/admin/v1/admin.proto",
    "tercet/admin/v1/backup.proto",
    "tercet/admin/v1/keys.proto",
    "tercet/admin/v1/members.proto",
    "tercet/admin/v1/recovery.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=tercet");
    let descriptors = protox::compile(CONTRACTS, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("tercet.bin"), descriptors.encode_to_vec())?;
    // Bodies become slices of the receive buffer; headers keep one order everywhere.
    let contracts = tonic_prost_build::configure().bytes(".").btree_map(".").codec_path("crate::codec::ExactCodec");
    contracts.compile_fds(descriptors)?;
    // Another house's contract: reflection does not show it.
    println!("cargo::rerun-if-changed=opentelemetry");
    let otlp = protox::compile(["opentelemetry/trace.proto"], ["."])?;
    tonic_prost_build::configure().bytes(".").compile_fds(otlp)?;
    Ok(())
}
