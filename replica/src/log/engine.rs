//! What a log engine must do, whatever lies below it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use machine::GroupId;

use super::cache::TailBudget;
use crate::codec::Frame;
use crate::raft_types::{LogId, Vote};

/// One change to a group's log.
#[derive(Clone, Debug)]
pub(crate) enum LogOp {
    /// Adds the frame of entry `index`; indexes are gapless.
    Append { index: u64, frame: Frame },
    /// Removes entry `index` and every later one.
    TruncateFrom { index: u64 },
    /// Removes every entry up to and including `upto`.
    Purge { upto: LogId },
    /// Keeps the vote.
    Vote(Vote),
    /// Keeps what is known to be committed: a hint for restart, written with the next batch.
    Committed(Option<LogId>),
}

/// Changes of one group that become durable together, in order of submission.
pub(crate) struct Job {
    pub group: GroupId,
    pub ops: Vec<LogOp>,
    /// Called once from the writer, in order: the bytes are on disk, or the log has failed for good.
    pub done: Option<Box<dyn FnOnce(io::Result<()>) + Send>>,
}

impl Job {
    /// Payload bytes, for the budget of one fsync.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |op: &LogOp| if let LogOp::Append { frame, .. } = op { frame.len() } else { 32 };
        self.ops.iter().map(bytes).sum()
    }
}

/// A group's log as it is found at start.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogStart {
    pub vote: Option<Vote>,
    pub committed: Option<LogId>,
    pub purged: Option<LogId>,
    /// The newest entry, or what was purged last.
    pub last: Option<LogId>,
}

/// Where the bytes of a body lie: in the payload of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyPlace {
    pub index: u64,
    pub offset: u32,
    pub bytes: u32,
}

/// How far a scrub of a log has come; the default is where it begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScrubPlace {
    pub segment: u64,
    pub place: u32,
}

/// What one step of a scrub came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogScrubbed {
    /// Bytes read.
    pub bytes: u64,
    /// Damage: when the log of a group is purged up to an entry, that of it is gone.
    pub damaged: Vec<(GroupId, u64)>,
    /// Where to go on. `None`: all that is sealed was read.
    pub next: Option<ScrubPlace>,
}

/// A log for many groups with one writer.
///
/// Invariant: jobs become durable in the order of `submit`; after a failed write every later job fails too.
pub(crate) trait LogEngine: Send + Sync + 'static {
    /// Hands a job to the writer and returns at once.
    fn submit(&self, job: Job);

    /// The frames `from..to` of a group, at most about `bytes_max` (one at least). They may be unsynced still.
    /// Errors: a hole, or a record that fails its checksum.
    fn read(&self, group: GroupId, from: u64, to: u64, bytes_max: usize) -> io::Result<Vec<Bytes>>;

    /// Bytes of the payload of entry `index`, from `offset` on, read from the disk; the caller knows their checksum. `None`:
    /// the log does not hold the entry.
    fn read_part(&self, group: GroupId, index: u64, offset: u32, bytes: u32) -> io::Result<Option<Bytes>>;

    /// What the log holds of a group. Errors: a hole or damage; the replica must not start on it.
    fn start(&self, group: GroupId) -> io::Result<LogStart>;

    /// The first entry of a group that lies within the newest `bytes` of the whole log: what a bounded log keeps of it.
    /// `None`: it has no entry there.
    fn first_within(&self, group: GroupId, bytes: u64) -> Option<u64>;

    /// Reads about `bytes_max` of what is sealed, from a place on, and says what is damaged of what the log needs still. A log
    /// that has no disk has nothing to scrub.
    fn scrub(&self, _from: ScrubPlace, _bytes_max: u64) -> LogScrubbed {
        LogScrubbed::default()
    }

    /// Counts what the newest entries take in memory: of all groups together, where they share the memory of a process.
    fn tails(&self) -> Arc<TailBudget> {
        Arc::default()
    }
}
