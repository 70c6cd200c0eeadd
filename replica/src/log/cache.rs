//! The newest entries of one group in memory: what replication to up-to-date followers and apply read.

use std::collections::VecDeque;

use crate::codec::payload_bytes;
use crate::limits::TAIL_CACHE_BYTES;
use crate::raft_types::Entry;

/// A gapless run of entries that ends at the newest one.
///
/// Invariant: entries that are not on disk yet are never dropped (`synced` says how far the disk has come).
#[derive(Debug, Default)]
pub(super) struct TailCache {
    entries: VecDeque<Entry>,
    bytes: usize,
    synced: Option<u64>,
}

impl TailCache {
    pub(super) fn push(&mut self, entry: Entry) {
        self.bytes += cost(&entry);
        self.entries.push_back(entry);
        self.shrink();
    }

    /// The disk holds everything up to `index`.
    pub(super) fn set_synced(&mut self, index: u64) {
        self.synced = Some(self.synced.map_or(index, |synced| synced.max(index)));
        self.shrink();
    }

    pub(super) fn truncate_after(&mut self, index: Option<u64>) {
        while self.entries.back().is_some_and(|entry| index.is_none_or(|index| entry.log_id.index > index)) {
            self.bytes -= self.entries.pop_back().as_ref().map_or(0, cost);
        }
        self.synced = self.synced.zip(index).map(|(synced, index)| synced.min(index));
    }

    pub(super) fn purge(&mut self, upto: u64) {
        while self.entries.front().is_some_and(|entry| entry.log_id.index <= upto) {
            self.bytes -= self.entries.pop_front().as_ref().map_or(0, cost);
        }
    }

    /// The first index held.
    pub(super) fn first(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.log_id.index)
    }

    /// Entries `from..to`, at most about `bytes_max` (one at least). `None` if the run begins behind `from`.
    pub(super) fn read(&self, from: u64, to: u64, bytes_max: usize) -> Option<Vec<Entry>> {
        let first = self.first()?;
        let skip = usize::try_from(from.checked_sub(first)?).ok()?;
        let mut bytes = 0;
        let mut out = Vec::new();
        for entry in self.entries.iter().skip(skip).take_while(|entry| entry.log_id.index < to) {
            bytes += cost(entry);
            if bytes > bytes_max && !out.is_empty() {
                break;
            }
            out.push(entry.clone());
        }
        Some(out)
    }

    /// Entry `index`, if it is held.
    pub(super) fn get(&self, index: u64) -> Option<&Entry> {
        let at = usize::try_from(index.checked_sub(self.first()?)?).ok()?;
        self.entries.get(at)
    }

    fn shrink(&mut self) {
        while self.bytes > TAIL_CACHE_BYTES
            && self.entries.len() > 1
            && self.entries.front().is_some_and(|entry| self.synced.is_some_and(|synced| entry.log_id.index <= synced))
        {
            self.bytes -= self.entries.pop_front().as_ref().map_or(0, cost);
        }
    }
}

/// Memory of an entry: its payload and about what its frame around it takes.
fn cost(entry: &Entry) -> usize {
    payload_bytes(entry) + 64
}
