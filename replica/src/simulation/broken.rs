//! A disk that breaks when it is told to: log and rows work until then, and fail for ever after.
//!
//! Must never: lose or change anything before it is broken.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use machine::{BodyRef, GroupId, LogIndex, RowSource, Rows, StoreFailure};

use crate::log::{Job, LogEngine, LogStart, MemoryLog};
use crate::state::{MemoryRows, Position, RowEngine, SnapshotData, SnapshotWriter, StoreScrubbed};

/// A log whose writes and fsyncs fail once it is broken.
pub(super) struct BreakableLog {
    pub inner: MemoryLog,
    pub is_broken: Arc<AtomicBool>,
}

impl LogEngine for BreakableLog {
    fn submit(&self, job: Job) {
        if !self.is_broken.load(Ordering::Relaxed) {
            self.inner.submit(job);
        } else if let Some(done) = job.done {
            done(Err(io::Error::other("the simulated fsync failed")));
        }
    }

    fn read(&self, group: GroupId, from: u64, to: u64, bytes_max: usize) -> io::Result<Vec<Bytes>> {
        self.inner.read(group, from, to, bytes_max)
    }

    fn read_part(&self, group: GroupId, index: u64, offset: u32, bytes: u32) -> io::Result<Option<Bytes>> {
        self.inner.read_part(group, index, offset, bytes)
    }

    fn start(&self, group: GroupId) -> io::Result<LogStart> {
        self.inner.start(group)
    }

    fn first_within(&self, group: GroupId, bytes: u64) -> Option<u64> {
        self.inner.first_within(group, bytes)
    }
}

/// Rows whose commits fail once they are broken.
pub(super) struct BreakableRows {
    pub inner: MemoryRows,
    pub is_broken: Arc<AtomicBool>,
}

impl RowSource for BreakableRows {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreFailure> {
        self.inner.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StoreFailure> {
        self.inner.scan(from, to, visit)
    }

    fn scan_back(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreFailure> {
        self.inner.scan_back(from, to, visit)
    }

    fn body(&self, body: BodyRef) -> Result<Option<Bytes>, StoreFailure> {
        self.inner.body(body)
    }
}

impl RowEngine for BreakableRows {
    fn commit(
        &self,
        rows: Option<&Rows>,
        entries: &[(LogIndex, Bytes)],
        position: &Position,
    ) -> Result<(), StoreFailure> {
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(StoreFailure("the simulated write failed".to_owned()));
        }
        self.inner.commit(rows, entries, position)
    }

    fn settle(&self, upto: u64) -> Result<(), StoreFailure> {
        self.inner.settle(upto)
    }

    fn bytes_in_log(&self) -> Option<u64> {
        self.inner.bytes_in_log()
    }

    fn count_in_log(&self) -> Result<(), StoreFailure> {
        self.inner.count_in_log()
    }

    fn damage(&self) -> Option<String> {
        self.inner.damage()
    }

    fn quarantine(&self) -> Vec<(BodyRef, String)> {
        self.inner.quarantine()
    }

    fn repair(&self, body: BodyRef, bytes: &Bytes) -> Result<bool, StoreFailure> {
        self.inner.repair(body, bytes)
    }

    fn scrub_entries(&self, entries: &BTreeSet<u64>) -> Result<(), StoreFailure> {
        self.inner.scrub_entries(entries)
    }

    fn scrub_store(&self, from: u64, bytes_max: u64) -> Result<StoreScrubbed, StoreFailure> {
        self.inner.scrub_store(from, bytes_max)
    }

    fn position(&self) -> Result<Position, StoreFailure> {
        self.inner.position()
    }

    fn checkpoint(&self) -> Result<(Position, SnapshotData), StoreFailure> {
        self.inner.checkpoint()
    }

    fn install(&self, data: &SnapshotData) -> Result<(), StoreFailure> {
        self.inner.install(data)
    }

    fn receive(&self, from: u64, id: u64) -> Result<SnapshotWriter, StoreFailure> {
        self.inner.receive(from, id)
    }

    fn visit_rows(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreFailure> {
        self.inner.visit_rows(visit)
    }
}
