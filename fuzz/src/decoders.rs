//! Coverage-guided bytes for every decoder: what comes from a wire or a disk is read or refused, and never ends a process.
//!
//! ```text
//!  which u8 | bytes      which decoder; FUZZ_ONLY=n holds a run to one, so that its executions can be counted
//! ```
//!
//! The decoders are the server's own files, taken in by their paths: they are pure, and need neither RocksDB nor a socket.
//!
//! Must never: hold a copy of a decoder. Where one cannot be taken in, it is untangled in its own room.
#![no_main]
#![expect(dead_code, unused_imports, reason = "of each room only the decoders are called")]

#[path = "../../replica/src/codec.rs"]
mod codec;
mod doors;
#[path = "../../replica/src/limits.rs"]
mod limits;
mod log;
mod net;
#[path = "../../replica/src/raft_types.rs"]
mod raft_types;
mod rpc;
mod state;

use std::sync::OnceLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use machine::{EntryView, Layout as _, System};

const DECODERS: [fn(Bytes); 8] =
    [entries, log::play, net::play, state::play, doors::http, doors::tcp, rpc::queue, rpc::others];

/// Entries: the frame as it lies in a log, with a checksum that fits; what it holds, as the host takes it apart.
fn entries(bytes: Bytes) {
    let _ = codec::read_entry(&bytes);
    let _ = codec::read_entry(&codec::with_checksum(&bytes));
    let _ = System::from_bytes(&bytes);
    if let Ok(view) = EntryView::decode(bytes) {
        assert!(view.commands.len() <= machine::limits::COMMANDS_PER_ENTRY_MAX);
    }
}

fuzz_target!(|input: &[u8]| {
    static ONLY: OnceLock<Option<usize>> = OnceLock::new();
    let only = *ONLY.get_or_init(|| std::env::var("FUZZ_ONLY").ok().and_then(|number| number.parse().ok()));
    let [which, rest @ ..] = input else { return };
    DECODERS[only.unwrap_or(usize::from(*which)) % DECODERS.len()](Bytes::copy_from_slice(rest));
});
