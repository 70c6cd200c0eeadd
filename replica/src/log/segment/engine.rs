//! The log engine over segments: hands jobs to the writer, and reads frames where the index says they lie.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use bytes::Bytes;
use machine::GroupId;
use parking_lot::RwLock;

use super::disk::{Disk, SyncWatch, damaged};
use super::index::{GroupIndex, Index, Run};
use super::record::{Kind, RECORD_HEAD_BYTES};
use super::scan::{Blocks, Found, read_log};
use super::scrub;
use super::writer::{Writer, position};
use crate::codec;
use crate::limits::SEGMENT_BYTES;
use crate::log::cache::TailBudget;
use crate::log::engine::{Job, LogEngine, LogScrubbed, LogStart, ScrubPlace};
use crate::log::gauge::FsyncGauge;
use crate::log::mark::SyncMark;

/// The log of a process, in segment files.
pub(crate) struct SegmentLog {
    index: Arc<RwLock<Index>>,
    /// Both are `None` only while the log is dropped.
    jobs: Option<Sender<Job>>,
    writer: Option<thread::JoinHandle<()>>,
    tails: Arc<TailBudget>,
}

impl Drop for SegmentLog {
    /// Waits for the writer: when the log is gone nobody writes to its folder, and it can be opened again.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the log's writer has panicked");
        }
    }
}

impl SegmentLog {
    /// Opens or creates the log in `folder` and starts its writer. Errors: `InvalidData` if it is damaged, or has lost
    /// what was synced.
    pub(crate) fn open(folder: &Path, gauge: Arc<FsyncGauge>) -> io::Result<Self> {
        Self::open_watched(folder, gauge, SEGMENT_BYTES, None)
    }

    /// Opens a log whose segments are full after `segment_bytes`, and whose syncs are watched.
    pub(super) fn open_watched(
        folder: &Path,
        gauge: Arc<FsyncGauge>,
        segment_bytes: u64,
        watch: Option<SyncWatch>,
    ) -> io::Result<Self> {
        let writer = Writer::open(Disk::open(folder, segment_bytes, watch)?, &folder.with_extension("synced"))?;
        let index = writer.index();
        let (jobs, queue) = channel();
        let thread = thread::Builder::new().name("log-writer".into());
        let writer = thread.spawn(move || writer.run(&queue, &gauge))?;
        Ok(Self { index, jobs: Some(jobs), writer: Some(writer), tails: Arc::default() })
    }

    /// Reads the log in `folder`, and changes no byte of it: whatever is submitted fails. Errors: as [`Self::open`].
    pub(crate) fn look(folder: &Path) -> io::Result<Self> {
        let Found { index, end, .. } = read_log(&Disk::look(folder))?;
        let position = index.segments.back().map_or(0, |newest| position(newest, end));
        SyncMark::check(&folder.with_extension("synced"), position)?;
        Ok(Self { index: Arc::new(RwLock::new(index)), jobs: None, writer: None, tails: Arc::default() })
    }

    /// Whether no group has anything in it.
    pub(crate) fn is_blank(&self) -> bool {
        let is_blank = |of: &GroupIndex| of.runs.is_empty() && of.facts.vote.is_none() && of.facts.purged.is_none();
        self.index.read().groups.values().all(is_blank)
    }

    /// Opens a log of small segments.
    #[cfg(test)]
    pub(crate) fn open_small(folder: &Path, segment_bytes: u64) -> io::Result<Self> {
        Self::open_watched(folder, Arc::default(), segment_bytes, None)
    }

    /// The oldest segment, pinned as a reader does.
    #[cfg(test)]
    pub(super) fn oldest(&self) -> Arc<super::disk::Segment> {
        let index = self.index.read();
        Arc::clone(index.segments.front().expect("a log has a segment"))
    }

    /// The run that holds entry `index` of a group. Errors: the log holds later ones, but not this one.
    fn run(&self, group: GroupId, index: u64, to: u64) -> io::Result<Option<Run>> {
        let held = self.index.read();
        let Some(of) = held.groups.get(&group) else { return Ok(None) };
        match of.run(index) {
            Some(run) => Ok(Some(run.part(index, to))),
            None if of.runs.iter().any(|run| run.first > index && run.first < to) => {
                Err(io::Error::other(format!("group {}: entry {index} is missing", group.0)))
            }
            None => Ok(None),
        }
    }
}

impl LogEngine for SegmentLog {
    fn submit(&self, job: Job) {
        let refused = match &self.jobs {
            Some(jobs) => jobs.send(job).err().map(|refused| refused.0),
            None => Some(job),
        };
        if let Some(done) = refused.and_then(|job| job.done) {
            done(Err(io::Error::other("the log's writer has stopped")));
        }
    }

    fn read(&self, group: GroupId, from: u64, to: u64, bytes_max: usize) -> io::Result<Vec<Bytes>> {
        let (mut frames, mut bytes, mut next) = (Vec::new(), 0, from);
        while next < to {
            let Some(run) = self.run(group, next, to)? else { break };
            let mut blocks = Blocks::new(&run.segment)?;
            for place in &run.places {
                let frame = match blocks.record(*place)? {
                    Some((head, frame)) if (head.kind, head.group) == (Kind::Entry, group) => frame,
                    _ => return Err(run.segment.damaged(format_args!("entry {next} of group {}", group.0))),
                };
                bytes += frame.len();
                if bytes > bytes_max && !frames.is_empty() {
                    return Ok(frames);
                }
                frames.push(frame);
                next += 1;
            }
        }
        Ok(frames)
    }

    fn read_part(&self, group: GroupId, index: u64, offset: u32, bytes: u32) -> io::Result<Option<Bytes>> {
        let Some(run) =
            self.index.read().groups.get(&group).and_then(|of| of.run(index)?.part(index, index + 1).into())
        else {
            return Ok(None);
        };
        let Some(place) = run.places.first() else { return Ok(None) };
        let payload = u64::from(*place) + (RECORD_HEAD_BYTES + codec::FRAME_HEADER_BYTES) as u64;
        run.segment.read(payload + u64::from(offset), bytes as usize).map(Some)
    }

    fn start(&self, group: GroupId) -> io::Result<LogStart> {
        let (facts, first, next) = {
            let index = self.index.read();
            let Some(of) = index.groups.get(&group) else { return Ok(LogStart::default()) };
            (of.facts, of.runs.front().map(|run| run.first), of.next())
        };
        let purged = facts.purged.as_ref().map(|id| id.index);
        if let (Some(first), Some(purged)) = (first, purged)
            && first != purged + 1
        {
            return Err(damaged(format!("group {}: the log has a hole before {first}", group.0)));
        }
        let last = match (first, next) {
            (Some(_), Some(next)) => {
                let frames = self.read(group, next - 1, next, usize::MAX)?;
                let frame = frames.first().ok_or_else(|| damaged(format!("group {}: no last entry", group.0)))?;
                let bad = |error| damaged(format!("group {}: the last entry: {error}", group.0));
                Some(codec::read_entry(frame).map_err(bad)?.log_id)
            }
            _ => facts.purged,
        };
        Ok(LogStart { vote: facts.vote, committed: facts.committed, purged: facts.purged, last })
    }

    fn first_within(&self, group: GroupId, bytes: u64) -> Option<u64> {
        self.index.read().first_within(group, bytes)
    }

    fn scrub(&self, from: ScrubPlace, bytes_max: u64) -> LogScrubbed {
        scrub::step(&self.index, from, bytes_max)
    }

    fn tails(&self) -> Arc<TailBudget> {
        Arc::clone(&self.tails)
    }
}
