//! The log of the simulation: a disk in memory whose writes take time and whose unsynced writes a power cut takes away.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use machine::GroupId;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::engine::{Job, LogEngine, LogOp, LogStart};
use crate::codec;
use crate::raft_types::{LogId, Vote};

#[derive(Clone, Debug, Default)]
struct GroupImage {
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    frames: BTreeMap<u64, Bytes>,
}

type Image = BTreeMap<GroupId, GroupImage>;

/// What survives a power cut. Shared by the boots of one simulated node.
#[derive(Debug, Default)]
pub(crate) struct MemoryDisk {
    durable: Mutex<Image>,
    /// What the log's writer has taken up and not synced yet, in order.
    under_way: Mutex<Vec<(GroupId, LogOp)>>,
    /// Power cuts so far. A log of an earlier boot writes nothing any more.
    cuts: AtomicU64,
}

impl MemoryDisk {
    /// Cuts the power: what is not synced is gone, and the logs opened before fail.
    pub(crate) fn cut_power(&self) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
        self.under_way.lock().clear();
    }

    /// As [`Self::cut_power`], in the middle of a write: of what was under way, `kept_in_hundred` of a hundred changes, the
    /// first ones, are on the disk though nobody was told so.
    pub(crate) fn tear(&self, kept_in_hundred: usize) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
        let under_way = std::mem::take(&mut *self.under_way.lock());
        let kept = under_way.len() * kept_in_hundred.min(100) / 100;
        let mut image = self.durable.lock();
        for (group, op) in &under_way[..kept] {
            apply_ops(image.entry(*group).or_default(), std::slice::from_ref(op));
        }
    }

    /// A write begins: until it is synced, a power cut may tear it.
    fn begin(&self, cuts: u64, batch: &[Job]) {
        if self.cuts.load(Ordering::Relaxed) == cuts {
            let ops = batch.iter().flat_map(|job| job.ops.iter().map(|op| (job.group, op.clone())));
            *self.under_way.lock() = ops.collect();
        }
    }

    /// Loses the newest `entries` synced entries of every group, and every trace of them: what no honest disk does.
    pub(crate) fn forget(&self, entries: usize) {
        for group in self.durable.lock().values_mut() {
            group.committed = None;
            for _ in 0..entries {
                group.frames.pop_last();
            }
        }
    }

    /// Syncs a batch for the boot after `cuts` power cuts. Errors: the power was cut meanwhile.
    fn sync(&self, cuts: u64, batch: &[Job]) -> io::Result<()> {
        let mut image = self.durable.lock();
        if self.cuts.load(Ordering::Relaxed) != cuts {
            return Err(io::Error::other("the power was cut"));
        }
        for job in batch {
            apply_ops(image.entry(job.group).or_default(), &job.ops);
        }
        self.under_way.lock().clear();
        Ok(())
    }
}

/// A log on a [`MemoryDisk`]; dropping it without its queue having been written loses what was unsynced.
pub(crate) struct MemoryLog {
    disk: Arc<MemoryDisk>,
    volatile: Arc<Mutex<Image>>,
    jobs: mpsc::UnboundedSender<Job>,
}

impl MemoryLog {
    /// Boots a log on `disk`; `fsync` draws how long each sync takes.
    pub(crate) fn open(disk: Arc<MemoryDisk>, mut fsync: impl FnMut() -> Duration + Send + 'static) -> Self {
        let volatile = Arc::new(Mutex::new(disk.durable.lock().clone()));
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
        let (target, cuts) = (Arc::clone(&disk), disk.cuts.load(Ordering::Relaxed));
        tokio::spawn(async move {
            while let Some(first) = queue.recv().await {
                let mut batch = vec![first];
                while let Ok(next) = queue.try_recv() {
                    batch.push(next);
                }
                target.begin(cuts, &batch);
                tokio::time::sleep(fsync()).await;
                let synced = target.sync(cuts, &batch).map_err(|error| error.to_string());
                for done in batch.into_iter().filter_map(|job| job.done) {
                    done(synced.clone().map_err(io::Error::other));
                }
            }
        });
        Self { disk, volatile, jobs }
    }
}

impl LogEngine for MemoryLog {
    fn submit(&self, job: Job) {
        apply_ops(self.volatile.lock().entry(job.group).or_default(), &job.ops);
        if let Err(refused) = self.jobs.send(job)
            && let Some(done) = refused.0.done
        {
            done(Err(io::Error::other("the simulated disk is gone")));
        }
    }

    fn read(&self, group: GroupId, from: u64, to: u64, bytes_max: usize) -> io::Result<Vec<Bytes>> {
        let image = self.volatile.lock();
        let mut bytes = 0;
        let mut frames = Vec::new();
        for frame in image.get(&group).into_iter().flat_map(|group| group.frames.range(from..to)).map(|pair| pair.1) {
            bytes += frame.len();
            if bytes > bytes_max && !frames.is_empty() {
                break;
            }
            frames.push(frame.clone());
        }
        Ok(frames)
    }

    fn read_part(&self, group: GroupId, index: u64, offset: u32, bytes: u32) -> io::Result<Option<Bytes>> {
        let image = self.volatile.lock();
        let Some(frame) = image.get(&group).and_then(|group| group.frames.get(&index)) else { return Ok(None) };
        let from = codec::FRAME_HEADER_BYTES + offset as usize;
        let to = from + bytes as usize;
        if to > frame.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Some(frame.slice(from..to))) }
    }

    fn start(&self, group: GroupId) -> io::Result<LogStart> {
        let image = self.disk.durable.lock();
        let Some(found) = image.get(&group) else { return Ok(LogStart::default()) };
        let last = match found.frames.last_key_value() {
            Some((_, frame)) => Some(codec::read_entry(frame).map_err(io::Error::other)?.log_id),
            None => found.purged,
        };
        Ok(LogStart { vote: found.vote, committed: found.committed, purged: found.purged, last })
    }

    fn first_within(&self, group: GroupId, bytes: u64) -> Option<u64> {
        let image = self.volatile.lock();
        let mut left = bytes;
        let fits = |(_, frame): &(&u64, &Bytes)| {
            let rest = left.checked_sub(frame.len() as u64);
            left = rest.unwrap_or(0);
            rest.is_some()
        };
        image.get(&group)?.frames.iter().rev().take_while(fits).last().map(|(index, _)| *index)
    }
}

fn apply_ops(image: &mut GroupImage, ops: &[LogOp]) {
    for op in ops {
        match op {
            LogOp::Append { index, frame } => {
                image.frames.insert(*index, frame.join());
            }
            LogOp::TruncateFrom { index } => {
                image.frames.split_off(index);
            }
            LogOp::Purge { upto } => {
                image.purged = Some(*upto);
                image.frames = image.frames.split_off(&upto.index.saturating_add(1));
            }
            LogOp::Vote(vote) => image.vote = Some(*vote),
            LogOp::Committed(id) => image.committed = *id,
        }
    }
}
