//! The log in RocksDB: one database and one writer thread for all groups of the process.
//!
//! ```text
//!  group u32 | 0           -> crc32 | vote
//!  group u32 | 1           -> crc32 | optional log id      what is known to be committed
//!  group u32 | 2           -> crc32 | log id               purged up to
//!  group u32 | 3 | index   -> frame of the entry (codec)
//!  beside the folder: log.synced (mark)
//! ```
//!
//! Invariant: every batch is written with `sync`; a failed write stops the log for good (a retried fsync may lie).

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use machine::{DecodeError, GroupId, Reader, Writer};
use rocksdb::{DB, DBCompressionType, IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions};

use super::engine::{Job, LogEngine, LogOp, LogStart};
use super::gauge::FsyncGauge;
use super::mark::SyncMark;
use crate::codec;
use crate::limits::FSYNC_BYTES_MAX;

const VOTE: u8 = 0;
const COMMITTED: u8 = 1;
const PURGED: u8 = 2;
const ENTRY: u8 = 3;

/// The RocksDB log of a process.
pub(crate) struct RocksLog {
    db: Arc<DB>,
    /// Both are `None` only while the log is dropped.
    jobs: Option<Sender<Job>>,
    writer: Option<thread::JoinHandle<()>>,
}

impl Drop for RocksLog {
    /// Waits for the writer: when the log is gone its database is closed, and the folder can be opened again.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the log's writer has panicked");
        }
    }
}

impl RocksLog {
    /// Opens or creates the log in `folder` and starts its writer. Errors: `InvalidData` if it has lost synced records.
    pub(crate) fn open(folder: &Path, gauge: Arc<FsyncGauge>) -> io::Result<Self> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_compression_type(DBCompressionType::None);
        // Recycled WAL files are overwritten, not grown: the fsync then has no file size to write.
        options.set_recycle_log_file_num(4);
        options.set_write_buffer_size(64 * 1024 * 1024);
        options.set_max_write_buffer_number(3);
        options.set_max_total_wal_size(512 * 1024 * 1024);
        options.set_max_background_jobs(2);
        options.set_keep_log_file_num(4);
        options.set_enable_blob_files(true);
        options.set_min_blob_size(4096);
        options.set_enable_blob_gc(true);
        let db = Arc::new(DB::open(&options, folder).map_err(io::Error::other)?);
        let mark = SyncMark::open(&folder.with_extension("synced"), db.latest_sequence_number())?;
        let (jobs, queue) = channel();
        let target = Arc::clone(&db);
        let writer = thread::Builder::new().name("log-writer".into());
        let writer = writer.spawn(move || write_jobs(&target, &mark, &queue, &gauge))?;
        Ok(Self { db, jobs: Some(jobs), writer: Some(writer) })
    }

    fn record(&self, group: GroupId, kind: u8) -> io::Result<Option<Reader>> {
        let Some(value) = self.db.get(key(group, kind)).map_err(io::Error::other)? else { return Ok(None) };
        codec::checked(&Bytes::from(value)).map(Some).map_err(|error| damaged(group, kind, error))
    }

    /// Reads the newest entry and proves every checksum, and that indexes are consecutive from the purged one to it.
    fn last_entry(&self, group: GroupId, purged: Option<u64>) -> io::Result<Option<crate::raft_types::LogId>> {
        let mut expected = purged.map(|index| index + 1);
        let mut last = None;
        for item in self.db.iterator_opt(IteratorMode::Start, entries_of(group, 0, u64::MAX)) {
            let (row, value) = item.map_err(io::Error::other)?;
            let index = index_of(&row)?;
            if expected.is_some_and(|expected| expected != index) {
                return Err(io::Error::other(format!("group {}: the log has a hole before {index}", group.0)));
            }
            expected = Some(index + 1);
            let frame = Bytes::from(value);
            codec::checked(&frame).map_err(|error| damaged(group, ENTRY, error))?;
            last = Some(frame);
        }
        let Some(frame) = last else { return Ok(None) };
        let entry = codec::read_entry(&frame).map_err(|error| damaged(group, ENTRY, error))?;
        Ok(Some(entry.log_id))
    }
}

impl LogEngine for RocksLog {
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
        let (mut frames, mut bytes, mut expected) = (Vec::new(), 0, from);
        for item in self.db.iterator_opt(IteratorMode::Start, entries_of(group, from, to)) {
            let (row, value) = item.map_err(io::Error::other)?;
            if index_of(&row)? != expected {
                return Err(io::Error::other(format!("group {}: entry {expected} is missing", group.0)));
            }
            bytes += value.len();
            if bytes > bytes_max && !frames.is_empty() {
                break;
            }
            expected += 1;
            frames.push(Bytes::from(value));
        }
        Ok(frames)
    }

    fn start(&self, group: GroupId) -> io::Result<LogStart> {
        let bad = |kind| move |error| damaged(group, kind, error);
        let vote = self.record(group, VOTE)?.map(|mut input| codec::read_vote(&mut input)).transpose();
        let committed = match self.record(group, COMMITTED)? {
            Some(mut input) => codec::read_optional_log_id(&mut input).map_err(bad(COMMITTED))?,
            None => None,
        };
        let purged = self.record(group, PURGED)?.map(|mut input| codec::read_log_id(&mut input)).transpose();
        let (vote, purged) = (vote.map_err(bad(VOTE))?, purged.map_err(bad(PURGED))?);
        let last = self.last_entry(group, purged.as_ref().map(|id| id.index))?.or(purged);
        Ok(LogStart { vote, committed, purged, last })
    }
}

/// The writer: takes what has arrived, writes it with one fsync, calls back in order. Ends with its queue.
fn write_jobs(db: &DB, mark: &SyncMark, queue: &Receiver<Job>, gauge: &FsyncGauge) {
    let mut synced = WriteOptions::default();
    synced.set_sync(true);
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
            let started = Instant::now();
            let written = write_batch(db, &jobs, &synced);
            gauge.record(started.elapsed());
            let marked = written.and_then(|()| mark.set(db.latest_sequence_number()));
            failed = marked.err().map(|error| error.to_string());
        }
        for done in jobs.into_iter().filter_map(|job| job.done) {
            done(failed.as_ref().map_or(Ok(()), |text| Err(io::Error::other(text.clone()))));
        }
    }
}

fn write_batch(db: &DB, jobs: &[Job], synced: &WriteOptions) -> io::Result<()> {
    let mut batch = WriteBatch::default();
    for job in jobs {
        for op in &job.ops {
            add_op(&mut batch, job.group, op);
        }
    }
    db.write_opt(batch, synced).map_err(io::Error::other)
}

fn add_op(batch: &mut WriteBatch, group: GroupId, op: &LogOp) {
    let mut record = Writer::default();
    match op {
        LogOp::Append { index, frame } => batch.put(entry_key(group, *index), frame),
        LogOp::TruncateFrom { index } => {
            batch.delete_range(entry_key(group, *index), key(group, ENTRY + 1).to_vec());
        }
        LogOp::Purge { upto } => {
            codec::write_log_id(&mut record, upto);
            batch.put(key(group, PURGED), codec::with_checksum(&record.finish()));
            batch.delete_range(entry_key(group, 0), entry_key(group, upto.index.saturating_add(1)));
        }
        LogOp::Vote(vote) => {
            codec::write_vote(&mut record, vote);
            batch.put(key(group, VOTE), codec::with_checksum(&record.finish()));
        }
        LogOp::Committed(id) => {
            codec::write_optional_log_id(&mut record, id.as_ref());
            batch.put(key(group, COMMITTED), codec::with_checksum(&record.finish()));
        }
    }
}

fn key(group: GroupId, kind: u8) -> [u8; 5] {
    let [a, b, c, d] = group.0.to_be_bytes();
    [a, b, c, d, kind]
}

fn entry_key(group: GroupId, index: u64) -> Vec<u8> {
    let mut bytes = key(group, ENTRY).to_vec();
    bytes.extend_from_slice(&index.to_be_bytes());
    bytes
}

fn entries_of(group: GroupId, from: u64, to: u64) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(entry_key(group, from));
    options.set_iterate_upper_bound(if to == u64::MAX { key(group, ENTRY + 1).to_vec() } else { entry_key(group, to) });
    options
}

fn index_of(row: &[u8]) -> io::Result<u64> {
    let tail = row.get(5..).and_then(|tail| <[u8; 8]>::try_from(tail).ok());
    tail.map(u64::from_be_bytes).ok_or_else(|| io::Error::other("a log key has the wrong length"))
}

fn damaged(group: GroupId, kind: u8, error: DecodeError) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("group {}: log record of kind {kind} is damaged: {error}", group.0),
    )
}
