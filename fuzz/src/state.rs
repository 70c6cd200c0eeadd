//! The decoders of stored state: positions, places of bodies, and the bodies of a snapshot.
//!
//! Must never: open a store.

#[path = "../../replica/src/state/bodies.rs"]
mod bodies;
#[path = "../../replica/src/state/engine.rs"]
mod engine;
#[path = "../../replica/src/state/snapshot.rs"]
mod snapshot;

use bytes::Bytes;
pub(crate) use snapshot::SnapshotFile;

/// What a disk may hold in the place of a row or of a snapshot's file.
pub(crate) fn play(bytes: Bytes) {
    let _ = engine::read_position(bytes.to_vec());
    let _ = bodies::read_kept(bytes.to_vec());
    let mut seen = 0;
    let read = bodies::read_records(&bytes[..], bytes.len() as u64, &mut |_, body| {
        seen += body.len();
        Ok(())
    });
    assert!(read.is_err() || seen <= bytes.len(), "no more comes out than was there");
}
