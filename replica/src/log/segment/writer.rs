//! The writer: takes what has arrived, writes it, syncs once, and only then says so.
//!
//! ```text
//!  jobs ─> Batch ─> pwritev ─> fdatasync ─> index, mark ─> done(job) …
//!                     └ the segment is full: footer, sync, a new segment
//! ```
//!
//! Must never: go on after a failed write or sync. What the disk holds then is known only to the next start.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use parking_lot::RwLock;
use rand::TryRngCore as _;

use super::batch::{Batch, Expected};
use super::disk::{Disk, Segment};
use super::index::Index;
use super::record::{Change, SEGMENT_HEAD_BYTES, SegmentHead};
use super::scan::{Found, read_log};
use crate::limits::FSYNC_BYTES_MAX;
use crate::log::engine::{Job, LogOp};
use crate::log::gauge::{Fsync, FsyncGauge};
use crate::log::mark::SyncMark;

pub(super) struct Writer {
    disk: Disk,
    mark: SyncMark,
    index: Arc<RwLock<Index>>,
    segment: Arc<Segment>,
    /// Where the next record goes.
    end: u64,
}

impl Writer {
    /// Reads the log, proves it against the mark, and begins a new segment. Errors: `InvalidData` is damage.
    pub(super) fn open(disk: Disk, mark: &Path) -> io::Result<Self> {
        let Found { index, end, is_sealed } = read_log(&disk)?;
        let newest = index.segments.back().cloned();
        let mark = SyncMark::open(mark, newest.as_ref().map_or(0, |newest| position(newest, end)))?;
        if let Some(newest) = newest.as_ref().filter(|_| !is_sealed) {
            disk.seal(newest, end, &index.footer())?;
        }
        let number = newest.map_or(1, |newest| newest.head.number + 1);
        let (segment, end) = create(&disk, &index, number)?;
        let writer = Self { disk, mark, index: Arc::new(RwLock::new(index)), segment, end };
        writer.begin()?;
        Ok(writer)
    }

    pub(super) fn index(&self) -> Arc<RwLock<Index>> {
        Arc::clone(&self.index)
    }

    /// Writes jobs until their queue ends. After a failure every job fails.
    pub(super) fn run(mut self, queue: &Receiver<Job>, gauge: &FsyncGauge) {
        let mut failed: Option<String> = None;
        while let Ok(first) = queue.recv() {
            let mut bytes = first.bytes();
            let mut jobs = vec![first];
            while bytes < FSYNC_BYTES_MAX {
                let Ok(next) = queue.try_recv() else { break };
                bytes += next.bytes();
                jobs.push(next);
            }
            if failed.is_none() {
                failed = self.write(&jobs, gauge).err().map(|error| error.to_string());
            }
            if let Some(error) = &failed {
                tracing::error!(error, "the log cannot be written any more");
            }
            for done in jobs.into_iter().filter_map(|job| job.done) {
                done(failed.as_ref().map_or(Ok(()), |text| Err(io::Error::other(text.clone()))));
            }
        }
    }

    fn write(&mut self, jobs: &[Job], gauge: &FsyncGauge) -> io::Result<()> {
        if self.end >= self.disk.segment_bytes() {
            self.roll()?;
        }
        let (batch, may_drop) = self.batch(jobs)?;
        let (parts, changes, end) = batch.finish();
        if end == self.end {
            // Only hints that were known: all that came before is synced already.
            return Ok(());
        }
        let started = Instant::now();
        self.segment.write(self.end, &parts)?;
        self.disk.sync(&self.segment)?;
        let fsync = Fsync { began: started, ended: Instant::now() };
        gauge.record(fsync.ended.saturating_duration_since(started));
        gauge.remember(
            fsync,
            changes.iter().filter_map(|(group, change, _)| match change {
                Change::Entry { index } => Some((*group, *index)),
                Change::Vote(_) | Change::Committed(_) | Change::Truncate { .. } | Change::Purge { .. } => None,
            }),
        );
        {
            let mut index = self.index.write();
            for (group, change, place) in changes {
                index.apply(group, change, place)?;
            }
            index.end += end - self.end;
        }
        self.end = end;
        self.mark.set(position(&self.segment, end))?;
        if may_drop { self.drop_unneeded() } else { Ok(()) }
    }

    /// The records of all jobs, and whether a segment may be needed no longer when they are written.
    fn batch(&self, jobs: &[Job]) -> io::Result<(Batch, bool)> {
        let index = self.index.read();
        let mut batch = Batch::new(self.segment.head.salt, self.end);
        let (mut expected, mut may_drop) = (Expected::default(), false);
        for job in jobs {
            for op in &job.ops {
                expected.follow(&index, job.group, op)?;
                may_drop |= matches!(op, LogOp::Purge { .. } | LogOp::TruncateFrom { .. });
                let known = index.groups.get(&job.group).map(|of| of.facts.committed);
                // A hint that says nothing new is worth no record.
                if !matches!(op, LogOp::Committed(id) if known == Some(*id)) {
                    batch.add(job.group, op)?;
                }
            }
        }
        Ok((batch, may_drop))
    }

    fn roll(&mut self) -> io::Result<()> {
        self.disk.seal(&self.segment, self.end, &self.index.read().footer())?;
        let number = self.segment.head.number + 1;
        (self.segment, self.end) = create(&self.disk, &self.index.read(), number)?;
        self.begin()
    }

    /// Goes on in the segment that was just made.
    fn begin(&self) -> io::Result<()> {
        {
            let mut index = self.index.write();
            index.end += self.end;
            index.begin(Arc::clone(&self.segment));
        }
        self.mark.set(position(&self.segment, self.end))?;
        self.drop_unneeded()
    }

    fn drop_unneeded(&self) -> io::Result<()> {
        loop {
            let Some(segment) = self.index.write().pop_unneeded() else { return Ok(()) };
            self.disk.drop_segment(segment)?;
        }
    }
}

/// A new segment that begins with what is known of every group: nothing before it is needed for that.
fn create(disk: &Disk, index: &Index, number: u64) -> io::Result<(Arc<Segment>, u64)> {
    let salt = rand::rngs::OsRng.try_next_u64().map_err(io::Error::other)?;
    let mut facts = Batch::new(salt, SEGMENT_HEAD_BYTES as u64);
    for (group, of) in &index.groups {
        let vote = of.facts.vote.map(LogOp::Vote);
        let purge = of.facts.purged.map(|upto| LogOp::Purge { upto });
        for op in [vote, purge, Some(LogOp::Committed(of.facts.committed))].iter().flatten() {
            facts.add(*group, op)?;
        }
    }
    let (parts, _, end) = facts.finish();
    let segment = disk.create(SegmentHead { number, salt }, index.end, &parts)?;
    Ok((Arc::new(segment), end))
}

/// A place of the whole log as one number that only grows.
pub(super) fn position(segment: &Segment, place: u64) -> u64 {
    segment.head.number << 32 | place
}
