//! One group's view of the log, as openraft wants it: appends return when readable and call back when durable.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use machine::GroupId;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::cache::TailCache;
use super::engine::{BodyPlace, Job, LogEngine, LogOp, LogStart};
use crate::codec;
use crate::limits::APPEND_BYTES_MAX;
use crate::raft_types::{Config, Entry, LogId, Vote};

struct Shared {
    state: LogStart,
    tail: TailCache,
    /// Readers that need what the log holds now.
    holders: usize,
    /// The last entry of which a scrub found that its bytes are damaged.
    damaged: Option<u64>,
}

/// How far a group's log is durable.
#[derive(Clone, Copy)]
struct Synced {
    /// The last durable entry.
    upto: Option<u64>,
    has_failed: bool,
}

/// The log of one group. Cheap to clone: readers share it.
#[derive(Clone)]
pub(crate) struct GroupLog {
    group: GroupId,
    engine: Arc<dyn LogEngine>,
    shared: Arc<Mutex<Shared>>,
    synced: Arc<watch::Sender<Synced>>,
    /// The last entry, for those who do not want to wait for the lock.
    tip: Arc<AtomicU64>,
}

/// A log that is not purged while this lives, but for a purge that is under way.
pub(crate) struct HeldLog(GroupLog);

impl std::ops::Deref for HeldLog {
    type Target = GroupLog;

    fn deref(&self) -> &GroupLog {
        &self.0
    }
}

impl Drop for HeldLog {
    fn drop(&mut self) {
        self.0.shared.lock().holders -= 1;
    }
}

impl GroupLog {
    /// Opens a group's log. Errors: damage (a hole, a bad checksum); the replica must not start on it.
    pub(crate) fn open(group: GroupId, engine: Arc<dyn LogEngine>) -> io::Result<Self> {
        let (state, tails) = (engine.start(group)?, engine.tails());
        let upto = state.last.as_ref().map(|id| id.index);
        let shared = Arc::new(Mutex::new(Shared { state, tail: TailCache::new(tails), holders: 0, damaged: None }));
        let synced = Arc::new(watch::Sender::new(Synced { upto, has_failed: false }));
        Ok(Self { group, engine, shared, synced, tip: Arc::new(AtomicU64::new(upto.unwrap_or(0))) })
    }

    /// What the log held when it was opened, and what came since.
    pub(crate) fn found(&self) -> LogStart {
        self.shared.lock().state.clone()
    }

    /// The last entry that was appended. One that was truncated may still be it.
    pub(crate) fn tip(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.tip)
    }

    /// The bytes at a place. `None`: the entry is purged. Errors: the disk. Whoever asks knows their checksum.
    pub(crate) fn body(&self, place: &BodyPlace) -> io::Result<Option<Bytes>> {
        let in_memory = self.shared.lock().tail.get(place.index).cloned();
        if let Some(EntryPayload::Normal(payload)) = in_memory.map(|entry| entry.payload) {
            let (from, to) = (place.offset as usize, place.offset as usize + place.bytes as usize);
            let fits = to <= payload.0.len();
            return if fits { Ok(Some(payload.0.slice(from..to))) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        self.engine.read_part(self.group, place.index, place.offset, place.bytes)
    }

    /// Waits until this replica's own log holds entry `index` for good, if it was appended here at all. Errors: the log has
    /// failed.
    pub(crate) async fn durable(&self, index: u64) -> io::Result<()> {
        if self.shared.lock().state.last.as_ref().is_none_or(|last| last.index < index) {
            return Ok(());
        }
        let mut synced = self.synced.subscribe();
        let is_known = |synced: &Synced| synced.has_failed || synced.upto.is_some_and(|upto| upto >= index);
        let stopped = || io::Error::other("the log's writer has stopped");
        let synced = synced.wait_for(is_known).await.map_err(|_| stopped())?;
        if synced.has_failed { Err(stopped()) } else { Ok(()) }
    }

    /// Keeps the log from being purged.
    pub(crate) fn held(&self) -> HeldLog {
        self.shared.lock().holders += 1;
        HeldLog(self.clone())
    }

    /// Whether somebody needs what the log holds now.
    pub(crate) fn is_held(&self) -> bool {
        self.shared.lock().holders > 0
    }

    /// An entry was found damaged on the disk.
    pub(crate) fn note_damage(&self, index: u64) {
        let mut shared = self.shared.lock();
        let is_purged = shared.state.purged.as_ref().is_some_and(|purged| purged.index >= index);
        if !is_purged {
            shared.damaged = shared.damaged.max(Some(index));
        }
    }

    /// The last entry that is known to be damaged; others before it may be, too.
    pub(crate) fn damaged(&self) -> Option<u64> {
        self.shared.lock().damaged
    }

    /// Gives memory back that a quiet group does not need.
    pub(crate) fn look(&self) {
        self.shared.lock().tail.look();
    }

    /// The last entry that lies further back than the newest `bytes` of the log of all groups, or the newest `entries` of
    /// this one. `None`: none does.
    pub(crate) fn behind(&self, bytes: u64, entries: u64) -> Option<u64> {
        let (purged, last) = {
            let shared = self.shared.lock();
            (shared.state.purged.as_ref().map(|id| id.index), shared.state.last.as_ref().map(|id| id.index))
        };
        let last = last.filter(|last| purged.is_none_or(|purged| *last > purged))?;
        let behind = self.engine.first_within(self.group, bytes).map_or(Some(last), |first| first.checked_sub(1));
        let behind = behind.max(last.checked_sub(entries));
        behind.filter(|behind| purged.is_none_or(|purged| *behind > purged))
    }

    /// The next entries from `from` on, some at a time; none behind the last one.
    pub(crate) fn entries(&self, from: u64) -> io::Result<Vec<Entry>> {
        self.read(from, u64::MAX, APPEND_BYTES_MAX)
    }

    fn submit(&self, ops: Vec<LogOp>, done: Option<Box<dyn FnOnce(io::Result<()>) + Send>>) {
        self.engine.submit(Job { group: self.group, ops, done });
    }

    async fn submit_and_wait(&self, ops: Vec<LogOp>) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.submit(
            ops,
            Some(Box::new(move |result| {
                // The waiter may have gone away with its task; the log has done its work.
                let _ = sender.send(result);
            })),
        );
        receiver.await.map_err(|_| io::Error::other("the log's writer has stopped"))?
    }

    fn read(&self, from: u64, to: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let (from, to, end) = {
            let shared = self.shared.lock();
            let first = shared.state.purged.as_ref().map_or(0, |id| id.index + 1);
            let end = shared.state.last.as_ref().map_or(0, |id| id.index + 1);
            let (from, to) = (from.max(first), to.min(end));
            if from >= to {
                return Ok(Vec::new());
            }
            if let Some(entries) = shared.tail.read(from, to, bytes_max) {
                return Ok(entries);
            }
            // The disk holds what the tail does not, and may not hold what the tail does.
            (from, shared.tail.first().map_or(to, |first| to.min(first)), to)
        };
        let frames = self.engine.read(self.group, from, to, bytes_max)?;
        if frames.is_empty() {
            // A log need not begin at index 0.
            let tail = &self.shared.lock().tail;
            return Ok(tail.first().and_then(|first| tail.read(first, end, bytes_max)).unwrap_or_default());
        }
        let read = |frame| codec::read_entry(frame).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
        frames.iter().map(read).collect()
    }
}

impl RaftLogReader<Config> for GroupLog {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, io::Error> {
        let mut from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(index) => index + 1,
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        let mut entries = Vec::new();
        loop {
            let part = self.read(from, to, usize::MAX)?;
            let Some(last) = part.last() else { return Ok(entries) };
            from = last.log_id.index + 1;
            entries.extend(part);
        }
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.shared.lock().state.vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.read(start, end, APPEND_BYTES_MAX)
    }
}

impl RaftLogStorage<Config> for GroupLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Config>, io::Error> {
        let shared = self.shared.lock();
        Ok(LogState { last_purged_log_id: shared.state.purged, last_log_id: shared.state.last })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.shared.lock().state.vote = Some(*vote);
        self.submit_and_wait(vec![LogOp::Vote(*vote)]).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.shared.lock().state.committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.shared.lock().state.committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Config>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut ops = Vec::new();
        let mut last: Option<LogId> = None;
        {
            let mut shared = self.shared.lock();
            for entry in entries {
                ops.push(LogOp::Append { index: entry.log_id.index, frame: codec::Frame::of(&entry) });
                last = Some(entry.log_id);
                shared.tail.push(entry);
            }
            shared.state.last = last.or(shared.state.last);
            if let Some(last) = &last {
                self.tip.store(last.index, Ordering::Relaxed);
            }
            // What is committed rides along with entries: it is a hint for restart and worth no fsync of its own.
            ops.push(LogOp::Committed(shared.state.committed));
        }
        let (shared, synced) = (Arc::clone(&self.shared), Arc::clone(&self.synced));
        self.submit(
            ops,
            Some(Box::new(move |result| {
                match (&result, last) {
                    (Ok(()), Some(last)) => {
                        shared.lock().tail.set_synced(last.index);
                        synced.send_modify(|synced| synced.upto = synced.upto.max(Some(last.index)));
                    }
                    (Ok(()), None) => {}
                    (Err(_), _) => synced.send_modify(|synced| synced.has_failed = true),
                }
                callback.io_completed(result);
            })),
        );
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        {
            let mut shared = self.shared.lock();
            shared.tail.truncate_after(last_log_id.as_ref().map(|id| id.index));
            let keeps_all = last_log_id.zip(shared.state.last).is_some_and(|(upto, last)| upto.index >= last.index);
            if !keeps_all {
                shared.state.last = last_log_id.or(shared.state.purged);
            }
            shared.damaged = shared.damaged.filter(|damaged| last_log_id.is_some_and(|last| *damaged <= last.index));
        }
        let upto = last_log_id.as_ref().map(|id| id.index);
        let done = self.submit_and_wait(vec![LogOp::TruncateFrom { index: last_log_id.map_or(0, |id| id.index + 1) }]);
        done.await?;
        // The appends before it have called back by now, and may have said that what is gone was synced.
        self.shared.lock().tail.truncate_after(upto);
        self.synced.send_modify(|synced| synced.upto = synced.upto.min(upto));
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        {
            let mut shared = self.shared.lock();
            shared.tail.purge(log_id.index);
            shared.state.purged = Some(log_id);
            shared.damaged = shared.damaged.filter(|damaged| *damaged > log_id.index);
            if shared.state.last.is_none_or(|last| last.index < log_id.index) {
                shared.state.last = Some(log_id);
            }
        }
        self.submit_and_wait(vec![LogOp::Purge { upto: log_id }]).await?;
        self.synced.send_modify(|synced| synced.upto = synced.upto.max(Some(log_id.index)));
        Ok(())
    }
}
