//! The newest entries of one group in memory: what replication to up-to-date followers and apply read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::codec::payload_bytes;
use crate::limits::{TAIL_CACHE_BYTES, TAIL_CACHE_SHARE_BYTES_MIN};
use crate::raft_types::Entry;

/// What the newest entries of all groups of a process take together.
#[derive(Debug, Default)]
pub(crate) struct TailBudget(AtomicUsize);

impl TailBudget {
    fn is_exceeded(&self) -> bool {
        self.0.load(Ordering::Relaxed) > TAIL_CACHE_BYTES
    }
}

/// A gapless run of entries that ends at the newest one.
///
/// Invariant: entries that are not on disk yet are never dropped (`synced` says how far the disk has come).
#[derive(Debug, Default)]
pub(super) struct TailCache {
    entries: VecDeque<Entry>,
    bytes: usize,
    synced: Option<u64>,
    budget: Arc<TailBudget>,
    /// Something was added since the last look.
    is_busy: bool,
}

impl Drop for TailCache {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl TailCache {
    pub(super) fn new(budget: Arc<TailBudget>) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, synced: None, budget, is_busy: false }
    }

    pub(super) fn push(&mut self, entry: Entry) {
        let bytes = cost(&entry);
        self.bytes += bytes;
        self.budget.0.fetch_add(bytes, Ordering::Relaxed);
        self.entries.push_back(entry);
        self.is_busy = true;
        self.shrink();
    }

    /// Gives most of it back if nothing was added since the last look: memory is for the groups that are busy.
    pub(super) fn look(&mut self) {
        if !std::mem::take(&mut self.is_busy) {
            while self.bytes > TAIL_CACHE_SHARE_BYTES_MIN && self.may_drop_first() {
                self.pop_front();
            }
            self.entries.shrink_to_fit();
        }
    }

    fn pop_front(&mut self) {
        let gone = self.entries.pop_front();
        self.forget(gone.as_ref());
    }

    fn forget(&mut self, gone: Option<&Entry>) {
        let bytes = gone.map_or(0, cost);
        self.bytes -= bytes;
        self.budget.0.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether the oldest entry is on disk, and not the only one.
    fn may_drop_first(&self) -> bool {
        let is_synced = |entry: &Entry| self.synced.is_some_and(|synced| entry.log_id.index <= synced);
        self.entries.len() > 1 && self.entries.front().is_some_and(is_synced)
    }

    /// The disk holds everything up to `index`.
    pub(super) fn set_synced(&mut self, index: u64) {
        self.synced = Some(self.synced.map_or(index, |synced| synced.max(index)));
        self.shrink();
    }

    pub(super) fn truncate_after(&mut self, index: Option<u64>) {
        while self.entries.back().is_some_and(|entry| index.is_none_or(|index| entry.log_id.index > index)) {
            let gone = self.entries.pop_back();
            self.forget(gone.as_ref());
        }
        self.synced = self.synced.zip(index).map(|(synced, index)| synced.min(index));
    }

    pub(super) fn purge(&mut self, upto: u64) {
        while self.entries.front().is_some_and(|entry| entry.log_id.index <= upto) {
            self.pop_front();
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
        while self.bytes > TAIL_CACHE_SHARE_BYTES_MIN && self.budget.is_exceeded() && self.may_drop_first() {
            self.pop_front();
        }
    }
}

/// Memory of an entry: its payload and about what its frame around it takes.
fn cost(entry: &Entry) -> usize {
    payload_bytes(entry) + 64
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use openraft::EntryPayload;
    use openraft::impls::leader_id_adv::LeaderId;

    use super::*;
    use crate::raft_types::{LogId, Payload};

    const ENTRY_BYTES: usize = 64 * 1024;

    fn entry(index: u64) -> Entry {
        let log_id = LogId::new(LeaderId { term: 1, node_id: 1 }, index);
        Entry { log_id, payload: EntryPayload::Normal(Payload(Bytes::from(vec![0; ENTRY_BYTES]))) }
    }

    fn fill(cache: &mut TailCache, bytes: usize) {
        let next = cache.entries.back().map_or(1, |last| last.log_id.index + 1);
        for index in next..next + (bytes / ENTRY_BYTES) as u64 {
            cache.push(entry(index));
            cache.set_synced(index);
        }
    }

    #[test]
    fn all_groups_together_hold_no_more_than_the_budget_and_an_idle_one_gives_its_part_back() {
        let budget = Arc::new(TailBudget::default());
        let mut caches = [0; 3].map(|_| TailCache::new(Arc::clone(&budget)));
        for cache in &mut caches {
            fill(cache, 2 * TAIL_CACHE_BYTES);
        }
        let held = |caches: &[TailCache]| caches.iter().map(|cache| cache.bytes).sum::<usize>();
        let slack = 2 * ENTRY_BYTES + 3 * TAIL_CACHE_SHARE_BYTES_MIN;
        assert!(held(&caches) <= TAIL_CACHE_BYTES + slack, "{} bytes", held(&caches));
        assert_eq!(budget.0.load(Ordering::Relaxed), held(&caches), "the budget counts what is held");
        for look in [1, 2] {
            caches.iter_mut().for_each(TailCache::look);
            assert_eq!(held(&caches) <= slack, look == 2, "a group is idle from the second look on");
        }
        drop(caches);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0, "nothing is left");
    }

    #[test]
    fn what_is_not_on_disk_yet_is_held_whatever_it_takes() {
        let mut cache = TailCache::default();
        for index in 1..=2 + (TAIL_CACHE_BYTES / ENTRY_BYTES) as u64 {
            cache.push(entry(index));
        }
        assert_eq!(cache.first(), Some(1));
    }
}
