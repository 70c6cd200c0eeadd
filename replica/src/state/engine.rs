//! What a row store must do, whatever lies below it.

use std::collections::BTreeSet;

use bytes::Bytes;
use machine::{BodyRef, DecodeError, Layout, LogIndex, Reader, RowSource, Rows, StoreFailure, Writer};

use super::scrub::StoreScrubbed;
use super::snapshot::{SnapshotData, SnapshotWriter};
use crate::codec;
use crate::raft_types::{LogId, SnapshotMeta, StoredMembership};

/// How far the rows have come: kept in the same batch as the rows themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub applied: Option<LogId>,
    pub membership: StoredMembership,
}

impl Position {
    pub(crate) fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() }
    }
}

impl Layout for Position {
    fn encode(&self, out: &mut Writer) {
        codec::write_optional_log_id(out, self.applied.as_ref());
        codec::write_stored_membership(out, &self.membership);
    }

    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { applied: codec::read_optional_log_id(input)?, membership: codec::read_stored_membership(input)? })
    }
}

/// Rows, bodies and the position they stand at.
///
/// Invariant: a commit is atomic; after a crash the store opens at some earlier commit, never between two.
pub(crate) trait RowEngine: RowSource + Send + Sync + 'static {
    /// Commits a batch and the position behind it. `rows` is `None` if only the position moves. `entries` are the ones that
    /// were applied, durable in this replica's log: a body that is a slice of one need not be written again.
    fn commit(
        &self,
        rows: Option<&Rows>,
        entries: &[(LogIndex, Bytes)],
        position: &Position,
    ) -> Result<(), StoreFailure>;

    /// Moves the bodies of entries up to `upto` out of the log; they are safe with the next checkpoint.
    fn settle(&self, upto: u64) -> Result<(), StoreFailure>;

    /// Bytes of the bodies that lie in the log, of all groups of the process. `None`: of some nobody knows since the start,
    /// until each has counted its own.
    fn bytes_in_log(&self) -> Option<u64>;

    /// Counts this group's bodies in the log, if nobody knows or does. It takes a while, and gives way.
    fn count_in_log(&self) -> Result<(), StoreFailure>;

    /// Damage that no peer can repair. The replica must stop.
    fn damage(&self) -> Option<String>;

    /// Bodies that were found damaged, each with the reason: nobody is given their bytes until they are repaired.
    fn quarantine(&self) -> Vec<(BodyRef, String)>;

    /// Puts the bytes of a damaged body back. False: they are not the ones that were lost.
    fn repair(&self, body: BodyRef, bytes: &Bytes) -> Result<bool, StoreFailure>;

    /// Looks at the bodies in these entries of the log, whose bytes are damaged: it is done as if each had been read.
    fn scrub_entries(&self, entries: &BTreeSet<u64>) -> Result<(), StoreFailure>;

    /// Reads about `bytes_max` of the bodies that lie in the store, from body `from` on. Errors: as of a body that is read.
    fn scrub_store(&self, from: u64, bytes_max: u64) -> Result<StoreScrubbed, StoreFailure>;

    /// Where the rows stand.
    fn position(&self) -> Result<Position, StoreFailure>;

    /// Makes all commits so far durable and returns a copy of the store at one position.
    fn checkpoint(&self) -> Result<(Position, SnapshotData), StoreFailure>;

    /// Replaces everything by a snapshot. After a crash in the middle the store opens with the old or the new content.
    fn install(&self, data: &SnapshotData) -> Result<(), StoreFailure>;

    /// A place where node `from` puts a snapshot named `id`; what it left there in an earlier attempt is kept.
    fn receive(&self, from: u64, id: u64) -> Result<SnapshotWriter, StoreFailure>;

    /// Visits every row in key order (the state hash).
    fn visit_rows(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreFailure>;
}

/// Reads a stored position. Errors: damage.
pub(crate) fn read_position(value: Vec<u8>) -> Result<Position, StoreFailure> {
    Position::from_bytes(&Bytes::from(value)).map_err(|error| StoreFailure(format!("position: {error}")))
}
